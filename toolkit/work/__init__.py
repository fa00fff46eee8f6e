"""Heavy or distributed work: a queue on Redis and the workers that empty it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.work.handlers import Handlers, per_worker, reads_in_place, takes_batch
    from toolkit.work.results import TaskHandle, as_completed
    from toolkit.work.task_queue import TaskQueue
    from toolkit.work.worker_pool import WorkerPool

__all__ = [
    "Handlers",
    "TaskHandle",
    "TaskQueue",
    "WorkerPool",
    "as_completed",
    "per_worker",
    "reads_in_place",
    "takes_batch",
]

_HOMES = {
    "Handlers": "handlers",
    "TaskHandle": "results",
    "TaskQueue": "task_queue",
    "WorkerPool": "worker_pool",
    "as_completed": "results",
    "per_worker": "handlers",
    "reads_in_place": "handlers",
    "takes_batch": "handlers",
}


def __getattr__(name: str) -> Any:
    # Late, because redis-py takes half a second to import and codec users need none of it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
