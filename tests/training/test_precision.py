"""In how many bits a network learns."""

from __future__ import annotations

import pytest
import torch

from toolkit.errors import ConfigError
from toolkit.models.network import FaceNetwork
from toolkit.training.batches import FaceBatch
from toolkit.training.config import TrainConfig
from toolkit.training.gradients import ShardedGradients
from toolkit.training.muon import orthogonalised
from toolkit.training.precision import learns_in_bf16


@pytest.mark.parametrize(
    ("backbone", "has_units", "expected"),
    [
        ("test_resnet", True, True),
        ("test_resnet", False, False),
        # Its depthwise convolutions are slower in half the bits.
        ("test_efficientnet", True, False),
    ],
)
def test_a_cpu_learns_in_half_the_bits_where_that_is_faster(
    backbone: str, has_units: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.training.precision._cpu_has_units", lambda: has_units)

    assert learns_in_bf16(FaceNetwork(backbone), TrainConfig()) is expected


def test_whoever_names_a_precision_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    network = FaceNetwork("test_resnet")
    for has_units in (True, False):
        monkeypatch.setattr("toolkit.training.precision._cpu_has_units", lambda has=has_units: has)

        assert learns_in_bf16(network, TrainConfig(precision="bf16"))
        assert not learns_in_bf16(network, TrainConfig(precision="fp32"))


def test_small_pictures_are_learned_in_single_precision_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.training.precision._cpu_has_units", lambda: True)
    network = FaceNetwork("test_resnet")

    assert not learns_in_bf16(network, TrainConfig(start_px=32))
    with pytest.raises(ConfigError, match=r"bf16 takes pictures from 64 px on, got 32"):
        learns_in_bf16(network, TrainConfig(start_px=32, precision="bf16"))


def test_half_the_bits_give_nearly_the_same_gradients_in_single_precision() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8, 64, 64, 3), dtype=torch.uint8, generator=generator)
    batch = FaceBatch(images, torch.arange(8) % 2, torch.arange(8) * 10, torch.arange(8) * 10 + 9)
    torch.manual_seed(0)
    network = FaceNetwork("test_resnet").eval()

    gradients = {}
    for precision in ("fp32", "bf16"):
        with ShardedGradients(network, TrainConfig(threads=2, precision=precision)) as worked_out:
            worked_out.compute(batch, seed=1)
        gradients[precision] = torch.cat([p.grad.flatten() for p in network.parameters()])

    assert gradients["bf16"].dtype == torch.float32
    assert not torch.equal(gradients["bf16"], gradients["fp32"])
    assert torch.cosine_similarity(gradients["bf16"], gradients["fp32"], dim=0) > 0.99


def test_half_the_bits_are_enough_for_an_orthogonal_step() -> None:
    matrix = torch.randn((20, 60), generator=torch.Generator().manual_seed(0))

    half = orthogonalised(matrix, bf16=True)

    assert half.dtype == torch.float32
    assert not torch.equal(half, orthogonalised(matrix))
    assert torch.allclose(half, orthogonalised(matrix), atol=0.02)
