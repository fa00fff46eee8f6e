"""Contenders whose callers are threads: ``call(item)`` waits for the item's answer."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from toolkit.bench.batches.model import BATCH_SIZE, MAX_WAIT_S, Items
from toolkit.live.batch import BatchProcessor

ProcessFn = Callable[[Items], Items]


class Ours:
    """BatchProcessor."""

    form = "threads"

    def __init__(self, process_fn: ProcessFn, callers: int) -> None:
        self._processor = BatchProcessor(BATCH_SIZE, MAX_WAIT_S, process_fn)
        self.call = self._processor.ask

    def stop(self) -> None:
        self._processor.close()


class ByHand:
    """A queue and a thread, as one writes it in ten minutes: a batch closes when full or due.

    One bare lock for each item, the cheapest to wait on; nothing is counted, no error is passed on.
    """

    form = "threads"

    def __init__(self, process_fn: ProcessFn, callers: int) -> None:
        self._process_fn = process_fn
        self._enough = BATCH_SIZE
        self._queue: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def call(self, item: int) -> int:
        entry: list[Any] = [item, threading.Lock(), None]
        entry[1].acquire()
        self._queue.put(entry)
        entry[1].acquire()
        return entry[2]

    def stop(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            due_at = time.monotonic() + MAX_WAIT_S
            while len(batch) < self._enough and (left_s := due_at - time.monotonic()) > 0:
                try:
                    entry = self._queue.get(timeout=left_s)
                except queue.Empty:
                    break
                if entry is None:
                    return
                batch.append(entry)
            results = self._process_fn([entry[0] for entry in batch])
            for entry, result in zip(batch, results, strict=True):
                entry[2] = result
                entry[1].release()


class ByHandCounting(ByHand):
    """The same, told beforehand how many callers there are: a batch closes when all of them wait."""

    def __init__(self, process_fn: ProcessFn, callers: int) -> None:
        super().__init__(process_fn, callers)
        self._enough = min(BATCH_SIZE, callers)
