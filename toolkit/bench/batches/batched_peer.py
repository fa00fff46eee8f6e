"""``batched``, whose callers are threads."""

from __future__ import annotations

from batched import BatchProcessor

from toolkit.bench.batches.model import BATCH_SIZE, MAX_WAIT_S
from toolkit.bench.batches.with_threads import ProcessFn


class Batched:
    """Its BatchProcessor, as its ``dynamically`` makes it."""

    form = "threads"

    def __init__(self, process_fn: ProcessFn, callers: int) -> None:
        self._processor = BatchProcessor(process_fn, batch_size=BATCH_SIZE, timeout_ms=MAX_WAIT_S * 1000)

    def call(self, item: int) -> int:
        return self._processor(item)

    def stop(self) -> None:
        self._processor.shutdown()
