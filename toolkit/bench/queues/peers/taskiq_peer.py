"""taskiq with its Redis Streams broker, which acknowledges: so many processes, each with an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taskiq_redis import RedisStreamBroker

from toolkit.bench.queues import tasks
from toolkit.bench.queues.contender import CommandContender, redis_url, script

broker = RedisStreamBroker(url=redis_url())


@broker.task
async def no_op(sent_at: float, text: str) -> int:
    """The task."""
    return tasks.no_op(sent_at, text)


class Streams(CommandContender):
    """taskiq with so many worker processes."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(broker.startup())

    def commands(self, workers: int) -> list[list[str]]:
        options = ["--workers", str(workers), "--log-level", "WARNING"]
        return [[script("taskiq"), "worker", f"{__name__}:broker", *options]]

    def put(self, sent_at: float, payload: Any) -> None:
        self.put_many(sent_at, [payload])

    def put_many(self, sent_at: float, payloads: Sequence[Any]) -> None:
        async def kick() -> None:
            for text in payloads:
                await no_op.kiq(sent_at, text)

        self._loop.run_until_complete(kick())

    def stop(self) -> None:
        super().stop()
        self._loop.run_until_complete(broker.shutdown())
        self._loop.close()
