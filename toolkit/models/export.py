"""A trained network in a folder that other programs can run: ONNX or OpenVINO, with a card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import ConfigError, ModelError
from toolkit.models.checkpoint import Checkpoint, ModelCard
from toolkit.models.runtimes.base import Outputs, Runtime, difference, usable_threads
from toolkit.models.runtimes.eager import EagerRuntime
from toolkit.models.runtimes.onnx_file import INPUT, export_onnx
from toolkit.models.runtimes.onnx_runtime import OnnxRuntime
from toolkit.models.runtimes.openvino_runtime import (
    OpenVinoRuntime,
    in_a_thread_of_its_own,
    load_nncf,
    load_openvino,
    openvino_core,
)

KINDS = ("onnx", "openvino", "openvino-int8")

CARD = "card.json"

CALIBRATION_FACES = 300
"""So many are looked at for int8; NNCF's own default."""

_CHECKED_PICTURES = 64
_SAME = 1e-3


@dataclass(frozen=True)
class ExportCard:
    """What must be known of an exported network to use it.

    Attributes:
        kind: one of ``KINDS``.
        file: the network's file beside the card.
        file_sha256: its digest.
        model: the card of the checkpoint it was made from.
        difference_from_torch: root mean square of what its outputs differ, as a share of the outputs', of the
            median of the checked pictures; 0.01 is one per cent.
        input: name, shape, type and colour order of what it takes.
        outputs: what it gives, and how to read that.
        calibration_pictures: int8 only: how many it was fitted to.
    """

    kind: str
    file: str
    file_sha256: str
    model: ModelCard
    difference_from_torch: float
    input: dict[str, Any]
    outputs: dict[str, str]
    calibration_pictures: int = 0
    notes: str = field(
        default="Normalisation is part of the network: give it the bytes of the picture as they are."
    )


_OUTPUTS = {
    "gender_logits": "(n,): positive means female; apparent gender, the binary label of the training data",
    "age_logits": "(n, 101): softmax gives a probability for each year 0..100; their mean is the age",
}


def export(
    checkpoint: Checkpoint, kind: str, folder: Path, calibration_nhwc: np.ndarray | None = None
) -> ExportCard:
    """Write a checkpoint's network and its card into a folder, and hold its outputs against torch's.

    Args:
        checkpoint: network and card.
        kind: one of ``KINDS``.
        folder: is made where it is missing.
        calibration_nhwc: (N, S, S, 3), uint8, BGR: faces like those it will see; for int8 alone, which needs
            them.

    Raises:
        ConfigError: there is no such kind, or int8 got no calibration pictures.
        ModelError: it cannot be exported, or its outputs are not torch's.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no export {kind!r}; known: {', '.join(KINDS)}")
    if (kind == "openvino-int8") != (calibration_nhwc is not None):
        raise ConfigError("int8 needs calibration pictures, and nothing else takes any")
    size_px = checkpoint.card.image_px
    folder.mkdir(parents=True, exist_ok=True)
    onnx = export_onnx(checkpoint.network, size_px, folder / "model.onnx")
    path = onnx if kind == "onnx" else _to_openvino(onnx, calibration_nhwc)

    pictures = _pictures_like(calibration_nhwc, size_px)
    reference = EagerRuntime(checkpoint.network, size_px, threads=usable_threads())(pictures)
    outputs = _open(kind, path, size_px, usable_threads())(pictures)
    if kind != "openvino-int8" and (far := difference(outputs, reference)) > _SAME:
        raise ModelError(f"the {kind} network's outputs are {far:.2%} off torch's; it is not to be used")
    card = ExportCard(
        kind=kind,
        file=path.name,
        file_sha256=_digest(path),
        model=checkpoint.card,
        difference_from_torch=_of_the_median_picture(outputs, reference),
        input={"name": INPUT, "shape": ["n", size_px, size_px, 3], "dtype": "uint8", "colours": "BGR"},
        outputs=_OUTPUTS,
        calibration_pictures=0 if calibration_nhwc is None else len(calibration_nhwc),
    )
    (folder / CARD).write_text(
        json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return card


def open_export(folder: Path, threads: int | None = None) -> tuple[Runtime, ModelCard]:
    """An exported network, ready to run, and the card of the checkpoint it was made from.

    Raises:
        ModelError: the folder holds no export of ours, or a damaged one.
    """
    try:
        values = json.loads((folder / CARD).read_text(encoding="utf-8"))
        card = ExportCard(**{**values, "model": ModelCard(**values["model"])})
    except FileNotFoundError:
        raise ModelError(
            f"{folder} is no folder written by toolkit export: there is no {CARD} in it"
        ) from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{folder} is no folder written by toolkit export: {error!r}") from error
    path = folder / card.file
    if not path.is_file() or _digest(path) != card.file_sha256:
        raise ModelError(f"{path} is missing, damaged, or not the file its card describes; export it again")
    runtime = _open(card.kind, path, card.model.image_px, usable_threads(threads))
    runtime.name = card.kind if card.kind != "onnx" else runtime.name
    runtime.reason = f"exported to {folder}"
    return runtime, card.model


def _open(kind: str, path: Path, size_px: int, threads: int) -> Runtime:
    runtime = OnnxRuntime if kind == "onnx" else OpenVinoRuntime
    return runtime(path, size_px, threads)


def _to_openvino(onnx: Path, calibration_nhwc: np.ndarray | None) -> Path:
    """OpenVINO's own pair of files in place of the ONNX one."""
    openvino = load_openvino()
    model = openvino_core().read_model(onnx)
    if calibration_nhwc is not None:
        model = quantized(model, calibration_nhwc)
    path = onnx.with_suffix(".xml")
    openvino.save_model(model, path, compress_to_fp16=False)
    onnx.unlink()
    return path


def quantized(model: Any, calibration_nhwc: np.ndarray) -> Any:
    """An OpenVINO model in int8: weights per channel, activations by their ranges on calibration pictures.

    Args:
        model: takes uint8 pictures.
        calibration_nhwc: (N, S, S, 3), uint8, BGR.

    Raises:
        ModelError: NNCF is not installed.

    Source: static quantization of NNCF, https://github.com/openvinotoolkit/nncf, Apache-2.0.
    """
    nncf = load_nncf()
    # One at a time: the ranges are those of pictures, not of batches.
    dataset = nncf.Dataset([picture[None] for picture in calibration_nhwc])
    # MIXED keeps the sign of activations, which swish-like functions need.
    preset = nncf.QuantizationPreset.MIXED
    return in_a_thread_of_its_own(
        lambda: nncf.quantize(model, dataset, preset=preset, subset_size=len(calibration_nhwc))
    )


def _of_the_median_picture(outputs: Outputs, reference: Outputs) -> float:
    # Not of all together: the one face that excites a network beyond what int8 can hold would drown the rest.
    each = [
        difference(
            tuple(array[i : i + 1] for array in outputs), tuple(array[i : i + 1] for array in reference)
        )
        for i in range(len(reference[0]))
    ]
    return float(np.median(each))


def _pictures_like(calibration_nhwc: np.ndarray | None, size_px: int) -> np.ndarray:
    if calibration_nhwc is not None:
        return calibration_nhwc[:_CHECKED_PICTURES]
    shape = (_CHECKED_PICTURES, size_px, size_px, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _digest(path: Path) -> str:
    """Of the file, and of the weights beside it where there are any."""
    digest = hashlib.sha256()
    for part in _parts(path):
        digest.update(part.read_bytes())
    return digest.hexdigest()


def _parts(path: Path) -> Iterator[Path]:
    yield path
    if path.suffix == ".xml" and path.with_suffix(".bin").is_file():
        yield path.with_suffix(".bin")
