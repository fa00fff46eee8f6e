"""How fast we are, beside the parts we are made of and beside others, measured in one run."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.bench.config import (
        BatchBenchConfig,
        BenchConfig,
        CameraBenchConfig,
        LiveBenchConfig,
        QueueBenchConfig,
        TrainBenchConfig,
    )
    from toolkit.bench.runs import (
        run_batch_bench,
        run_camera_bench,
        run_live_bench,
        run_queue_bench,
        run_train_bench,
    )

__all__ = [
    "BatchBenchConfig",
    "BenchConfig",
    "CameraBenchConfig",
    "LiveBenchConfig",
    "QueueBenchConfig",
    "TrainBenchConfig",
    "run_batch_bench",
    "run_camera_bench",
    "run_live_bench",
    "run_queue_bench",
    "run_train_bench",
]

_HOMES = {
    "BatchBenchConfig": "config",
    "BenchConfig": "config",
    "CameraBenchConfig": "config",
    "LiveBenchConfig": "config",
    "QueueBenchConfig": "config",
    "TrainBenchConfig": "config",
    "run_batch_bench": "runs",
    "run_camera_bench": "runs",
    "run_live_bench": "runs",
    "run_queue_bench": "runs",
    "run_train_bench": "runs",
}


def __getattr__(name: str) -> Any:
    # Late: a process that runs one contender needs nothing of what records the run.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
