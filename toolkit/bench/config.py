"""What a bench measures, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.errors import ConfigError

_MOST_TASKS = 1_000_000  # what one thread can keep a tally of, with room for those that run twice


@dataclass(frozen=True)
class QueueBenchConfig:
    """A bench of the task queue and its worker pool.

    Attributes:
        cases: names of the cases to measure; empty for all.
        contenders: names of the contenders; empty for all.
        rounds: how often each contender runs each case; medians are taken over them.
        seconds: about so long is one measurement of a rate.
        most_tasks: but of no more tasks than so many.
        latency_seconds: so long are tasks sent, ``latency_tasks_per_s`` a second, to measure their wait.
        latency_tasks_per_s: tasks a second then.
        timeout_s: a contender that takes longer for one run, starting and stopping included, is ended.
    """

    cases: tuple[str, ...] = ()
    contenders: tuple[str, ...] = ()
    rounds: int = 5
    seconds: float = 2.0
    most_tasks: int = 60_000
    latency_seconds: float = 10.0
    latency_tasks_per_s: float = 100.0
    timeout_s: float = 120.0

    def __post_init__(self) -> None:
        for name in (
            "rounds",
            "seconds",
            "most_tasks",
            "latency_seconds",
            "latency_tasks_per_s",
            "timeout_s",
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.most_tasks > _MOST_TASKS:
            raise ConfigError(f"most_tasks is at most {_MOST_TASKS:,}, got {self.most_tasks}")


@dataclass(frozen=True)
class BenchConfig:
    """The benches of one experiment.

    Attributes:
        queue: the task queue and its worker pool, if they are to be measured.
    """

    queue: QueueBenchConfig | None = None
