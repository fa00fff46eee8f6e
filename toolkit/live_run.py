"""One live run: the street, its record in MLflow, and a sample picture a camera."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import ConfigError, ModelError, SourceError
from toolkit.experiment import Experiment, LiveConfig, as_plain, as_yaml
from toolkit.live.detect import FaceDetector, HaarDetector, YuNetDetector
from toolkit.live.listeners import BestPictures, LabelLog
from toolkit.live.picture import annotate, encode_jpeg
from toolkit.live.pipeline import Listener, LivePipeline
from toolkit.models.catalogue import find_model
from toolkit.models.predictor import Predictor
from toolkit.tracking import RunRecord, prepare_store, run_name

logger = logging.getLogger(__name__)

Progress = Callable[[dict[str, Any], float], None]
"""``on_progress(statistics, elapsed_s)``, a few times a second, in the caller's thread."""


@dataclass(frozen=True)
class LiveReport:
    """What a live run leaves.

    Attributes:
        statistics: see :meth:`LivePipeline.statistics`, with ``elapsed_s`` and ``mlflow_run_id``.
        labels: rows of who was labelled what, and when.
        pictures: camera to its annotated sample picture.
    """

    statistics: dict[str, Any]
    labels: list[dict[str, Any]]
    pictures: dict[str, Path]


def make_detector(config: LiveConfig) -> FaceDetector:
    """The face detector an experiment asks for; "auto" falls back to Haar, and the log says why.

    Raises:
        ModelError: YuNet is asked for by name, and its file cannot be had.
    """
    if config.detector == "haar":
        return HaarDetector(config.detector_longest_side_px)
    try:
        return YuNetDetector(find_model("yunet"), config.detector_longest_side_px)
    except ModelError as error:
        if config.detector == "yunet":
            raise
        logger.warning("the Haar cascade finds the faces, and misses turned and small ones: %s", error)
        return HaarDetector(config.detector_longest_side_px)


def make_pipeline(config: LiveConfig, listeners: Iterable[Listener] = ()) -> LivePipeline:
    """The street an experiment asks for, with its detector and model, not started yet.

    Raises:
        ModelError: the detector or the model cannot be loaded.
    """
    predictor = Predictor.load(config.checkpoint, config.device, threads=config.threads)
    # The first call of a model prepares its kernels; no camera should wait for that.
    predictor([np.zeros((64, 64, 3), np.uint8)])
    return LivePipeline(
        config.cameras,
        detect=make_detector(config),
        predict=predictor,
        config=config.pipeline,
        camera_config=config.camera,
        listeners=listeners,
    )


def run_live(
    experiment: Experiment,
    out_dir: Path,
    on_progress: Progress = lambda statistics, elapsed_s: None,
    blur_faces: bool = True,
) -> LiveReport:
    """Run until the cameras end, ``live.duration_s`` is over, or Ctrl-C; then save, record, report.

    Args:
        experiment: must have a part ``live``.
        out_dir: folder for the sample pictures.
        on_progress: see :data:`Progress`.
        blur_faces: hide who is in the sample pictures.

    Raises:
        ConfigError: the experiment has no part ``live``.
        SourceError: no camera can be opened, or one that cannot come back.
        ModelError: the detector or the model cannot be loaded.
    """
    config = experiment.live
    if config is None:
        raise ConfigError(f"experiment {experiment.name!r} has no part 'live': live: {{cameras: {{...}}}}")
    best = BestPictures()
    labels = LabelLog()
    pipeline = make_pipeline(config, (best, labels))
    # Before the first frame: loading MLflow beside the street would slow its first seconds.
    prepare_store()
    pipeline.start()
    _refuse_if_none_is_there(pipeline)
    record = RunRecord("live", run_name(experiment.name), as_plain(experiment))
    record.log_text(as_yaml(experiment), "experiment.yaml")
    started = time.monotonic()
    status = "FINISHED"
    try:
        _watch(pipeline, record, config.duration_s, started, on_progress)
    except KeyboardInterrupt:
        status = "KILLED"
        logger.info("stopped by hand after %.1f s", time.monotonic() - started)
    finally:
        elapsed_s = time.monotonic() - started
        pipeline.stop()
    statistics = pipeline.statistics() | {"elapsed_s": round(elapsed_s, 3)}
    pictures = _save_pictures(best, out_dir, blur_faces)
    for path in pictures.values():
        record.log_file(path, "pictures")
    record.log_metrics(live_metrics(statistics), step=round(elapsed_s))
    record.log_table(labels.rows(), "labels.json")
    statistics["mlflow_run_id"] = record.close(status)
    return LiveReport(statistics, labels.rows(), pictures)


def live_metrics(statistics: dict[str, Any]) -> dict[str, float | None]:
    """Metric names as they stand in MLflow: ``live/<camera>/fps``, ``live/latency_p99_ms``, ..."""
    metrics: dict[str, float | None] = {
        "live/fps": statistics["frames_per_s"],
        "live/persons": statistics["persons"],
        "live/batch_size_mean": statistics["batches"]["mean_batch_size"],
    }
    for name, milliseconds in statistics["latency_ms"].items():
        metrics[f"live/latency_{name}_ms"] = milliseconds
    for camera, values in statistics["cameras"].items():
        metrics[f"live/{camera}/fps"] = values["frames_per_s"]
        metrics[f"live/{camera}/latency_p99_ms"] = values["latency_ms"]["p99"]
        for count in ("read", "analysed", "skipped", "failed", "persons"):
            metrics[f"live/{camera}/{count}"] = values[count]
    return metrics


def _watch(
    pipeline: LivePipeline,
    record: RunRecord,
    duration_s: float | None,
    started: float,
    on_progress: Progress,
) -> None:
    """Report four times a second, record once a second, until the run is over."""
    recorded_at = started
    while True:
        elapsed_s = time.monotonic() - started
        left_s = 0.25 if duration_s is None else min(0.25, duration_s - elapsed_s)
        if left_s <= 0 or pipeline.wait(left_s):
            return
        statistics = pipeline.statistics()
        on_progress(statistics, time.monotonic() - started)
        if time.monotonic() - recorded_at >= 1.0:
            recorded_at = time.monotonic()
            now = {"live/fps_now": statistics["frames_per_s_now"]}
            now |= {f"live/{c}/fps_now": v["frames_per_s_now"] for c, v in statistics["cameras"].items()}
            record.log_metrics(now, step=round(recorded_at - started))


def _refuse_if_none_is_there(pipeline: LivePipeline) -> None:
    """A run that waits for one lost camera is useful; one where every address is wrong is a mistake."""
    cameras = pipeline.statistics()["cameras"]
    if all(values["state"] == "retrying" for values in cameras.values()):
        pipeline.stop()
        raise SourceError("no camera can be opened: " + "; ".join(v["error"] for v in cameras.values()))


def _save_pictures(best: BestPictures, out_dir: Path, blur_faces: bool) -> dict[str, Path]:
    pictures = {}
    for camera, result in best.results().items():
        path = out_dir / f"{camera}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_jpeg(annotate(result, blur_faces, width_px=1280), quality=90))
        pictures[camera] = path
    return pictures
