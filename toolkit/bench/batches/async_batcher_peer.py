"""``async-batcher``, whose callers are tasks of an event loop."""

from __future__ import annotations

from async_batcher.batcher import AsyncBatcher

from toolkit.bench.batches.model import BATCH_SIZE, MAX_WAIT_S, Items
from toolkit.bench.batches.with_tasks import ProcessFn


class Batcher(AsyncBatcher):
    """A subclass, as its documentation shows it."""

    form = "tasks"

    def __init__(self, process_fn: ProcessFn, callers: int) -> None:
        super().__init__(max_batch_size=BATCH_SIZE, max_queue_time=MAX_WAIT_S)
        self._process_fn = process_fn
        self.call = self.process

    async def process_batch(self, batch: Items) -> Items:
        """One batch."""
        return await self._process_fn(batch)

    async def stop(self, force: bool = True, timeout: float | None = None) -> None:
        """End its task at once: asked politely it looks up once a second."""
        await super().stop(force, timeout)
