"""The running mean of weights."""

from __future__ import annotations

import torch

from toolkit.models.network import FaceNetwork
from toolkit.training.average import MeanWeights


def test_the_mean_moves_by_its_share_and_the_network_does_not() -> None:
    network = FaceNetwork("test_resnet")
    mean = MeanWeights(network)
    before = network.gender_head.weight.detach().clone()
    with torch.no_grad():
        network.gender_head.weight += 1.0

    mean.update(0.75)

    assert torch.allclose(mean.network.gender_head.weight, before + 0.25)
    assert torch.allclose(network.gender_head.weight, before + 1.0)


def test_running_statistics_are_averaged_too() -> None:
    network = FaceNetwork("test_resnet")
    mean = MeanWeights(network)
    network.backbone.bn1.running_mean += 4.0

    mean.update(0.5)

    assert torch.allclose(mean.network.backbone.bn1.running_mean, torch.tensor(2.0))


def test_with_no_decay_the_mean_is_the_network() -> None:
    network = FaceNetwork("test_resnet")
    mean = MeanWeights(network)
    with torch.no_grad():
        network.age_head.bias += 1.0

    mean.update(0.0)

    assert torch.equal(mean.network.age_head.bias, network.age_head.bias)
