"""Our detector in a folder that other programs can run: ONNX or OpenVINO, with a card that explains it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import ConfigError, ModelError
from toolkit.models.detector.checkpoint import DetectorCheckpoint
from toolkit.models.detector.second_look import FACE_PX, SIDE_PX
from toolkit.models.runtimes.base import difference, usable_threads
from toolkit.models.runtimes.eager import EagerRuntime
from toolkit.models.runtimes.onnx_file import INPUT, export_onnx
from toolkit.models.runtimes.onnx_runtime import OnnxRuntime
from toolkit.models.runtimes.openvino_runtime import OpenVinoRuntime, load_openvino, openvino_core

KINDS = ("onnx", "openvino")

CARD = "card.json"

_SAME = 1e-3
_CHECKED_SIZES = ((96, 160), (75, 107))

_OUTPUTS = {
    "score_logits": "(n, p): for every place, row by row, of grids with one every 8, 16 and 32 pixels; "
    "the score is the sigmoid of slope * logit + offset (probability_line)",
    "boxes": "(n, p, 4): of the face at a place: how far right of it and below it its middle is, in strides, "
    "and the natural logarithms of its width and height in strides",
    "places": "that in column i and row j of a grid lies at (i * stride + 2, j * stride + 2); a grid has "
    "ceil(floor(side / 4) / (stride / 4)) columns or rows",
    "overlaps": "neighbours tell of the same face: keep the best of boxes that overlap (IoU) by 0.4",
    "second_look": "draw what may be a face in the middle of a square of its own, "
    f"{SIDE_PX} px wide, the root of its box's area made {FACE_PX} px; ask again, and take the box found "
    "there (IoU with the first above 0.4) and the mean of both logits; the model card's figures are of both",
}


def export_detector(checkpoint: DetectorCheckpoint, kind: str, folder: Path) -> dict[str, Any]:
    """Write a detector's network and its card into a folder, and hold its outputs against torch's.

    Args:
        checkpoint: network and card.
        kind: one of ``KINDS``.
        folder: is made where it is missing.

    Returns:
        What the card says: ``kind``, ``file`` and its ``file_sha256``, ``model``, ``difference_from_torch``
        (root mean square, as a share of the outputs), ``input``, ``outputs``.

    Raises:
        ConfigError: there is no such kind.
        ModelError: it cannot be exported, or its outputs are not torch's.
    """
    if kind not in KINDS:
        raise ConfigError(f"a detector is exported to {' or '.join(KINDS)}, got {kind!r}")
    folder.mkdir(parents=True, exist_ok=True)
    path = export_onnx(checkpoint.network.folded(), _CHECKED_SIZES[0], folder / "model.onnx")
    if kind == "openvino":
        path = _to_openvino(path)
    far = max(_difference(checkpoint, kind, path, size_hw) for size_hw in _CHECKED_SIZES)
    if far > _SAME:
        raise ModelError(f"the {kind} network's outputs are {far:.2%} off torch's; it is not to be used")
    card = {
        "kind": kind,
        "file": path.name,
        "file_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "model": asdict(checkpoint.card),
        "difference_from_torch": far,
        "input": {"name": INPUT, "shape": ["n", "height", "width", 3], "dtype": "uint8", "colours": "BGR"},
        "outputs": _OUTPUTS,
    }
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return card


def _difference(checkpoint: DetectorCheckpoint, kind: str, path: Path, size_hw: tuple[int, int]) -> float:
    images = np.random.default_rng(0).integers(0, 256, (4, *size_hw, 3), dtype=np.uint8)
    runtime = OnnxRuntime if kind == "onnx" else OpenVinoRuntime
    reference = EagerRuntime(checkpoint.network, size_hw, usable_threads())(images)
    return difference(runtime(path, size_hw, usable_threads())(images), reference)


def _to_openvino(onnx: Path) -> Path:
    """OpenVINO's own pair of files in place of the ONNX one."""
    path = onnx.with_suffix(".xml")
    load_openvino().save_model(openvino_core().read_model(onnx), path, compress_to_fp16=False)
    onnx.unlink()
    return path
