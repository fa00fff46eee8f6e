"""A trained network on disk: safetensors weights with a JSON card beside them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from toolkit.errors import ModelError
from toolkit.models.network import FaceNetwork
from toolkit.models.preprocess import MOST_IMAGE_PX

FORMAT_VERSION = 1
"""Raised when a card of an older program could be misread."""

SHIPPED = "shipped"
"""Stands for the weights inside the package."""


@dataclass(frozen=True)
class ModelCard:
    """What must be known of weights to use them, and to trust them.

    Attributes:
        backbone: name of the timm model.
        image_px: side of the square input.
        training_data: name of the pack it was trained on.
        training_data_sha256: digest of that pack.
        licence: licence of the training data, with its attribution.
        metrics: figures of the epoch it was saved at, by the names of the training run.
        weights_sha256: digest of the safetensors file, so that a damaged or swapped file is noticed.
        format_version: of this card.
    """

    backbone: str
    image_px: int
    training_data: str = ""
    training_data_sha256: str = ""
    licence: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network with its card."""

    network: FaceNetwork
    card: ModelCard

    def save(self, path: str | Path) -> Path:
        """Write ``path`` (.safetensors) in half precision, and its card as .json; gives the weights' path.

        Vectors (norms, biases, running statistics) stay in single precision: they are few, and half
        precision could push a small variance to zero.
        """
        path = Path(path).with_suffix(".safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
        weights = save_tensors({name: _stored(tensor) for name, tensor in self.network.state_dict().items()})
        card = replace(self.card, weights_sha256=hashlib.sha256(weights).hexdigest())
        text = json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n"
        _replace(path, weights)
        _replace(path.with_suffix(".json"), text.encode())
        return path

    @classmethod
    def load(cls, path: str | Path = SHIPPED) -> Checkpoint:
        """Read weights and card and build the network they belong to, ready to predict.

        Args:
            path: a .safetensors file, or ``"shipped"`` for the weights inside the package.

        Raises:
            ModelError: a file is missing or damaged, or the weights do not fit the card's backbone.
        """
        path = shipped_path() if str(path) == SHIPPED else Path(path)
        if path.suffix != ".safetensors":
            raise ModelError(f"no checkpoint {path}: a checkpoint is a .safetensors with a .json beside it")
        card = _read_card(path.with_suffix(".json"))
        tensors = _read_weights(path, card)
        network = FaceNetwork(card.backbone)
        _check_fit(path, card, network.state_dict(), tensors)
        network.load_state_dict(tensors)
        return cls(network.eval(), card)


def shipped_path() -> Path:
    """The weights inside the package."""
    return Path(str(resources.files("toolkit.models"))) / "weights" / "face_attributes.safetensors"


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: an interrupted training leaves the checkpoint before it."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor


def _read_card(path: Path) -> ModelCard:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["format_version"]
    except FileNotFoundError:
        weights = path.with_suffix(".safetensors")
        what = f"no model card {path}" if weights.exists() else f"no checkpoint {weights}"
        raise ModelError(f"{what}: a checkpoint is a .safetensors with a .json beside it") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is not a model card of this toolkit: {error!r}") from error
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{path} has format {version!r}, this program reads {FORMAT_VERSION}; train it again"
        )
    known = {f.name for f in fields(ModelCard)}
    try:
        card = ModelCard(**{key: value for key, value in content.items() if key in known})
    except TypeError as error:
        raise ModelError(f"{path} lacks what a model card needs: {error}") from error
    is_size = isinstance(card.image_px, int) and 1 <= card.image_px <= MOST_IMAGE_PX
    if not isinstance(card.backbone, str) or not is_size:
        raise ModelError(
            f"{path}: backbone must be a name and image_px a whole number in 1..{MOST_IMAGE_PX}, got "
            f"{card.backbone!r} and {card.image_px!r}"
        )
    return card


def _read_weights(path: Path, card: ModelCard) -> dict[str, torch.Tensor]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the weights {path}: {error}") from error
    if hashlib.sha256(content).hexdigest() != card.weights_sha256:
        raise ModelError(f"{path} is damaged or not the file its card describes: the checksums differ")
    try:
        return load_tensors(content)
    except SafetensorError as error:
        raise ModelError(f"{path} is not a safetensors file: {error}") from error


def _check_fit(
    path: Path, card: ModelCard, expected: dict[str, torch.Tensor], found: dict[str, torch.Tensor]
) -> None:
    names = [name for name in expected | found if _shape(expected, name) != _shape(found, name)]
    if names:
        first = names[0]
        raise ModelError(
            f"{path} does not fit {card.backbone}: {len(names)} tensors differ, first {first!r}, "
            f"expected {_shape(expected, first)}, got {_shape(found, first)}"
        )


def _shape(tensors: dict[str, torch.Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None
