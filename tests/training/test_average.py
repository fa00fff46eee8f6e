"""The running mean of weights."""

from __future__ import annotations

import torch

from toolkit.models.network import FaceNetwork
from toolkit.training.average import MeanWeights, average_into


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


def test_the_mean_of_several_networks_is_that_of_each_weight_and_statistic() -> None:
    one, other, mean = (FaceNetwork("test_resnet") for _ in range(3))
    one.backbone.bn1.running_mean += 4.0

    average_into(mean, [one, other])

    told = mean.gender_head.weight, mean.backbone.bn1.running_mean
    wanted = (one.gender_head.weight + other.gender_head.weight) / 2, torch.tensor(2.0)
    assert all(torch.allclose(*pair) for pair in zip(told, wanted, strict=True))
