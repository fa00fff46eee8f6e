"""Gradients worked out in shares are those of the whole batch."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from toolkit.models.network import FaceNetwork
from toolkit.training.batches import FaceBatch
from toolkit.training.config import TrainConfig
from toolkit.training.gradients import ShardedGradients, shares


@pytest.fixture
def batch() -> FaceBatch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (7, 32, 32, 3), dtype=torch.uint8, generator=generator)
    genders = torch.tensor([0, 1, 0, 1, 0, 1, 1])
    return FaceBatch(images, genders, torch.arange(7) * 10, torch.arange(7) * 10 + 9)


@pytest.fixture
def network() -> FaceNetwork:
    torch.manual_seed(0)
    # Judging instead of learning: batch normalisation would tell a share from the whole.
    return FaceNetwork("test_resnet").eval()


def test_shares_add_up_to_the_whole_batch(network: FaceNetwork, batch: FaceBatch) -> None:
    found = {}
    for threads in (None, 1, 3):
        with ShardedGradients(network, TrainConfig(threads=threads, precision="fp32")) as gradients:
            values = gradients.compute(batch, seed=1)
        found[threads] = (values["train/loss"], [p.grad for p in network.parameters()])

    for loss, grads in (found[1], found[3]):
        assert loss == pytest.approx(found[None][0], abs=1e-4)
        for one, other in zip(grads, found[None][1], strict=True):
            assert torch.allclose(one, other, atol=1e-4)


def test_gradients_are_those_of_a_plain_backward(network: FaceNetwork, batch: FaceBatch) -> None:
    with ShardedGradients(network, TrainConfig(threads=2, precision="fp32")) as gradients:
        values = gradients.compute(batch, seed=1)
    found = [p.grad for p in network.parameters()]
    assert values["train/loss"] == pytest.approx(values["train/gender_loss"] + 0.5 * values["train/age_loss"])

    network.zero_grad()
    from toolkit.training.losses import face_losses

    losses = face_losses(network(batch.images_nhwc), *batch[1:])
    (losses.gender + 0.5 * losses.age).backward()
    for one, other in zip(found, (p.grad for p in network.parameters()), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_gradients_do_not_pile_up_over_batches(network: FaceNetwork, batch: FaceBatch) -> None:
    with ShardedGradients(network, TrainConfig(threads=2, precision="fp32")) as gradients:
        gradients.compute(batch, seed=1)
        first = [p.grad.clone() for p in network.parameters()]
        gradients.compute(batch, seed=1)

    for one, other in zip(first, (p.grad for p in network.parameters()), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_the_same_seed_repeats_dropout_and_another_does_not(network: FaceNetwork, batch: FaceBatch) -> None:
    network.train()
    with ShardedGradients(network, TrainConfig(threads=3, drop_rate=0.5)) as gradients:
        losses = [gradients.compute(batch, seed)["train/loss"] for seed in (1, 1, 2)]

    assert losses[0] == losses[1] != losses[2]


def test_a_seed_of_more_than_64_bits_is_one_too(network: FaceNetwork, batch: FaceBatch) -> None:
    network.train()
    with ShardedGradients(network, TrainConfig(threads=1, drop_rate=0.5)) as gradients:
        losses = [gradients.compute(batch, seed)["train/loss"] for seed in (2**70, 2**70, 2**70 + 1)]

    assert losses[0] == losses[1] != losses[2]


def test_statistics_are_those_of_the_first_share_whatever_the_threads_do(
    network: FaceNetwork, batch: FaceBatch
) -> None:
    network.train()
    alone = copy.deepcopy(network)
    alone(batch.images_nhwc[:3])

    with ShardedGradients(network, TrainConfig(threads=3, precision="fp32")) as gradients:
        gradients.compute(batch, seed=1)

    found, expected = network.backbone.bn1.running_var, alone.backbone.bn1.running_var
    assert torch.allclose(found, expected, rtol=1e-4)


def test_weights_changed_in_place_are_seen_by_every_share(network: FaceNetwork, batch: FaceBatch) -> None:
    with ShardedGradients(network, TrainConfig(threads=3, precision="fp32")) as gradients:
        with torch.no_grad():
            network.gender_head.weight.zero_()
            network.gender_head.bias.zero_()
        values = gradients.compute(batch, seed=1)

    assert values["train/gender_loss"] == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "device", "expected"),
    [
        ({"batch_size": 128}, "cpu", 3),
        ({"batch_size": 64}, "cpu", 2),
        ({"batch_size": 8}, "cpu", 1),
        ({"batch_size": 8, "threads": 4}, "cpu", 4),
        ({"batch_size": 128}, "cuda", 1),
    ],
)
def test_a_batch_is_cut_for_the_cores_there_are_and_not_too_small(
    settings: dict[str, int], device: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.training.gradients.usable_threads", lambda: 3)

    assert shares(TrainConfig(**settings), torch.device(device)) == expected  # type: ignore[arg-type]
