"""One live run: the street, its record in MLflow, and a sample picture a camera."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import ConfigError, SourceError
from toolkit.experiment import Experiment, LiveConfig, as_plain, as_yaml
from toolkit.live.events import EventLog
from toolkit.live.listeners import BestPictures, LabelLog, NewestLatencies
from toolkit.live.overlay import draw_zones
from toolkit.live.people_counter import PeopleCounter
from toolkit.live.picture import annotate, encode_jpeg
from toolkit.live.pipeline import Listener, LivePipeline
from toolkit.live.watch import live_metrics
from toolkit.live_changes import Steering
from toolkit.live_parts import MakePipeline, MakePredictor, make_pipeline, make_predictor
from toolkit.records import FrameResult
from toolkit.resources import ResourceMeter
from toolkit.tracking import RunRecord, prepare_store, run_name

logger = logging.getLogger(__name__)

_LOOK_S = 0.02

Progress = Callable[[dict[str, Any], float], None]
"""``on_progress(statistics, elapsed_s)``, a few times a second, in the caller's thread."""


@dataclass(frozen=True)
class LiveReport:
    """What a live run leaves.

    Attributes:
        statistics: see :meth:`LiveRun.statistics`, with ``elapsed_s`` and ``mlflow_run_id``.
        labels: rows of who was labelled what, and when.
        pictures: camera to its annotated sample picture.
        events: rows of what happened to the cameras and the settings, and when (:class:`EventLog`).
    """

    statistics: dict[str, Any]
    labels: list[dict[str, Any]]
    pictures: dict[str, Path]
    events: list[dict[str, Any]] = field(default_factory=list)


class LiveRun:
    """One live run, step by step: whoever shows it keeps the time.

    ::

        run = LiveRun(experiment, out_dir)
        run.start()
        while not run.wait(0.25):
            show(run.statistics())
        report = run.finish()

    Args:
        experiment: must have a part ``live``.
        out_dir: folder for the sample pictures.
        blur_faces: hide who is in the sample pictures.
        listeners: told of every result, beside those that make the report.
        make: stands in for :func:`make_pipeline`.
        load: stands in for :func:`make_predictor` when the model is changed.

    Attributes:
        events: what happened so far.
        newest: the statistics of the last second, made by :meth:`wait`; empty before the start.

    Raises:
        ConfigError: the experiment has no part ``live``.
        ModelError: the detector or the model cannot be loaded.
    """

    def __init__(
        self,
        experiment: Experiment,
        out_dir: Path,
        blur_faces: bool = True,
        listeners: Iterable[Listener] = (),
        make: MakePipeline = make_pipeline,
        load: MakePredictor = make_predictor,
    ) -> None:
        if experiment.live is None:
            raise ConfigError(
                f"experiment {experiment.name!r} has no part 'live': live: {{cameras: {{...}}}}"
            )
        self._experiment = experiment
        self.events = EventLog()
        self.newest: dict[str, Any] = {}
        self._duration_s = math.inf if experiment.live.duration_s is None else experiment.live.duration_s
        self._out_dir = out_dir
        self._blur_faces = blur_faces
        self._best = BestPictures()
        self._labels = LabelLog()
        self._latencies = NewestLatencies()
        self._counter = PeopleCounter(experiment.live.zones, experiment.live.lines, experiment.live.count)
        self._resources = ResourceMeter()
        own = (self._latencies, self._best, self._labels, self._counter)
        self._pipeline = make(experiment.live, (*own, *listeners))
        self._steering = Steering(self._pipeline, experiment.live, load, self._counter.watch)

    def start(self) -> None:
        """Open the cameras and begin to record.

        Raises:
            SourceError: no camera can be opened, or one that cannot come back.
        """
        # Before the first frame: loading MLflow beside the street would slow its first seconds.
        prepare_store()
        try:
            self._pipeline.start()
            _refuse_if_none_is_there(self._pipeline)
            self._resources = ResourceMeter()
            self._started = self._recorded_at = time.monotonic()
            self.newest = self.statistics()
            # Last: a record that was begun has to be closed, too.
            name = self._experiment.name
            self._record = RunRecord("live", run_name(name), as_plain(self._experiment))
            self._record.log_text(as_yaml(self._experiment), "experiment.yaml")
        except BaseException:
            # Ctrl-C while the cameras are opened: the caller has nothing yet that it could finish.
            self._pipeline.stop()
            raise

    @property
    def live(self) -> LiveConfig:
        """The settings in force."""
        return self._steering.live

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def statistics(self) -> dict[str, Any]:
        """See :meth:`LivePipeline.statistics`; with ``resources`` (:meth:`ResourceMeter.snapshot`), and with
        the ``zones`` and ``lines`` of each camera (:meth:`PeopleCounter.counts`).
        """
        statistics = self._pipeline.statistics() | {"resources": self._resources.snapshot()}
        for camera, values in statistics["cameras"].items():
            values |= self._counter.counts(camera)
        return statistics

    def picture(self, result: FrameResult, blur_faces: bool = True, width_px: int = 1280) -> np.ndarray:
        """A result as a picture: boxes, labels, zones, lines and their counts now; (H, W, 3) uint8 BGR."""
        image, camera, live = annotate(result, blur_faces, width_px), result.frame.camera, self.live
        counts = self._counter.counts(camera)
        # Those that are being changed just now may not be counted yet, or no longer.
        zones = {name: zone for name, zone in live.zones.get(camera, {}).items() if name in counts["zones"]}
        lines = {name: line for name, line in live.lines.get(camera, {}).items() if name in counts["lines"]}
        draw_zones(image, result.frame.size_wh, zones, lines, counts)
        return image

    def change(self, to: LiveConfig) -> None:
        """Go on with other cameras, another model, or other settings of the street; no frame is lost.

        Takes as long as a camera takes to open and a model to load; call it in a thread of its own.

        Raises:
            ConfigError: a setting differs that cannot be changed while the run is on.
            SourceError: a camera cannot be opened.
            ModelError: the model cannot be loaded.
        """
        self._steering.change(to, lambda what: self.events.note("changed", what, self.elapsed_s))

    def wait(self, timeout_s: float) -> bool:
        """Let it run for ``timeout_s``; call it several times a second, the rates are recorded here.

        Returns:
            True when every camera has ended or ``live.duration_s`` is over.
        """
        if self._pipeline.wait(max(0.0, min(timeout_s, self._duration_s - self.elapsed_s))):
            return True
        if time.monotonic() - self._recorded_at >= 1.0:
            self._recorded_at = time.monotonic()
            self._record_now()
        return self.elapsed_s >= self._duration_s

    def finish(self, status: str = "FINISHED") -> LiveReport:
        """Stop the street, save the pictures, complete the record; ``status`` is a word of MLflow."""
        elapsed_s = self.elapsed_s
        try:
            self._pipeline.stop()
            statistics = self.statistics() | {"elapsed_s": round(elapsed_s, 3)}
            pictures = self._save_pictures()
            for path in pictures.values():
                self._record.log_file(path, "pictures")
            self._record.log_metrics(live_metrics(statistics), step=round(elapsed_s))
            self._record.log_table(self._labels.rows(), "labels.json")
            if events := self.events.rows():
                self._record.log_table(events, "events.json")
        finally:
            # Whatever failed: a run that is over must not stay RUNNING in MLflow.
            run_id = self._record.close(status)
        statistics["mlflow_run_id"] = run_id
        return LiveReport(statistics, self._labels.rows(), pictures, events)

    def _record_now(self) -> None:
        """One call a second: what the last seconds were like, and the counts so far."""
        self.newest = statistics = self.statistics()
        self.events.look(statistics, self.elapsed_s)
        now: dict[str, float | None] = {
            "live/fps_now": statistics["frames_per_s_now"],
            "live/cpu_cores_used_now": statistics["resources"]["cpu_cores_used"],
        }
        now |= {f"live/{c}/fps_now": v["frames_per_s_now"] for c, v in statistics["cameras"].items()}
        now |= {f"live/latency_{name}_ms_now": value for name, value in self._latencies.take_ms().items()}
        self._record.log_metrics(live_metrics(statistics) | now, step=round(self.elapsed_s))

    def _save_pictures(self) -> dict[str, Path]:
        pictures = {}
        for camera, result in self._best.results().items():
            path = self._out_dir / f"{camera}.jpg"
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encode_jpeg(self.picture(result, self._blur_faces), quality=90))
            except OSError as error:
                logger.error("camera %s leaves no sample picture: %s", camera, error)
            except Exception:
                # A model of the user's whose answers cannot be drawn.
                logger.exception("camera %s leaves no sample picture", camera)
            else:
                pictures[camera] = path
        return pictures


def run_live(
    experiment: Experiment,
    out_dir: Path,
    on_progress: Progress = lambda statistics, elapsed_s: None,
    blur_faces: bool = True,
    listeners: Iterable[Listener] = (),
) -> LiveReport:
    """Run until the cameras end, ``live.duration_s`` is over, or Ctrl-C; then save, record, report.

    Args and errors are those of :class:`LiveRun`; for ``on_progress`` see :data:`Progress`.
    """
    run = LiveRun(experiment, out_dir, blur_faces, listeners)
    run.start()
    status = "FAILED"
    try:
        while not run.wait(0.25):
            on_progress(run.statistics(), run.elapsed_s)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        logger.info("stopped by hand after %.1f s", run.elapsed_s)
    finally:
        report = run.finish(status)
    return report


def _refuse_if_none_is_there(pipeline: LivePipeline) -> None:
    """A run that waits for one lost camera is useful; one where every address is wrong is a mistake."""
    while True:
        cameras = pipeline.statistics()["cameras"]
        states = {values["state"] for values in cameras.values()}
        if states == {"retrying"}:
            raise SourceError("no camera can be opened: " + "; ".join(v["error"] for v in cameras.values()))
        # Cameras that may be waited for are opened in the background, and each has a limit for that.
        if not states <= {"connecting", "retrying"}:
            return
        time.sleep(_LOOK_S)
