"""What every batch processor checks and counts."""

from __future__ import annotations

from collections import Counter
from numbers import Integral
from threading import TIMEOUT_MAX
from typing import Any, Literal

from toolkit.errors import BatchSizeMismatch, ConfigError
from toolkit.stats import LatencyMeter

Reason = Literal["full", "due", "early", "flush"]
"""Why a batch closed: full, its oldest item waited long enough, nobody else on the way, or somebody asked."""

_TIMES_AT_ONCE = 100


class BatchBooks:
    """Batches and why they closed, items, sizes and times; fed by one thread."""

    def __init__(self) -> None:
        self.taken = 0
        self._sizes: Counter[int] = Counter()
        self._closed_by: dict[Reason, int] = {"full": 0, "due": 0, "early": 0, "flush": 0}
        self._failed_items = 0
        # Pairs of seconds, put into the meters by the hundred: one by one it would cost a quick batch dearly.
        self._times_s: list[tuple[float, float]] = []
        self._wait = LatencyMeter()
        self._processing = LatencyMeter()

    def closed(self, reason: Reason, items: int) -> None:
        """A batch of so many items closed."""
        self._closed_by[reason] += 1
        self.taken += items
        self._sizes[items] += 1

    def failed(self, items: int) -> None:
        """A batch of so many items failed."""
        self._failed_items += items

    def took(self, wait_s: float, process_s: float) -> None:
        """How long the oldest item of a batch had waited, and how long the batch was processed."""
        self._times_s.append((wait_s, process_s))
        if len(self._times_s) >= _TIMES_AT_ONCE:
            self._file()

    def statistics(self, waiting: int) -> dict[str, Any]:
        """The counts as plain values; ``wait_ms`` is that of the oldest item of each batch, ``sizes`` tells
        how many batches had so many items.
        """
        self._file()
        batches = sum(self._closed_by.values())
        return {
            "items": self.taken + waiting,
            "waiting": waiting,
            "failed_items": self._failed_items,
            "batches": batches,
            "mean_batch_size": round(self.taken / batches, 2) if batches else 0.0,
            "sizes": dict(sorted(self._sizes.items())),
            "closed_full": self._closed_by["full"],
            "closed_due": self._closed_by["due"],
            "closed_early": self._closed_by["early"],
            "closed_by_flush": self._closed_by["flush"],
            "wait_ms": self._wait.snapshot_ms(),
            "process_ms": self._processing.snapshot_ms(),
        }

    def _file(self) -> None:
        times_s, self._times_s = self._times_s, []
        if times_s:
            waits_s, processings_s = zip(*times_s, strict=True)
            self._wait.add_many(waits_s)
            self._processing.add_many(processings_s)


def check_settings(batch_size: int, timeout: float, process_fn: Any) -> None:
    """What every batch processor needs to be told.

    Raises:
        ConfigError: a size or time makes no sense, or ``process_fn`` cannot be called.
    """
    if not (isinstance(batch_size, Integral) and batch_size >= 1):
        raise ConfigError(f"batch_size must be at least 1, got {batch_size!r}; whole numbers only")
    # No lock can be waited at for longer: the thread that forms the batches would end.
    if not 0 <= timeout <= TIMEOUT_MAX:
        raise ConfigError(f"timeout must be 0 s or more, at most {TIMEOUT_MAX:.0f} s, got {timeout!r}")
    if not callable(process_fn):
        raise ConfigError(
            f"process_fn must be a function that takes a list of items and returns one result for each, "
            f"got {process_fn!r}"
        )


def one_each(items: int, results: Any) -> list[Any]:
    """The results as a list, in which there is one for each item.

    Raises:
        BatchSizeMismatch: there is not.
    """
    # A length does not tell what comes out one by one: of a pandas table that of its rows, and its columns.
    listed = list(results) if hasattr(results, "__len__") else None
    if listed is None or len(listed) != items:
        came = f"a {type(results).__name__}" if listed is None else len(listed)
        raise BatchSizeMismatch(
            f"process_fn must return one result for each item: {items} items went in, {came} came out"
        )
    return listed
