"""Many trainings as one run: nested in MLflow, resumable, and drawn as accuracy against speed."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.faces import find_faces, load_faces
from toolkit.errors import ConfigError, ModelError, StoreUnavailable
from toolkit.experiment import Experiment, as_plain, as_yaml, build
from toolkit.learn_run import run_training
from toolkit.models.checkpoint import Checkpoint
from toolkit.models.predictor import Predictor
from toolkit.tracking import RunRecord, add_to_run, run_name
from toolkit.training.beginning import check_it_begins
from toolkit.training.config import TrainConfig
from toolkit.training.loop import OnEpoch, OnProgress
from toolkit.training.ranks import Ranks
from toolkit.training.state import STATE_FILE
from toolkit.training.sweep_figure import speed_figure

_logger = logging.getLogger(__name__)

POINT_FILE = "point.json"
SPEED_BATCH = 32
SPEED_ROUNDS = 5
"""The quickest of so many: on a shared machine the others tell of its neighbours."""

OnPoint = Callable[[int, int, dict[str, Any]], None]
"""Called after each point: its number from 1, points in all, its row."""


@dataclass(frozen=True)
class SweepPoint:
    """One training of a sweep.

    Attributes:
        name: its settings in words, such as ``image_px=64, backbone=resnet10t``.
        settings: what the grid says of it.
        config: of the training; its ``out_dir`` is named after all settings and what lies in the files they
            name, so that a point whose experiment or data were changed is another point.
    """

    name: str
    settings: dict[str, Any]
    config: TrainConfig

    @property
    def folder(self) -> Path:
        """Where its checkpoint, state and result lie."""
        return Path(self.config.out_dir)


def sweep_points(experiment: Experiment, out_dir: Path) -> list[SweepPoint]:
    """All combinations of the grid, the last key varying quickest.

    Raises:
        ConfigError: the experiment lacks ``train`` or ``sweep``, or a value in the grid is not right.
        DataError: there is no such pack.
    """
    if experiment.train is None or experiment.sweep is None:
        raise ConfigError(f"experiment {experiment.name!r} needs the parts 'train' and 'sweep' for a sweep")
    points = []
    file_sha256 = cache(_sha256)
    for values in itertools.product(*experiment.sweep.grid.values()):
        settings = dict(zip(experiment.sweep.grid, values, strict=True))
        name = ", ".join(f"{key}={value}" for key, value in settings.items())
        plain = asdict(experiment.train) | settings | {"out_dir": ""}
        config = build(TrainConfig, plain, f"sweep point {name}")
        files = [file_sha256(str(find_faces(config.data)))]
        if config.init is not None and Path(config.init).is_file():
            files.append(file_sha256(config.init))
        # Of the values as they were written: a sweep begun earlier finds its folders again.
        digest = hashlib.sha256(json.dumps([plain, files], sort_keys=True).encode()).hexdigest()[:12]
        points.append(SweepPoint(name, settings, replace(config, out_dir=str(out_dir / digest))))
    return points


def run_sweep(
    experiment: Experiment,
    out_dir: Path,
    on_point: OnPoint | None = None,
    on_progress: OnProgress | None = None,
    on_epoch: OnEpoch | None = None,
) -> dict[str, Any]:
    """Train every point that has not been trained in ``out_dir``, and compare all.

    A point that was ended in the middle goes on after its last epoch. Ctrl-C ends the sweep at once; what is
    finished is compared, and the next call goes on.

    Args:
        experiment: with parts ``train`` and ``sweep``.
        out_dir: one folder per point, and the picture.
        on_point: called after each point, also one that was finished before.
        on_progress: called after each training step.
        on_epoch: called after each epoch.

    Returns:
        ``points`` (a row each: settings, scores on validation, ``images_per_s``, ``parameters``, its run),
        ``left`` (points not trained), ``figure`` (path of the picture) and ``mlflow_run_id``.

    Raises:
        ConfigError, ModelError: as :func:`sweep_points`; a point cannot be trained, which is told before the
            first is; or ``torchrun`` started this, whose processes would wait for each other for ever.
    """
    if Ranks().count > 1:
        raise ConfigError("a sweep trains in one process: start it without torchrun")
    points = sweep_points(experiment, out_dir)
    _check([point for point in points if _finished(point) is None])
    record = RunRecord("train", run_name(experiment.name), as_plain(experiment), {"kind": "sweep"})
    record.log_text(as_yaml(experiment), "experiment.yaml")
    rows: list[dict[str, Any]] = []
    status = "FAILED"
    try:
        # Wherever it comes: a point that was not finished is taken up by the next call.
        with suppress(KeyboardInterrupt):
            for number, point in enumerate(points, start=1):
                row = _finished(point) or _train_point(experiment, point, record, on_progress, on_epoch)
                if row is None:
                    break
                rows.append(row)
                if on_point:
                    on_point(number, len(points), row)
        figure = out_dir / "accuracy-against-speed.png"
        if rows:
            speed_figure(rows).savefig(figure, dpi=120)
            record.log_file(figure)
            record.log_table(rows, "points.json")
        status = "FINISHED" if len(rows) == len(points) else "KILLED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        run_id = record.close(status)
    left = len(points) - len(rows)
    return {"points": rows, "left": left, "figure": str(figure) if rows else None, "mlflow_run_id": run_id}


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _finished(point: SweepPoint) -> dict[str, Any] | None:
    path = point.folder / POINT_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _faces_of(data: str) -> int:
    """How many of a pack are there to learn from; a few may still be left out as look-alikes."""
    return len(load_faces(data, "train"))


def _check(points: Sequence[SweepPoint]) -> None:
    """Name a point that cannot be trained before the others are, and not after their hours."""
    faces = cache(_faces_of)
    for point in points:
        try:
            check_it_begins(point.config, faces(point.config.data))
        except (ConfigError, ModelError) as error:
            raise type(error)(f"sweep point {point.name}: {error}") from error


def _train_point(
    experiment: Experiment,
    point: SweepPoint,
    record: RunRecord,
    on_progress: OnProgress | None,
    on_epoch: OnEpoch | None,
) -> dict[str, Any] | None:
    """Train one point; None if it was interrupted."""
    one = replace(experiment, name=f"{experiment.name}: {point.name}", train=point.config, sweep=None)
    resume = (point.folder / STATE_FILE).is_file()
    result = run_training(one, None, on_progress, on_epoch, resume, _nested_in(record))
    if result["was_interrupted"] or result["checkpoint"] is None:
        return None
    row = _row(point, result)
    _note_speed(row)
    part = point.folder / f"{POINT_FILE}.part"
    part.write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
    part.replace(point.folder / POINT_FILE)
    return row


def _note_speed(row: Mapping[str, Any]) -> None:
    """Into the run of the training too: its speed stands beside its accuracy wherever runs are compared."""
    if row["mlflow_run_id"] is None:
        return
    values = {"model/images_per_s": row["images_per_s"], "model/parameters": float(row["parameters"])}
    try:
        add_to_run(row["mlflow_run_id"], values)
    except StoreUnavailable as error:
        _logger.warning("the speed of %s is in its table alone: %s", row["name"], error)


def _row(point: SweepPoint, result: Mapping[str, Any]) -> dict[str, Any]:
    checkpoint = Checkpoint.load(result["checkpoint"])
    best = result["epochs"][result["best_epoch"] - 1]
    scores = {name.removeprefix("val/"): value for name, value in best.items() if name.startswith("val/")}
    return {
        "name": point.name,
        **point.settings,
        **scores,
        "best_epoch": result["best_epoch"],
        "train_images_per_s": best["train/images_per_s"],
        "images_per_s": measure_images_per_s(Predictor(checkpoint, point.config.device)),
        "parameters": sum(tensor.numel() for tensor in checkpoint.network.parameters()),
        "checkpoint": str(result["checkpoint"]),
        "mlflow_run_id": result["mlflow_run_id"],
    }


def measure_images_per_s(predictor: Predictor) -> float:
    """Pictures a second of a model, in batches of 32 of its own size, resizing and read-out included."""
    side_px = predictor.card.image_px
    pictures = np.random.default_rng(0).integers(0, 256, (SPEED_BATCH, side_px, side_px, 3), dtype=np.uint8)
    predictor.predict_arrays(list(pictures))
    quickest_s = float("inf")
    for _ in range(SPEED_ROUNDS):
        started_at = time.perf_counter()
        predictor.predict_arrays(list(pictures))
        quickest_s = min(quickest_s, time.perf_counter() - started_at)
    return SPEED_BATCH / quickest_s


def _nested_in(record: RunRecord) -> dict[str, str]:
    """The tag that nests a run in another, whose id its thread may not have yet."""
    run_id = record.wait_for_id()
    if run_id is None:
        _logger.warning("the sweep has no MLflow run of its own: its trainings are recorded side by side")
        return {}
    return {"mlflow.parentRunId": run_id}
