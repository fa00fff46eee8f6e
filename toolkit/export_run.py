"""Exporting: calibration faces from a pack, and what int8 costs on labelled ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolkit.data.faces import FaceTable, load_faces
from toolkit.errors import ConfigError
from toolkit.evaluation.faces import evaluate_faces
from toolkit.evaluation.table import sample
from toolkit.experiment import as_plain
from toolkit.models.checkpoint import Checkpoint
from toolkit.models.detector.checkpoint import DetectorCheckpoint
from toolkit.models.detector.export import export_detector
from toolkit.models.detector.kind import is_detector
from toolkit.models.export import CALIBRATION_FACES, export
from toolkit.models.predictor import Predictor
from toolkit.models.preprocess import make_batch

SCORES = ("n", "gender_accuracy", "age_mae_years", "age_group_accuracy", "age_group_one_off")
"""What is told of an exported model beside the one it was made from."""


def run_export(
    checkpoint: str, kind: str, folder: Path, calibration: str | None = None, data: str | None = None
) -> dict[str, Any]:
    """Export a checkpoint, and score it beside torch where labelled faces are given.

    Args:
        checkpoint: "shipped", "face-detector", or the path of a trained model or detector.
        kind: one of :data:`toolkit.models.export.KINDS`.
        folder: for the network and its card.
        calibration: int8 only: a face pack by name or path; faces of its ``train`` split are taken, or any
            where it has none and ``data`` is another pack.
        data: a labelled pack by name or path; its ``test`` split is scored, or all of it where it has none.

    Returns:
        ``folder``, ``card``, and with ``data``: ``scores``, those of ``torch`` and of ``exported``.

    Raises:
        ConfigError: int8 without calibration, calibration without int8, or with the faces that are scored.
        DataError: a pack is missing or unusable.
        ModelError: the checkpoint cannot be loaded or exported.
    """
    if is_detector(checkpoint):
        if calibration is not None or data is not None:
            raise ConfigError("--calibration and --data are for models of faces, and this is a detector")
        detector = DetectorCheckpoint.load(checkpoint)
        return {"folder": str(folder), "card": export_detector(detector, kind, folder)}
    if (kind == "openvino-int8") != (calibration is not None):
        raise ConfigError(
            "--to openvino-int8 needs --calibration PACK, a pack of faces; nothing else takes one"
        )
    faces = None if data is None else _part(data, "test")
    loaded = Checkpoint.load(checkpoint)
    pictures = None
    if calibration is not None:
        table = _part(calibration, "train")
        is_fallback = not (table.rows["split"] == "train").all()
        if is_fallback and faces is not None and faces.sha256 == table.sha256:
            raise ConfigError(
                f"{calibration} has no split train, and --data scores its faces; give another pack"
            )
        chosen = sample(len(table), CALIBRATION_FACES, seed=0)
        pictures = make_batch([table.picture(int(i)) for i in chosen], loaded.card.image_px)
    card = export(loaded, kind, folder, pictures)
    result: dict[str, Any] = {"folder": str(folder), "card": as_plain(card)}
    if faces is not None:
        predictors = {"torch": Predictor(loaded, "cpu"), "exported": Predictor.load(folder, "cpu")}
        scored = {name: evaluate_faces(predictor, faces) for name, predictor in predictors.items()}
        result["scores"] = {name: {key: one[key] for key in SCORES} for name, one in scored.items()}
    return result


def _part(pack: str, split: str) -> FaceTable:
    table = load_faces(pack)
    return table.split(split) if (table.rows["split"] == split).any() else table
