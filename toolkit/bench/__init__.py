"""How fast we are, beside the parts we are made of and beside others, measured in one run."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.bench.config import BenchConfig, QueueBenchConfig
    from toolkit.bench.runs import run_queue_bench

__all__ = ["BenchConfig", "QueueBenchConfig", "run_queue_bench"]

_HOMES = {"BenchConfig": "config", "QueueBenchConfig": "config", "run_queue_bench": "runs"}


def __getattr__(name: str) -> Any:
    # Late: a process that runs one contender needs nothing of what records the run.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
