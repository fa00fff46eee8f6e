"""RQ: one SimpleWorker, which does not fork for each task, per process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import redis
import rq

from toolkit.bench.queues.contender import CommandContender, script
from toolkit.bench.queues.tasks import no_op


class SimpleWorkers(CommandContender):
    """RQ with so many worker processes."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self._queue = rq.Queue(connection=redis.Redis.from_url(url))

    def commands(self, workers: int) -> list[list[str]]:
        worker = ["worker", "--url", self.url, "--worker-class", "rq.SimpleWorker", "--quiet"]
        return [[script("rq"), *worker]] * workers

    def put(self, sent_at: float, payload: Any) -> None:
        self._queue.enqueue(no_op, sent_at, payload)
