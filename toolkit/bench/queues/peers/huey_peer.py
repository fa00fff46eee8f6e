"""Huey: one consumer with so many processes or threads."""

from __future__ import annotations

from typing import Any

from huey import RedisHuey

from toolkit.bench.queues import tasks
from toolkit.bench.queues.contender import CommandContender, redis_url, script

huey = RedisHuey("bench", url=redis_url())


@huey.task()
def no_op(sent_at: float, text: str) -> int:
    """The task."""
    return tasks.no_op(sent_at, text)


class Processes(CommandContender):
    """Huey with processes."""

    worker_type = "process"

    def commands(self, workers: int) -> list[list[str]]:
        options = ["--workers", str(workers), "--worker-type", self.worker_type, "--quiet"]
        return [[script("huey_consumer"), f"{__name__}.huey", *options]]

    def put(self, sent_at: float, payload: Any) -> None:
        no_op(sent_at, payload)


class Threads(Processes):
    """Huey with threads, its default."""

    worker_type = "thread"
