"""The street: many cameras, one detector, one batch for all, a label for each person."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolkit.crops import cut_crops
from toolkit.errors import ConfigError
from toolkit.live.answers import Answer
from toolkit.live.batch import BatchProcessor
from toolkit.live.camera import Address, Camera, CameraConfig, OpenSource
from toolkit.live.detect import FaceDetector
from toolkit.live.mailbox import Mailbox, MailRoom
from toolkit.live.source import open_source
from toolkit.live.track import FaceTracker, TrackerConfig, looks_together
from toolkit.records import Frame, FrameResult, Prediction, Track
from toolkit.stats import LatencyMeter, RateMeter, StageTimes

logger = logging.getLogger(__name__)

Predict = Callable[[Sequence[np.ndarray]], Sequence[Prediction]]
"""Crops (H, W, 3) uint8 BGR of any sizes in, one prediction for each out."""

Listener = Callable[[FrameResult], None]
"""Told of every result, in order for each camera; it must be quick, the street waits for it."""


@dataclass(frozen=True)
class PipelineConfig:
    """How the street runs.

    Attributes:
        crop_margin: border around a face box, as a share of its side; must suit the model.
        smallest_face_px: faces with a shorter longest side are followed but not analysed.
        batch_size: most crops in one call of the model.
        max_wait_s: longest wait of a crop for others.
        frames_in_hand: frames whose crops may be with the model at a time; more makes larger batches, and
            more latency when the model is slow.
        tracker: see :class:`TrackerConfig`.
    """

    # What suits the shipped model: toolkit.models.preprocess.LIVE_CROP_MARGIN.
    crop_margin: float = 0.05
    smallest_face_px: float = 20.0
    batch_size: int = 32
    max_wait_s: float = 0.01
    frames_in_hand: int = 8
    tracker: TrackerConfig = field(default_factory=TrackerConfig)

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.frames_in_hand < 1:
            raise ConfigError("batch_size and frames_in_hand must be at least 1")
        if not 0 <= self.max_wait_s < 10:
            raise ConfigError(f"max_wait_s must lie between 0 and 10 s, got {self.max_wait_s}")


@dataclass(eq=False)
class _Lane:
    """What belongs to one camera."""

    camera: Camera
    tracker: FaceTracker
    rate: RateMeter = field(default_factory=RateMeter)
    latency: LatencyMeter = field(default_factory=LatencyMeter)
    analysis_error: Exception | None = None


@dataclass(frozen=True, eq=False)
class _Job:
    """A frame whose faces are with the model."""

    lane: _Lane
    frame: Frame
    tracks: list[Track]
    asked: list[tuple[Track, Answer]]
    asked_at: float


class LivePipeline:
    """Runs cameras through detector, tracker and model, and tells listeners of every result.

    Every frame is accounted for: per camera, read = analysed + skipped + failed + in flight, at any moment.
    An analysis that raises fails its frames and nothing else.

    ::

        with LivePipeline({"door": "rtsp://door.example/1"}, detect=detector, predict=predictor) as street:
            street.wait(timeout_s=60)
            print(street.statistics())

    Args:
        cameras: name to address; more can be added while it runs.
        detect: see :class:`FaceDetector`.
        predict: see :data:`Predict`.
        config: see :class:`PipelineConfig`.
        camera_config: how the cameras are read.
        listeners: see :data:`Listener`.
        opener: stands in for :func:`open_source`.
    """

    def __init__(
        self,
        cameras: Mapping[str, Address],
        detect: FaceDetector,
        predict: Predict,
        config: PipelineConfig | None = None,
        camera_config: CameraConfig | None = None,
        listeners: Iterable[Listener] = (),
        opener: OpenSource = open_source,
    ) -> None:
        self.config = config or PipelineConfig()
        self._camera_config = camera_config or CameraConfig()
        self._opener = opener
        self._detect = detect
        self._listeners = list(listeners)
        self._room: MailRoom[Frame] = MailRoom()
        self._jobs: Mailbox[_Job] = Mailbox(self.config.frames_in_hand)
        self._stages = StageTimes()
        self._batch = BatchProcessor(self.config.batch_size, self.config.max_wait_s, self._timed(predict))
        self._lanes: dict[str, _Lane] = {}
        self._rate = RateMeter()
        self._latency = LatencyMeter()
        self._threads: list[threading.Thread] = []
        for name, address in cameras.items():
            self._lanes[name] = self._make_lane(name, address)

    def start(self) -> None:
        """Open the cameras and begin.

        Raises:
            SourceError: a camera cannot be opened; those opened before it are closed again.
        """
        if self._threads:
            return
        for target, name in ((self._find_all, "find-faces"), (self._finish_all, "finish-frames")):
            thread = threading.Thread(target=target, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        try:
            lanes = list(self._lanes.values())
            # All at once: one that hangs while it is opened does not delay the others.
            for lane in lanes:
                self._begin(lane)
            for lane in lanes:
                lane.camera.wait_until_opened()
        except BaseException:
            self.stop()
            raise

    def add_camera(self, name: str, address: Address) -> None:
        """Open one more camera while the others run.

        Raises:
            SourceError: it cannot be opened.
            ConfigError: a camera of that name runs already.
        """
        lane = self._make_lane(name, address)
        with self._room.changed:
            old = self._lanes.get(name)
            if old is not None and not old.camera.mailbox.is_closed:
                raise ConfigError(f"a camera {name!r} runs already; remove_camera() it first")
            # Frames of a predecessor of that name are settled in its own books before the new ones begin.
            self._room.changed.wait_for(lambda: old is None or old.camera.ledger.counts().in_flight == 0)
            self._lanes[name] = lane
        self._begin(lane)
        lane.camera.wait_until_opened()

    def remove_camera(self, name: str, timeout_s: float = 10.0) -> bool:
        """Stop one camera; its books stay in the statistics. False when a driver is stuck.

        Raises:
            ConfigError: there is no camera of that name.
        """
        lane = self._lanes.get(name)
        if lane is None:
            raise ConfigError(f"there is no camera {name!r}; known: {', '.join(self._lanes) or 'none'}")
        is_stopped = lane.camera.stop(timeout_s)
        self._room.remove(lane.camera.mailbox)
        return is_stopped

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until every camera has ended and every frame has its result; False after ``timeout_s``."""
        with self._room.changed:
            return self._room.changed.wait_for(self._is_done, timeout_s)

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Stop the cameras, finish what is in hand, end all threads; may be called twice.

        Returns:
            False when something is stuck beyond ``timeout_s``; the log names it.
        """
        deadline = time.monotonic() + timeout_s

        def left_s() -> float:
            return max(0.0, deadline - time.monotonic())

        # From the street's beginning to its end, so that no stage gets work from one already closed.
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.camera.ask_to_stop()
        stuck = [lane.camera.camera_id for lane in lanes if not lane.camera.stop(left_s())]
        self._room.close()
        for thread in self._threads[:1]:
            thread.join(left_s())
        self._jobs.close()
        if not self._batch.close(left_s()):
            stuck.append("the model")
        for thread in self._threads:
            thread.join(left_s())
            if thread.is_alive():
                stuck.append(thread.name)
        if stuck:
            logger.error("still busy %.1f s after stop: %s", timeout_s, ", ".join(stuck))
        return not stuck

    def statistics(self) -> dict[str, Any]:
        """Books, rates and latencies of the run so far, as plain values.

        ``frames_per_s`` is over the whole run, ``frames_per_s_now`` over the last seconds; latencies are in
        milliseconds from capture to result. ``stages``: see :class:`StageTimes`; "arrive" is from capture to
        the detector, "answer" from the detector's end until the model has answered for every face of a
        frame, "infer" one call of the model for a batch.
        """
        lanes = dict(self._lanes)
        cameras = {
            name: lane.camera.get_statistics()
            | {
                "frames_per_s": round(lane.rate.total_per_s, 2),
                "frames_per_s_now": round(lane.rate.per_s, 2),
                "latency_ms": lane.latency.snapshot_ms(),
                "persons": lane.tracker.persons,
                "looks": lane.tracker.looks(),
                "waiting": len(lane.camera.mailbox),
                "causes": lane.camera.ledger.causes(),
                "analysis_error": None if lane.analysis_error is None else repr(lane.analysis_error),
            }
            for name, lane in lanes.items()
        }
        batches = self._batch.get_statistics()
        return {
            "cameras": cameras,
            "frames_per_s": round(self._rate.total_per_s, 2),
            "frames_per_s_now": round(self._rate.per_s, 2),
            "latency_ms": self._latency.snapshot_ms(),
            "persons": sum(lane.tracker.persons for lane in lanes.values()),
            "detector": self._detect.name,
            "looks": looks_together(lane.tracker.looks() for lane in lanes.values()),
            "stages": self._stages.snapshot(),
            "queues": {
                "mailboxes": sum(len(lane.camera.mailbox) for lane in lanes.values()),
                "frames_in_hand": len(self._jobs),
                "crops": batches["waiting"],
            },
            "batches": batches,
        }

    def __enter__(self) -> LivePipeline:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _make_lane(self, name: str, address: Address) -> _Lane:
        camera = Camera(name, address, self._camera_config, self._room.changed, self._opener)
        return _Lane(camera, FaceTracker(self.config.tracker))

    def _begin(self, lane: _Lane) -> None:
        self._room.add(lane.camera.mailbox)
        lane.camera.begin()

    def _is_done(self) -> bool:
        return all(
            lane.camera.mailbox.is_closed and lane.camera.ledger.counts().in_flight == 0
            for lane in self._lanes.values()
        )

    def _find_all(self) -> None:
        while (frame := self._room.take()) is not None:
            lane = self._lanes[frame.camera]
            try:
                job = self._find_in(lane, frame)
            except Exception as error:  # noqa: BLE001 - whatever the detector raises fails this frame alone
                self._fail(lane, frame, error)
            else:
                self._jobs.put(job)

    def _find_in(self, lane: _Lane, frame: Frame) -> _Job:
        """Find the faces of a frame, follow them, and hand those that pay to the model."""
        started = time.monotonic()
        [detections] = self._detect([frame.image])
        found = time.monotonic()
        tracks = lane.tracker.update(detections, frame.captured_at)
        wanted = [
            track for track in tracks if self._is_large(track) and lane.tracker.wants_analysis(track, started)
        ]
        followed = time.monotonic()
        boxes_xyxy = np.array([track.box_xyxy for track in wanted], dtype=np.float32)
        crops = cut_crops(frame.image, boxes_xyxy, self.config.crop_margin)
        futures = self._batch.submit_many([crop.image for crop in crops])
        asked = [(wanted[crop.index], future) for crop, future in zip(crops, futures, strict=True)]
        cut = time.monotonic()
        self._stages.add("arrive", started - frame.captured_at)
        self._stages.add("detect", found - started)
        self._stages.add("track", followed - found)
        self._stages.add("cut", cut - followed)
        return _Job(lane, frame, tracks, asked, cut)

    def _timed(self, predict: Predict) -> Predict:
        def timed(crops: Sequence[np.ndarray]) -> Sequence[Prediction]:
            started = time.monotonic()
            try:
                return predict(crops)
            finally:
                self._stages.add("infer", time.monotonic() - started)

        return timed

    def _is_large(self, track: Track) -> bool:
        left, top, right, bottom = track.box_xyxy
        return max(right - left, bottom - top) >= self.config.smallest_face_px

    def _finish_all(self) -> None:
        while (job := self._jobs.take()) is not None:
            try:
                self._finish(job)
            except Exception as error:  # noqa: BLE001 - whatever the model raised fails this frame alone
                for track, _ in job.asked:
                    job.lane.tracker.withdraw(track)
                self._fail(job.lane, job.frame, error)

    def _finish(self, job: _Job) -> None:
        """Wait for the model, count the votes, tell everybody."""
        tracker = job.lane.tracker
        predictions = [(track, future.result()) for track, future in job.asked]
        for track, prediction in predictions:
            tracker.vote(track, prediction)
        result = FrameResult(job.frame, tuple(map(tracker.with_label, job.tracks)), time.monotonic())
        for latency in (job.lane.latency, self._latency):
            latency.add(result.latency_s)
        for rate in (job.lane.rate, self._rate):
            rate.tick()
        for listener in self._listeners:
            try:
                listener(result)
            except Exception:
                logger.exception("a listener failed; the run goes on")
        self._stages.add("answer", result.finished_at - job.asked_at)
        self._stages.add("listeners", time.monotonic() - result.finished_at)
        self._settle(job.lane, job.frame, "analysed")

    def _fail(self, lane: _Lane, frame: Frame, error: Exception) -> None:
        if lane.analysis_error is None:
            logger.error("camera %s: analysis of frame %d failed", frame.camera, frame.index, exc_info=error)
        lane.analysis_error = error
        self._settle(lane, frame, "failed", type(error).__name__)

    def _settle(self, lane: _Lane, frame: Frame, fate: Any, cause: str | None = None) -> None:
        lane.camera.ledger.settle(frame.index, fate, cause)
        with self._room.changed:
            self._room.changed.notify_all()
