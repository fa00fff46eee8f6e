"""The street: many cameras, one model for all, a label for each person."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from toolkit.cores import usable_cores
from toolkit.errors import ConfigError, SourceError, text_of
from toolkit.live.camera import Address, Camera, CameraConfig, OpenSource
from toolkit.live.detect import FaceDetector, WholeFrame
from toolkit.live.finish import Finish, Listener
from toolkit.live.gate import Gate, WayIn
from toolkit.live.inference import Inference, Predict
from toolkit.live.lane import Lane
from toolkit.live.look import Look
from toolkit.live.opencv_threads import opencv_threads
from toolkit.live.pipeline_config import PipelineConfig
from toolkit.live.source import open_source
from toolkit.live.track import FaceTracker, looks_together
from toolkit.live.turns import Turns
from toolkit.records import Frame
from toolkit.stats import StageTimes

logger = logging.getLogger(__name__)


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
        detect: finds faces, or faces and bodies; or :class:`WholeFrame`, and the model gets whole frames.
        predict: see :data:`Predict`. What it says of a whole frame is the result's ``answer``, and can be
            anything.
        config: see :class:`PipelineConfig`.
        camera_config: how the cameras are read.
        listeners: see :data:`Listener`.
        opener: stands in for :func:`open_source`.
        predict_bodies: says of a body what ``predict`` says of a face; asked for people whose face was not
            analysed yet. None asks nobody.
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
        predict_bodies: Predict | None = None,
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
        self._stages = StageTimes()
        self._look = Look(detect, self.config, self._stages, predict_bodies is not None)
        self._turns = Turns(self._workers)
        self._gate = Gate(self.config)
        self._finish = Finish(isinstance(detect, WholeFrame), listeners, self._stages, self._gate)
        self._inference = Inference(
            self._timed(predict),
            self.config.batch_size,
            self.config.max_wait_s,
            calls_at_a_time=self._workers,
            on_answered=self._finish.put,
            predict_bodies=None if predict_bodies is None else self._timed(predict_bodies),
            turns=self._turns_of_model(),
        )
        self._lanes: dict[str, Lane] = {}
        self._threads: list[threading.Thread] = []
        self._is_stopping = False
        for name, address in cameras.items():
            self._lanes[name] = self._make_lane(name, address)

    def start(self) -> None:
        """Open the cameras and begin.

        Raises:
            SourceError: a camera cannot be opened; those opened before it are closed again.
            ConfigError: the street was stopped before, or its start has failed.
        """
        if self._is_stopping:
            raise ConfigError("this street was stopped, or its start has failed; make a new one")
        if self._threads:
            return
        # OpenCV would start a thread for each core, in every worker.
        opencv_threads.limit(self, self._threads_each)
        self._inference.start()
        names = [f"look-{number}" for number in range(self._workers)]
        self._threads = [threading.Thread(target=self._look_at_all, name=name, daemon=True) for name in names]
        self._threads.append(threading.Thread(target=self._finish.run, name="finish-frames", daemon=True))
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

    def add_camera(self, name: str, address: Address, timeout_s: float = 10.0) -> None:
        """Open one more camera while the others run.

        Raises:
            SourceError: it cannot be opened, or the street is being stopped, or the model has not answered
                within ``timeout_s`` for all frames of a predecessor of that name.
            ConfigError: a camera of that name runs already.
        """
        lane = self._make_lane(name, address)
        room = self._gate.room
        with room.lock:
            old = self._lanes.get(name)
            if old is not None and not old.camera.mailbox.is_closed:
                raise ConfigError(f"a camera {name!r} runs already; remove_camera() it first")
            # Frames of a predecessor of that name are settled in its own books before the new ones begin.
            is_free = room.changed.wait_for(
                lambda: self._is_stopping or old is None or old.camera.ledger.counts().in_flight == 0,
                timeout_s,
            )
            if not is_free:
                raise SourceError(
                    f"camera {name!r} cannot be added: the model has not answered for the frames of the one "
                    f"before it within {timeout_s:g} s; choose another name, or try again later"
                )
            self._lanes[name] = lane
        self._begin(lane)
        try:
            if self._is_stopping:
                # It came too late for stop() to see it.
                raise SourceError(f"camera {name!r} cannot be added: the street is being stopped")
            lane.camera.wait_until_opened()
        except BaseException:
            lane.camera.stop()
            self._gate.remove(lane)
            # It has read nothing; the books of a predecessor of that name stay.
            with room.lock:
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
        self._gate.remove(lane)
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
        self._gate.change(config)
        self.config = config

    def use_model(self, predict: Predict) -> None:
        """Ask another model from the next batch on; no frame is lost.

        Persons keep the votes that the model before has cast for them.
        """
        self._runtime = getattr(predict, "runtime", None)
        self._inference.use(self._timed(predict), self._turns_of_model())

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until every camera has ended and every frame has its result; False after ``timeout_s``."""
        room = self._gate.room
        with room.lock:
            return room.changed.wait_for(self._is_done, timeout_s)

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Stop the cameras, finish what is in hand, end all threads; may be called twice.

        Returns:
            False when something is stuck beyond ``timeout_s``; the log names it.
        """
        began_at = time.monotonic()

        def left_s(of_s: float = timeout_s) -> float:
            return max(0.0, began_at + of_s - time.monotonic())

        self._is_stopping = True
        # From the street's beginning to its end, so that no stage gets work from one already closed.
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.camera.ask_to_stop()
        for lane in lanes:
            # Half of the time: a driver that is stuck leaves the model the other half for what it has.
            lane.camera.wait_until_ended(left_s(timeout_s / 2))
        self._gate.close()
        for thread in self._threads[:-1]:
            _join(thread, left_s())
        stuck = [] if self._inference.close(left_s()) else ["the model"]
        self._finish.close()
        for thread in self._threads[-1:]:
            _join(thread, left_s())
        opencv_threads.release(self)
        stuck += [lane.camera.camera_id for lane in lanes if not lane.camera.stop(left_s())]
        stuck += [t.name for t in self._threads if t.is_alive() and t is not threading.current_thread()]
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
                "analysis_error": None if lane.analysis_error is None else text_of(lane.analysis_error, repr),
            }
            for name, lane in lanes.items()
        }
        batches = self._inference.get_statistics()
        return {
            "cameras": cameras,
            "frames_per_s": round(self._finish.rate.total_per_s, 2),
            "frames_per_s_now": round(self._finish.rate.per_s, 2),
            "latency_ms": self._finish.latency.snapshot_ms(),
            "persons": sum(lane.tracker.persons for lane in lanes.values()),
            # A plain function stands in for a detector, and has no name of that kind.
            "detector": getattr(self._detect, "name", type(self._detect).__name__),
            "runtime": None if self._runtime is None else self._runtime.described(),
            "looks": looks_together(lane.tracker.looks() for lane in lanes.values()),
            "stages": self._stages.snapshot(),
            "queues": {
                "mailboxes": sum(len(lane.camera.mailbox) for lane in lanes.values()),
                "frames_in_hand": self._gate.in_hand,
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
        settings = (self._camera_config, self._gate.room, self._opener, self._stages, self._turns)
        camera = Camera(name, address, *settings)
        lane = Lane(camera, FaceTracker(self.config.tracker))
        camera.go(WayIn(self._gate, lane, self._look_at))
        return lane

    def _begin(self, lane: Lane) -> None:
        self._gate.add(lane)
        lane.camera.begin()

    def _is_done(self) -> bool:
        return all(
            lane.camera.mailbox.is_closed and lane.camera.ledger.counts().in_flight == 0
            for lane in self._lanes.values()
        )

    def _look_at_all(self) -> None:
        while (taken := self._gate.take()) is not None:
            self._look_at(*taken)

    def _look_at(self, lane: Lane, frame: Frame) -> None:
        job = self._look(lane, frame)
        self._gate.looked_at(job)
        if job.crops:
            self._inference.submit(job)
        else:
            self._finish.put((job,))

    def _turns_of_model(self) -> Turns | None:
        # Of a plain function nobody knows where it computes: it may only wait for somebody's answer.
        return self._turns if getattr(self._runtime, "device", None) == "cpu" else None

    def _timed(self, predict: Predict) -> Predict:
        def timed(crops: Sequence[np.ndarray]) -> Sequence[Any]:
            started = time.monotonic()
            try:
                return predict(crops)
            finally:
                self._stages.add("infer", time.monotonic() - started)

        return timed


def _join(thread: threading.Thread, timeout_s: float) -> None:
    # A listener may stop its street; a thread cannot wait for itself.
    if thread is not threading.current_thread():
        thread.join(timeout_s)
