"""SAQ: so many processes, in each an event loop that runs ten tasks at a time, its default."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saq.queue.redis import RedisQueue

from toolkit.bench.queues import tasks
from toolkit.bench.queues.contender import CommandContender, redis_url, script

queue = RedisQueue.from_url(redis_url())


async def no_op(_: Any, *, sent_at: float, text: str) -> int:
    """The task."""
    return tasks.no_op(sent_at, text)


settings = {"queue": queue, "functions": [no_op]}


class Processes(CommandContender):
    """SAQ with so many worker processes."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(queue.connect())

    def commands(self, workers: int) -> list[list[str]]:
        return [[script("saq"), f"{__name__}.settings", "--workers", str(workers), "--quiet"]]

    def put(self, sent_at: float, payload: Any) -> None:
        self.put_many(sent_at, [payload])

    def put_many(self, sent_at: float, payloads: Sequence[Any]) -> None:
        async def enqueue() -> None:
            for text in payloads:
                await queue.enqueue("no_op", sent_at=sent_at, text=text)

        self._loop.run_until_complete(enqueue())

    def stop(self) -> None:
        super().stop()
        self._loop.run_until_complete(queue.disconnect())
        self._loop.close()
