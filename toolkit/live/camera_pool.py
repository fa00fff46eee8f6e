"""Many cameras, one callback each: add, watch, remove, stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from toolkit.errors import SourceError, text_of
from toolkit.live.camera import Camera, OpenSource
from toolkit.live.camera_config import CameraConfig
from toolkit.live.source import Address, open_source
from toolkit.records import Frame
from toolkit.stats import LatencyMeter, RateMeter

logger = logging.getLogger(__name__)

FrameCallback = Callable[[str, np.ndarray], None]
"""``callback(camera_id, frame)``; the frame is (H, W, 3), uint8, BGR."""


class CameraWorker:
    """One camera whose frames go to a callback, in a thread of their own.

    A slow callback does not slow the camera: of a live camera it gets the newest frame and the ones it missed
    are counted as skipped; a recording waits for it. A callback that raises loses that frame (counted as
    failed, the error kept in the statistics), not the camera.

    Args:
        camera_id: the camera's name.
        camera_url: file, folder, USB number (``0`` or ``"0"``) or URL.
        callback: see :data:`FrameCallback`; without one, frames are read and counted.
        config: see :class:`CameraConfig`.
        opener: stands in for :func:`open_source`.
    """

    def __init__(
        self,
        camera_id: str,
        camera_url: Address,
        callback: FrameCallback | None = None,
        config: CameraConfig | None = None,
        opener: OpenSource = open_source,
    ) -> None:
        self.camera = Camera(camera_id, camera_url, config, opener=opener)
        self.callback_error: Exception | None = None
        self._callback = callback
        self._rate = RateMeter()
        self._latency = LatencyMeter()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the camera and begin to deliver.

        Raises:
            SourceError: the source cannot be opened.
        """
        if self._thread is not None:
            return
        self.camera.start()
        thread = threading.Thread(
            target=self._deliver_all, name=f"deliver-{self.camera.camera_id}", daemon=True
        )
        # Begun before it is known: nobody can join a thread that has not begun.
        thread.start()
        self._thread = thread

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Stop reading and delivering; False when a thread is stuck beyond ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        is_stopped = self.camera.stop(timeout_s)
        # A callback may stop its own camera; a thread cannot wait for itself.
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(max(0.0, deadline - time.monotonic()))
            if self._thread.is_alive():
                logger.error("the callback of camera %s still runs", self.camera.camera_id)
                return False
        return is_stopped

    @property
    def is_active(self) -> bool:
        """Whether frames still come or are still being delivered."""
        return self._thread is not None and self._thread.is_alive()

    def get_statistics(self) -> dict[str, Any]:
        """Books, rates and latencies (capture to the callback's return) as plain values."""
        return self.camera.get_statistics() | {
            "frames_per_s": round(self._rate.per_s, 2),
            "latency_ms": self._latency.snapshot_ms(),
            "callback_error": None if self.callback_error is None else text_of(self.callback_error, repr),
        }

    def _deliver_all(self) -> None:
        while (frame := self.camera.mailbox.take()) is not None:
            self._deliver(frame)

    def _deliver(self, frame: Frame) -> None:
        try:
            if self._callback is not None:
                self._callback(frame.camera, frame.image)
        except Exception as error:
            # The user's code: whatever it raises is kept for them, and the camera goes on.
            if self.callback_error is None:
                logger.exception("the callback of camera %s failed; it goes on", frame.camera)
            self.callback_error = error
            self.camera.ledger.settle(frame.index, "failed")
        else:
            self.camera.ledger.settle(frame.index, "analysed")
            self._rate.tick()
            self._latency.add(time.monotonic() - frame.captured_at)


class CameraPool:
    """Cameras by name, each independent of the others.

    ::

        with CameraPool() as pool:
            pool.add_camera("door", "rtsp://door.example/1", callback)
            ...
        # here no thread of the pool is alive
    """

    def __init__(self, config: CameraConfig | None = None, opener: OpenSource = open_source) -> None:
        self._config = config
        self._opener = opener
        self._workers: dict[str, CameraWorker] = {}
        self._lock = threading.Lock()

    def add_camera(
        self,
        camera_id: str,
        camera_url: Address,
        callback: FrameCallback | None = None,
        config: CameraConfig | None = None,
    ) -> bool:
        """Open a camera and deliver its frames to ``callback(camera_id, frame)``.

        Returns:
            False, with the reason in the log, when the source cannot be opened or the name is taken.
        """
        worker = CameraWorker(camera_id, camera_url, callback, config or self._config, self._opener)
        with self._lock:
            if camera_id in self._workers:
                logger.error("camera %s is in the pool already; remove_camera() it first", camera_id)
                return False
            # The name is taken before the slow part, or two callers could open one camera.
            self._workers[camera_id] = worker
        try:
            worker.start()
        except BaseException as error:
            # Ctrl-C too: the name is free again, and nothing that has begun goes on.
            with self._lock:
                # It may have been removed meanwhile, and another one have its name.
                is_mine = self._workers.get(camera_id) is worker
                if is_mine:
                    del self._workers[camera_id]
            worker.stop()
            if not isinstance(error, SourceError) and (is_mine or not isinstance(error, Exception)):
                raise
            logger.error("camera %s cannot be added: %s", camera_id, error)
            return False
        return True

    def remove_camera(self, camera_id: str) -> bool:
        """Stop one camera and forget it; False when there is none of that name."""
        with self._lock:
            worker = self._workers.pop(camera_id, None)
        if worker is None:
            logger.warning("there is no camera %s to remove", camera_id)
            return False
        return worker.stop()

    def get_statistics(self) -> dict[str, dict[str, Any]]:
        """Statistics of every camera by name."""
        with self._lock:
            workers = dict(self._workers)
        return {camera_id: worker.get_statistics() for camera_id, worker in workers.items()}

    def get_active_cameras(self) -> list[str]:
        """Names of the cameras that still deliver frames."""
        with self._lock:
            return [camera_id for camera_id, worker in self._workers.items() if worker.is_active]

    def stop_all(self, timeout_s: float = 10.0) -> bool:
        """Stop and forget every camera within one shared deadline; False when one is stuck."""
        with self._lock:
            workers, self._workers = self._workers, {}
        deadline = time.monotonic() + timeout_s
        for worker in workers.values():
            worker.camera.ask_to_stop()
        are_stopped = [worker.stop(max(0.0, deadline - time.monotonic())) for worker in workers.values()]
        return all(are_stopped)

    def __enter__(self) -> CameraPool:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop_all()


camera_pool = CameraPool()
"""An ordinary, empty pool for the whole process; nothing runs until a camera is added."""
