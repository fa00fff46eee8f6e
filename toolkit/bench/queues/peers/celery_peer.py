"""Celery: one worker command with so many processes or threads."""

from __future__ import annotations

from typing import Any

from celery import Celery

from toolkit.bench.queues import tasks
from toolkit.bench.queues.contender import CommandContender, redis_url, script

app = Celery("bench", broker=redis_url().replace("unix://", "redis+socket://"))


@app.task
def no_op(sent_at: float, text: str) -> int:
    """The task."""
    return tasks.no_op(sent_at, text)


class Prefork(CommandContender):
    """Celery with its default pool, forked processes."""

    pool = "prefork"

    def commands(self, workers: int) -> list[list[str]]:
        worker = ["worker", "--pool", self.pool, "--concurrency", str(workers), "--loglevel", "WARNING"]
        return [[script("celery"), "--app", __name__, *worker]]

    def put(self, sent_at: float, payload: Any) -> None:
        no_op.delay(sent_at, payload)


class Threads(Prefork):
    """Celery with a pool of threads."""

    pool = "threads"
