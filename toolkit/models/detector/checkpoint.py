"""A trained detector on disk: safetensors weights with a JSON card beside them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from toolkit.errors import ModelError
from toolkit.models.checkpoint import SHIPPED
from toolkit.models.detector.kind import KIND
from toolkit.models.detector.network import DetectorNetwork


@dataclass(frozen=True)
class DetectorCard:
    """What must be known of a detector's weights to use them, and to trust them.

    Attributes:
        training_data: name of the face pack it was trained on.
        training_data_sha256: digest of that pack.
        licence: licence of the training data, with its attribution.
        metrics: figures of the moment it was saved at, by the names of the training run.
        probability_line: slope and offset that make of the network's logit one whose sigmoid is the
            probability that a box is on a face, as it was on made pictures.
        weights_sha256: digest of the safetensors file.
        int8_sha256: digest of the same weights in eight bits, in files beside it; empty where there are none.
        kind: :data:`KIND`.
    """

    training_data: str = ""
    training_data_sha256: str = ""
    licence: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    probability_line: tuple[float, float] = (1.0, 0.0)
    weights_sha256: str = ""
    int8_sha256: str = ""
    kind: str = KIND

    def as_json(self) -> bytes:
        """As it is written."""
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True, eq=False)
class DetectorCheckpoint:
    """A detector's network with its card."""

    network: DetectorNetwork
    card: DetectorCard

    def save(self, path: str | Path) -> Path:
        """Write ``path`` (.safetensors) in half precision, and its card as .json; gives the weights' path.

        Vectors (norms, biases, running statistics) stay in single precision, as in
        :meth:`toolkit.models.checkpoint.Checkpoint.save`.
        """
        path = Path(path).with_suffix(".safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
        state = self.network.state_dict()
        weights = save_tensors(
            {
                name: (
                    tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
                ).contiguous()
                for name, tensor in state.items()
            }
        )
        # Eight bits that lie there were made of other weights.
        card = replace(self.card, weights_sha256=hashlib.sha256(weights).hexdigest(), int8_sha256="")
        for target, content in ((path, weights), (path.with_suffix(".json"), card.as_json())):
            part = target.with_name(f"{target.name}.part")
            part.write_bytes(content)
            part.replace(target)
        return path

    @classmethod
    def load(cls, path: str | Path = SHIPPED) -> DetectorCheckpoint:
        """Read weights and card, ready to detect.

        Args:
            path: a .safetensors file; ``"shipped"`` or ``"face-detector"`` is the one inside the package.

        Raises:
            ModelError: a file is missing or damaged, or is no detector of this toolkit.
        """
        path = weights_path(path)
        card = _read_card(path.with_suffix(".json"))
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"cannot read the weights {path}: {error}") from error
        if hashlib.sha256(content).hexdigest() != card.weights_sha256:
            raise ModelError(f"{path} is damaged or not the file its card describes: the checksums differ")
        network = DetectorNetwork()
        try:
            network.load_state_dict(load_tensors(content))
        except SafetensorError as error:
            raise ModelError(f"{path} holds no tensors: {error}") from error
        except RuntimeError as error:
            # torch names every layer that is missing, over many lines.
            raise ModelError(
                f"{path} is of a detector with other layers than this program's; "
                "train it again with experiments/train_detector.py"
            ) from error
        return cls(network.eval(), card)


def shipped_path() -> Path:
    """The weights inside the package."""
    return Path(str(resources.files("toolkit.models"))) / "weights" / "face_detector.safetensors"


def weights_path(path: str | Path) -> Path:
    """The weights' file of what :meth:`DetectorCheckpoint.load` is given."""
    return shipped_path() if str(path) in (SHIPPED, KIND) else Path(path).with_suffix(".safetensors")


def _read_card(path: Path) -> DetectorCard:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("kind") != KIND:
            raise ModelError(f"{path} is the card of another kind of model, not of a {KIND}")
        known = {f.name: content[f.name] for f in fields(DetectorCard) if f.name in content}
        slope, offset = known.get("probability_line", (1.0, 0.0))
        return DetectorCard(**known | {"probability_line": (float(slope), float(offset))})
    except FileNotFoundError:
        raise ModelError(
            f"no detector {path.with_suffix('.safetensors')} with its card {path.name}"
        ) from None
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ModelError(f"{path} is not a model card of this toolkit: {error!r}") from error
