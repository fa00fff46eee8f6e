"""What people write by hand: a thread for each camera, or one loop over all."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import cv2
import numpy as np

from toolkit.bench.streets.contender import Pace, Task, ThreadedStreet
from toolkit.bench.streets.model import by_hand

_PREDECESSOR_WORKERS = 4
_PREDECESSOR_REST_S = 0.01
_PREDECESSOR_WAITING = 64


def frames_of(video: str, is_over: threading.Event) -> Iterator[np.ndarray]:
    """The frames of a video, again and again."""
    while not is_over.is_set():
        capture = cv2.VideoCapture(video)
        while not is_over.is_set():
            is_read, frame = capture.read()
            if not is_read:
                break
            yield frame
        capture.release()


class ThreadPerCamera(ThreadedStreet):
    """Read, predict, read, predict: every camera in a thread, the model called for one frame at a time."""

    def loops(self) -> list[Callable[[], None]]:
        self._predict = by_hand(self.task.model, self.task.size_px)
        return [partial(self._run, video, number) for number, video in enumerate(self.task.videos)]

    def _run(self, video: str, number: int) -> None:
        pace = Pace()
        for frame in frames_of(video, self.is_over):
            due_at = pace.wait(self.is_over) if self.task.realtime else 0.0
            self._predict([frame])
            self.counts[number] += 1
            if self.task.realtime:
                self.latencies_s.append(time.monotonic() - due_at)


class RoundRobin(ThreadedStreet):
    """One loop: a frame of each camera, one call of the model for all of them.

    In real time each camera has a thread that keeps its newest frame.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._newest: dict[int, tuple[float, np.ndarray]] = {}
        self._lock = threading.Lock()
        self._dropped = 0

    @property
    def dropped(self) -> int:
        return self._dropped

    def loops(self) -> list[Callable[[], None]]:
        self._predict = by_hand(self.task.model, self.task.size_px)
        if not self.task.realtime:
            return [self._run]
        cameras = [partial(self._keep_newest, video, n) for n, video in enumerate(self.task.videos)]
        return [*cameras, self._run_newest]

    def _run(self) -> None:
        cameras = [frames_of(video, self.is_over) for video in self.task.videos]
        for frames in zip(*cameras, strict=False):
            self._predict(frames)
            self.counts[0] += len(frames)

    def _keep_newest(self, video: str, number: int) -> None:
        pace = Pace()
        for frame in frames_of(video, self.is_over):
            due_at = pace.wait(self.is_over)
            with self._lock:
                self._dropped += number in self._newest
                self._newest[number] = (due_at, frame)

    def _run_newest(self) -> None:
        while not self.is_over.is_set():
            with self._lock:
                taken, self._newest = list(self._newest.values()), {}
            if not taken:
                time.sleep(0.001)
                continue
            self._predict([frame for _, frame in taken])
            now = time.monotonic()
            self.counts[0] += len(taken)
            self.latencies_s.extend(now - due_at for due_at, _ in taken)


class Predecessor(ThreadedStreet):
    """The loop this toolkit replaces: cameras fill a queue, four workers take a frame each and then rest."""

    def loops(self) -> list[Callable[[], None]]:
        self._predict = by_hand(self.task.model, self.task.size_px)
        self._queue: queue.Queue[np.ndarray] = queue.Queue(_PREDECESSOR_WAITING)
        self.counts = [0] * _PREDECESSOR_WORKERS
        cameras = [partial(self._fill, video) for video in self.task.videos]
        return [*cameras, *(partial(self._work, number) for number in range(_PREDECESSOR_WORKERS))]

    def _fill(self, video: str) -> None:
        for frame in frames_of(video, self.is_over):
            while not self.is_over.is_set():
                try:
                    self._queue.put(frame, timeout=0.5)
                    break
                except queue.Full:
                    continue

    def _work(self, number: int) -> None:
        while not self.is_over.is_set():
            try:
                frame = self._queue.get(timeout=0.5)
            except queue.Empty:
                continue
            self._predict([frame])
            self.counts[number] += 1
            time.sleep(_PREDECESSOR_REST_S)
