"""Checkpoints: what is saved comes back, what is damaged is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from toolkit.errors import ModelError
from toolkit.models.checkpoint import Checkpoint, ModelCard
from toolkit.models.network import FaceNetwork


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    card = ModelCard("test_resnet", 64, licence="CC0", metrics={"val/gender_accuracy": 0.5})
    return Checkpoint(FaceNetwork("test_resnet"), card).save(tmp_path / "model")


def test_a_checkpoint_comes_back_with_its_card_and_nearly_the_same_outputs(saved: Path) -> None:
    torch.manual_seed(0)
    original = FaceNetwork("test_resnet").eval()
    images = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)

    loaded = Checkpoint.load(saved)

    assert loaded.card.licence == "CC0"
    assert loaded.card.metrics == {"val/gender_accuracy": 0.5}
    with torch.inference_mode():
        for one, other in zip(loaded.network(images), original(images), strict=True):
            assert torch.allclose(one, other, atol=0.01)


def test_matrices_are_stored_in_half_precision_and_vectors_are_not(saved: Path) -> None:
    types = {tensor.ndim > 1: tensor.dtype for tensor in load_file(saved).values() if tensor.ndim > 0}

    assert types == {True: torch.float16, False: torch.float32}


def test_a_missing_card_is_asked_for(saved: Path) -> None:
    saved.with_suffix(".json").unlink()

    with pytest.raises(ModelError, match=r"no model card .*model\.json"):
        Checkpoint.load(saved)


def test_missing_weights_are_named(saved: Path) -> None:
    saved.unlink()

    with pytest.raises(ModelError, match=r"cannot read the weights .*model\.safetensors"):
        Checkpoint.load(saved)


def test_one_flipped_byte_is_noticed(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-100] ^= 1
    saved.write_bytes(content)

    with pytest.raises(ModelError, match="damaged"):
        Checkpoint.load(saved)


def test_weights_of_another_architecture_are_refused_by_their_first_difference(saved: Path) -> None:
    card_path = saved.with_suffix(".json")
    card = json.loads(card_path.read_text())
    card_path.write_text(json.dumps(card | {"backbone": "test_efficientnet"}))

    with pytest.raises(ModelError, match=r"does not fit test_efficientnet: .* tensors differ, first"):
        Checkpoint.load(saved)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a model card"),
        ("[]", "not a model card"),
        ('{"format_version": 99}', "format 99, this program reads 1"),
        ('{"format_version": 1}', "lacks what a model card needs"),
        ('{"format_version": 1, "backbone": 5, "image_px": 64}', "backbone must be a name"),
        ('{"format_version": 1, "backbone": "resnet10t", "image_px": "6"}', "image_px a whole number"),
        ('{"format_version": 1, "backbone": "resnet10t", "image_px": 0}', "and 0"),
        ('{"format_version": 1, "backbone": "resnet10t", "image_px": 100000}', r"in 1\.\.2048, got .*100000"),
    ],
)
def test_a_card_that_cannot_be_used_says_why(saved: Path, text: str, message: str) -> None:
    saved.with_suffix(".json").write_text(text)

    with pytest.raises(ModelError, match=message):
        Checkpoint.load(saved)
