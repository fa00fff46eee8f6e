"""Who takes part in ``toolkit bench batch``, and in what."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.bench.config import BatchBenchConfig
from toolkit.bench.rounds import Case, Contender, check_names

_HERE = __package__

_THREADS = (
    Contender("ours", "ours", f"{_HERE}.with_threads:Ours"),
    Contender("batched", "peer", f"{_HERE}.batched_peer:Batched", ("batched",)),
    Contender("by-hand", "limit", f"{_HERE}.with_threads:ByHand"),
    Contender("by-hand-counting", "limit", f"{_HERE}.with_threads:ByHandCounting"),
)
_TASKS = (
    Contender("ours-asyncio", "ours", f"{_HERE}.with_tasks:Ours"),
    Contender("async-batcher", "peer", f"{_HERE}.async_batcher_peer:Batcher", ("async_batcher",)),
    Contender("by-hand-asyncio", "limit", f"{_HERE}.with_tasks:ByHand"),
)
_IDEAL = Contender("ideal", "limit", f"{_HERE}.model:Ideal")
CONTENDERS = {contender.name: contender for contender in (*_THREADS, *_TASKS, _IDEAL)}

_MANY, _FEW = 64, 8


def batch_cases(config: BatchBenchConfig) -> list[Case]:
    """The cases a bench asks for, with the contenders it asks for.

    Raises:
        ConfigError: there is no such case or contender.
    """
    cases = {case.name: case for case in _cases(config)}
    check_names("case", config.cases, cases)
    check_names("contender", config.contenders, CONTENDERS)
    return [case for name, case in cases.items() if name in (config.cases or cases)]


def _cases(config: BatchBenchConfig) -> Iterator[Case]:
    times = {"seconds": config.seconds, "warm_up_s": config.warm_up_s}
    for form, prefix, contenders in (("threads", "", _THREADS), ("tasks", "async_", _TASKS)):
        names = [contender.name for contender in contenders]
        for cost, callers in (("no_op", _MANY), ("model", _MANY), ("model", _FEW)):
            costs = cost == "model"
            taking_part = [*names, _IDEAL.name] if costs else names
            yield Case(
                f"{form}-{cost.replace('_', '-')}-{callers}",
                f"{callers} {form}, {'5 ms + 0.2 ms an item' if costs else 'a batch for nothing'}, items/s",
                f"{_HERE}.measure:rate",
                {"process_fn": f"{prefix}{cost}", "callers": callers, **times},
                tuple(name for name in taking_part if name in (config.contenders or taking_part)),
                # With a batch for nothing there is no ideal: what one writes by hand is the measure.
                limit=_IDEAL.name if costs else next(name for name in names if name.startswith("by-hand")),
                unit="items/s",
            )
