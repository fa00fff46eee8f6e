"""Ours: TaskQueue with WorkerPool; tasks acknowledged, results stored and fetched by who sent the tasks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from toolkit.bench.queues.contender import QueueContender
from toolkit.bench.queues.tasks import largest, no_op
from toolkit.work import Handlers, TaskQueue, WorkerPool, reads_in_place

handlers = Handlers()
_FETCH_AT_ONCE = 1000
_PATIENCE_S = 60.0


@handlers.on("text")
def on_text(task: dict[str, Any]) -> int:
    """The task without work."""
    return no_op(task["sent_at"], task["payload"])


@handlers.on("picture")
@reads_in_place
def on_picture(task: dict[str, Any]) -> int:
    """The task with a picture."""
    return largest(task["sent_at"], task["payload"])


class Processes(QueueContender):
    """Worker processes."""

    backend: Literal["threads", "processes"] = "processes"

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self._queue = TaskQueue("bench", url)
        self._fetched = 0

    def start(self, workers: int) -> None:
        home = f"{__name__}:handlers"
        self._pool = WorkerPool(workers, handlers=home, queue=self._queue, backend=self.backend)
        self._pool.start()

    def put(self, sent_at: float, payload: Any) -> None:
        self._pool.submit_task(_task(sent_at, payload))

    def put_many(self, sent_at: float, payloads: Sequence[Any]) -> None:
        self._pool.submit_tasks([_task(sent_at, payload) for payload in payloads])

    def settle(self, unfinished: int = 0) -> None:
        while (left := self.sent - self._fetched - unfinished) > 0:
            results = self._pool.get_results(min(left, _FETCH_AT_ONCE), timeout=_PATIENCE_S)
            if failed := [result for result in results if result["status"] != "done"]:
                raise RuntimeError(f"{len(failed)} tasks failed, the first one: {failed[0]}")
            self._fetched += len(results)
        self._settled_at = time.monotonic()

    def settled_at(self) -> float:
        return self._settled_at

    def stop(self) -> None:
        self._pool.stop()
        self._queue.close()


class Threads(Processes):
    """Worker threads, beside the one that sends and fetches."""

    backend = "threads"


class ThroughRedis(Processes):
    """Worker processes that share no memory with the sender, as if they were on another host."""

    def __init__(self, url: str, folder: Path) -> None:
        # A queue puts big tasks into this folder beside the socket where there is one.
        Path(url.removeprefix("unix://")).with_name("bodies").unlink()
        super().__init__(url, folder)


def _task(sent_at: float, payload: Any) -> dict[str, Any]:
    kind = "text" if isinstance(payload, str) else "picture"
    return {"type": kind, "sent_at": sent_at, "payload": payload}
