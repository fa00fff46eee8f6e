"""The limits of one host: what processes do among themselves, without Redis, acknowledgement or results."""

from __future__ import annotations

import mmap
import multiprocessing
from typing import Any

import numpy as np

from toolkit.bench.queues.contender import QueueContender
from toolkit.bench.queues.tasks import IN_FLIGHT, largest, no_op

# Forked, so that the workers have what was made before without its being sent.
_FORK = multiprocessing.get_context("fork")


class _ForkedWorkers(QueueContender):
    def start(self, workers: int) -> None:
        self._workers = [_FORK.Process(target=self._work, daemon=True) for _ in range(workers)]
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.join()

    def _work(self) -> None:
        raise NotImplementedError


class MultiprocessingQueue(_ForkedWorkers):
    """multiprocessing.Queue, one by one."""

    def start(self, workers: int) -> None:
        self._tasks: Any = _FORK.Queue()
        super().start(workers)

    def put(self, sent_at: float, payload: Any) -> None:
        self._tasks.put((sent_at, payload))

    def stop(self) -> None:
        super().stop()
        self._tasks.cancel_join_thread()
        self._tasks.close()

    def _work(self) -> None:
        while True:
            sent_at, payload = self._tasks.get()
            (no_op if isinstance(payload, str) else largest)(sent_at, payload)


class SharedRing(_ForkedWorkers):
    """Pictures copied into a ring of shared memory; their places are passed on and back, one by one."""

    def start(self, workers: int) -> None:
        self._workers_to_be = workers

    def put(self, sent_at: float, payload: Any) -> None:
        if not hasattr(self, "_ring"):
            self._make_ring(payload)
        place = self._free.get()
        np.copyto(self._ring[place], payload)
        self._tasks.put((sent_at, place))

    def _make_ring(self, picture: np.ndarray) -> None:
        places = IN_FLIGHT["frame"]
        shared = mmap.mmap(-1, places * picture.nbytes)
        self._ring = np.frombuffer(shared, picture.dtype).reshape(places, *picture.shape)
        self._tasks, self._free = _FORK.SimpleQueue(), _FORK.SimpleQueue()
        for place in range(places):
            self._free.put(place)
        super().start(self._workers_to_be)

    def _work(self) -> None:
        while True:
            sent_at, place = self._tasks.get()
            largest(sent_at, self._ring[place])
            self._free.put(place)
