"""Dramatiq: so many processes with eight threads each, its default."""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from toolkit.bench.queues import tasks
from toolkit.bench.queues.contender import CommandContender, redis_url, script

dramatiq.set_broker(RedisBroker(url=redis_url()))


@dramatiq.actor
def no_op(sent_at: float, text: str) -> None:
    """The task; its result has nowhere to go, and returning one would be a warning."""
    tasks.no_op(sent_at, text)


class Processes(CommandContender):
    """Dramatiq with so many processes."""

    def commands(self, workers: int) -> list[list[str]]:
        return [[script("dramatiq"), __name__, "--processes", str(workers), "--threads", "8"]]

    def put(self, sent_at: float, payload: Any) -> None:
        no_op.send(sent_at, payload)
