"""Contenders whose callers are tasks of an event loop: ``await call(item)`` is the item's answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from toolkit.bench.batches.model import BATCH_SIZE, MAX_WAIT_S, Items
from toolkit.live.batch_async import AsyncBatchProcessor

ProcessFn = Callable[[Items], Awaitable[Items]]


class Ours:
    """AsyncBatchProcessor."""

    form = "tasks"

    def __init__(self, process_fn: ProcessFn, callers: int) -> None:
        self.call = AsyncBatchProcessor(BATCH_SIZE, MAX_WAIT_S, process_fn).submit

    async def stop(self) -> None:
        """Nothing to stop."""


class ByHand:
    """asyncio.Queue, a future for each item and one task; a batch closes when full, due, or all callers wait.

    It is told beforehand how many callers there are; nothing is counted, no error is passed on.
    """

    form = "tasks"

    def __init__(self, process_fn: ProcessFn, callers: int) -> None:
        self._process_fn = process_fn
        self._enough = min(BATCH_SIZE, callers)
        self._queue: asyncio.Queue[tuple[int, asyncio.Future]] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def call(self, item: int) -> int:
        answer = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((item, answer))
        return await answer

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch: list[tuple[int, Any]] = [await self._queue.get()]
            due_at = loop.time() + MAX_WAIT_S
            while len(batch) < self._enough:
                if not self._queue.empty():
                    batch.append(self._queue.get_nowait())
                    continue
                try:
                    batch.append(await asyncio.wait_for(self._queue.get(), due_at - loop.time()))
                except TimeoutError:
                    break
            results = await self._process_fn([item for item, _ in batch])
            for (_, answer), result in zip(batch, results, strict=True):
                answer.set_result(result)
