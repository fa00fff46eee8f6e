"""The street: many cameras, one model for all, a label for each person."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np

from toolkit.errors import ConfigError, SourceError
from toolkit.live.camera import Address, Camera, CameraConfig, OpenSource
from toolkit.live.detect import FaceDetector, WholeFrame
from toolkit.live.inference import Inference, Predict
from toolkit.live.lane import Job, Lane
from toolkit.live.look import Look
from toolkit.live.mailbox import Mailbox, MailRoom
from toolkit.live.pipeline_config import PipelineConfig
from toolkit.live.source import open_source
from toolkit.live.track import FaceTracker, looks_together
from toolkit.live.turns import Turns
from toolkit.records import Frame, FrameResult
from toolkit.stats import LatencyMeter, RateMeter, StageTimes

logger = logging.getLogger(__name__)

Listener = Callable[[FrameResult], None]
"""Told of every result, in order for each camera; it must be quick, the street waits for it."""


# Nobody leaves more there than frames are in hand.
_NO_LIMIT = 1 << 30


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
        detect: finds faces; or :class:`WholeFrame`, and the model gets whole frames.
        predict: see :data:`Predict`. What it says of a whole frame is the result's ``answer``, and can be
            anything.
        config: see :class:`PipelineConfig`.
        camera_config: how the cameras are read.
        listeners: see :data:`Listener`.
        opener: stands in for :func:`open_source`.
    """

    def __init__(
        self,
        cameras: Mapping[str, Address],
        detect: FaceDetector | WholeFrame,
        predict: Predict,
        config: PipelineConfig | None = None,
        camera_config: CameraConfig | None = None,
        listeners: Iterable[Listener] = (),
        opener: OpenSource = open_source,
    ) -> None:
        self.config = config or PipelineConfig()
        self._camera_config = camera_config or CameraConfig()
        self._workers = self.config.workers or usable_cores()
        # Cameras share the cores, so none of many gets FFmpeg's threads for all of them.
        self._threads_each = max(1, self._workers // max(1, len(cameras)))
        is_ours = opener is open_source
        self._opener = partial(open_source, decode_threads=self._threads_each) if is_ours else opener
        self._detect = detect
        # A plain function has none; a predictor says what runs its network.
        self._runtime = getattr(predict, "runtime", None)
        self._listeners = list(listeners)
        self._stages = StageTimes()
        self._look = Look(detect, self.config, self._stages)
        self._turns = Turns(self._workers)
        self._room: MailRoom[Frame] = MailRoom()
        self._in_hand = 0
        self._done: Mailbox[Job] = Mailbox(_NO_LIMIT)
        self._inference = Inference(
            self._timed(predict),
            self.config.batch_size,
            self.config.max_wait_s,
            calls_at_a_time=self._workers,
            on_answered=self._done.put,
        )
        self._lanes: dict[str, Lane] = {}
        self._lane_of: dict[Mailbox[Frame], Lane] = {}
        self._rate = RateMeter()
        self._latency = LatencyMeter()
        self._threads: list[threading.Thread] = []
        self._opencv_threads = 0
        self._is_stopping = False
        for name, address in cameras.items():
            self._lanes[name] = self._make_lane(name, address)

    def start(self) -> None:
        """Open the cameras and begin.

        Raises:
            SourceError: a camera cannot be opened; those opened before it are closed again.
        """
        if self._threads:
            return
        # OpenCV would start a thread for each core, in every worker.
        self._opencv_threads = cv2.getNumThreads()
        cv2.setNumThreads(self._threads_each)
        self._inference.start()
        names = [f"look-{number}" for number in range(self._workers)]
        self._threads = [threading.Thread(target=self._look_at_all, name=name, daemon=True) for name in names]
        self._threads.append(threading.Thread(target=self._finish_all, name="finish-frames", daemon=True))
        for thread in self._threads:
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
            SourceError: it cannot be opened, or the street is being stopped.
            ConfigError: a camera of that name runs already.
        """
        lane = self._make_lane(name, address)
        with self._room.lock:
            old = self._lanes.get(name)
            if old is not None and not old.camera.mailbox.is_closed:
                raise ConfigError(f"a camera {name!r} runs already; remove_camera() it first")
            # Frames of a predecessor of that name are settled in its own books before the new ones begin.
            self._room.changed.wait_for(lambda: old is None or old.camera.ledger.counts().in_flight == 0)
            self._lanes[name] = lane
        self._begin(lane)
        try:
            if self._is_stopping:
                # It came too late for stop() to see it.
                raise SourceError(f"camera {name!r} cannot be added: the street is being stopped")
            lane.camera.wait_until_opened()
        except SourceError:
            lane.camera.stop()
            self._room.remove(lane.camera.mailbox)
            # It has read nothing; the books of a predecessor of that name stay.
            with self._room.lock:
                if old is None:
                    del self._lanes[name]
                else:
                    self._lanes[name] = old
            raise

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

    def change(self, config: PipelineConfig) -> None:
        """Go on with other settings, from the next frame and batch on; no frame is lost.

        Raises:
            ConfigError: ``workers`` or ``tracker`` differ, which stay as they are while the street runs.
        """
        if replace(config, workers=self.config.workers, tracker=self.config.tracker) != config:
            raise ConfigError("workers and tracker cannot be changed while the street runs; start it anew")
        self._inference.change(config.batch_size, config.max_wait_s)
        self._look.change(config)
        with self._room.lock:
            self.config = config
            # More frames may be in hand now.
            self._room.arrived.notify_all()

    def use_model(self, predict: Predict) -> None:
        """Ask another model from the next batch on; no frame is lost.

        Persons keep the votes that the model before has cast for them.
        """
        self._inference.use(self._timed(predict))
        self._runtime = getattr(predict, "runtime", None)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until every camera has ended and every frame has its result; False after ``timeout_s``."""
        with self._room.lock:
            return self._room.changed.wait_for(self._is_done, timeout_s)

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Stop the cameras, finish what is in hand, end all threads; may be called twice.

        Returns:
            False when something is stuck beyond ``timeout_s``; the log names it.
        """
        deadline = time.monotonic() + timeout_s

        def left_s() -> float:
            return max(0.0, deadline - time.monotonic())

        self._is_stopping = True
        # From the street's beginning to its end, so that no stage gets work from one already closed.
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.camera.ask_to_stop()
        stuck = [lane.camera.camera_id for lane in lanes if not lane.camera.stop(left_s())]
        self._room.close()
        for thread in self._threads[:-1]:
            thread.join(left_s())
        if not self._inference.close(left_s()):
            stuck.append("the model")
        self._done.close()
        for thread in self._threads[-1:]:
            thread.join(left_s())
            cv2.setNumThreads(self._opencv_threads)
        stuck += [thread.name for thread in self._threads if thread.is_alive()]
        if stuck:
            logger.error("still busy %.1f s after stop: %s", timeout_s, ", ".join(stuck))
        return not stuck

    def statistics(self) -> dict[str, Any]:
        """Books, rates and latencies of the run so far, as plain values.

        ``frames_per_s`` is over the whole run, ``frames_per_s_now`` over the last seconds; latencies are in
        milliseconds from capture to result. ``stages``: see :class:`StageTimes`; "arrive" is from capture
        until somebody looks at the frame, "convert" makes the detector's picture of it, "answer" is from the
        end of that look until the model has answered for every face of the frame, "infer" one call of the
        model for a batch.
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
        batches = self._inference.get_statistics()
        return {
            "cameras": cameras,
            "frames_per_s": round(self._rate.total_per_s, 2),
            "frames_per_s_now": round(self._rate.per_s, 2),
            "latency_ms": self._latency.snapshot_ms(),
            "persons": sum(lane.tracker.persons for lane in lanes.values()),
            "detector": self._detect.name,
            "runtime": None if self._runtime is None else self._runtime.described(),
            "looks": looks_together(lane.tracker.looks() for lane in lanes.values()),
            "stages": self._stages.snapshot(),
            "queues": {
                "mailboxes": sum(len(lane.camera.mailbox) for lane in lanes.values()),
                "frames_in_hand": self._in_hand,
                "crops": batches["waiting"],
            },
            "batches": batches,
        }

    def __enter__(self) -> LivePipeline:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _make_lane(self, name: str, address: Address) -> Lane:
        settings = (self._camera_config, self._room, self._opener, self._look.prepare, self._stages)
        camera = Camera(name, address, *settings, self._turns)
        return Lane(camera, FaceTracker(self.config.tracker))

    def _begin(self, lane: Lane) -> None:
        self._lane_of[lane.camera.mailbox] = lane
        self._room.add(lane.camera.mailbox)
        lane.camera.begin()

    def _is_done(self) -> bool:
        return all(
            lane.camera.mailbox.is_closed and lane.camera.ledger.counts().in_flight == 0
            for lane in self._lanes.values()
        )

    def _look_at_all(self) -> None:
        while (taken := self._take()) is not None:
            job = self._look(*taken)
            with self._room.lock:
                job.lane.jobs.append(job)
                job.lane.is_looked_at = False
                # Of a recording, unless the street is full and can only go on with an answer.
                is_full = self._in_hand >= self.config.frames_in_hand
                job.is_patient = not (job.lane.camera.mailbox.newest_wins or is_full)
                self._room.arrived.notify()
            if job.crops:
                self._inference.submit(job)
            else:
                self._done.put(job)

    def _take(self) -> tuple[Lane, Frame] | None:
        with self._room.lock:
            taken = self._room.take(self._may_take)
            if taken is None:
                return None
            lane = self._lane_of[taken[0]]
            lane.is_looked_at = True
            lane.in_hand += 1
            self._in_hand += 1
            return lane, taken[1]

    def _may_take(self, box: Mailbox[Frame]) -> bool:
        lane = self._lane_of[box]
        most = self.config.live_frames_in_hand if box.newest_wins else self.config.frames_in_hand
        return not lane.is_looked_at and lane.in_hand < most and self._in_hand < self.config.frames_in_hand

    def _timed(self, predict: Predict) -> Predict:
        def timed(crops: Sequence[np.ndarray]) -> Sequence[Any]:
            started = time.monotonic()
            try:
                return predict(crops)
            finally:
                self._stages.add("infer", time.monotonic() - started)

        return timed

    def _finish_all(self) -> None:
        while (job := self._done.take()) is not None:
            job.is_done = True
            # A later batch may be answered before an earlier one; the results of a camera stay in order.
            jobs = job.lane.jobs
            while jobs and jobs[0].is_done:
                self._finish(jobs.popleft())

    def _finish(self, job: Job) -> None:
        """Count the votes, tell everybody, settle the frame."""
        try:
            result = self._result(job)
        except Exception as error:  # noqa: BLE001 - what the model raised, or said amiss, fails this frame alone
            for track in job.asked:
                job.lane.tracker.withdraw(track)
            self._fail(job.lane, job.frame, error)
            return
        for latency in (job.lane.latency, self._latency):
            latency.add(result.latency_s)
        for rate in (job.lane.rate, self._rate):
            rate.tick()
        self._tell(result)
        self._stages.add("answer", result.finished_at - job.looked_at)
        self._stages.add("listeners", time.monotonic() - result.finished_at)
        self._settle(job.lane, job.frame, "analysed")

    def _result(self, job: Job) -> FrameResult:
        if job.error is not None:
            raise job.error
        tracker = job.lane.tracker
        if isinstance(self._detect, WholeFrame):
            return FrameResult(job.frame, (), time.monotonic(), job.answers[0])
        for track, prediction in zip(job.asked, job.answers, strict=True):
            tracker.vote(track, prediction)
        return FrameResult(job.frame, tuple(map(tracker.with_label, job.tracks)), time.monotonic())

    def _tell(self, result: FrameResult) -> None:
        for listener in self._listeners:
            try:
                listener(result)
            except Exception:
                logger.exception("a listener failed; the run goes on")

    def _fail(self, lane: Lane, frame: Frame, error: Exception) -> None:
        if lane.analysis_error is None:
            logger.error("camera %s: analysis of frame %d failed", frame.camera, frame.index, exc_info=error)
        # Its call stack would keep the frame, and with it the picture, alive.
        lane.analysis_error = error.with_traceback(None)
        self._settle(lane, frame, "failed", type(error).__name__)

    def _settle(self, lane: Lane, frame: Frame, fate: Any, cause: str | None = None) -> None:
        lane.camera.ledger.settle(frame.index, fate, cause)
        with self._room.lock:
            lane.in_hand -= 1
            self._in_hand -= 1
            self._room.arrived.notify()
            # Only then may somebody be waiting for it.
            if lane.camera.mailbox.is_closed:
                self._room.changed.notify_all()


def usable_cores() -> int:
    """Cores this process may use; a container or taskset may leave fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
