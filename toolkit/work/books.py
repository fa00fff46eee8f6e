"""What the workers of one process did: noted per task, reckoned in bulk."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from toolkit.stats import LatencyMeter, RateMeter

# A note costs a fifth of a microsecond, reckoning it by itself ten times that.
_RECKON_AT = 256
_TimedOutcomes = tuple[str, float, float, float]


class Books:
    """Counts, rate and times of one crew; safe to use from any number of threads."""

    def __init__(self, outcomes: Sequence[str]) -> None:
        self._counts = Counter(dict.fromkeys(outcomes, 0))
        self._notes: deque[_TimedOutcomes] = deque()
        self._run_times, self._wait_times, self._rate = LatencyMeter(), LatencyMeter(), RateMeter()
        self._lock = threading.Lock()

    def note(self, outcome: str, ended_at: float, run_s: float, wait_s: float) -> None:
        """One task came to an end: when (``time.monotonic``), after running and waiting for how long."""
        self._notes.append((outcome, ended_at, run_s, wait_s))
        if len(self._notes) >= _RECKON_AT:
            self._reckon()

    def count(self, event: str) -> None:
        """Count what is no end of a task."""
        with self._lock:
            self._counts[event] += 1

    def statistics(self) -> dict[str, Any]:
        """Each count, ``tasks_per_s``, ``run_ms`` and ``wait_ms``."""
        self._reckon()
        with self._lock:
            return {
                **self._counts,
                "tasks_per_s": round(self._rate.per_s, 1),
                "run_ms": self._run_times.snapshot_ms(),
                "wait_ms": self._wait_times.snapshot_ms(),
            }

    def _reckon(self) -> None:
        with self._lock:
            # Others may add meanwhile; what was there now is taken, in order.
            notes = [self._notes.popleft() for _ in range(len(self._notes))]
            if notes:
                outcomes, ended_at, run_s, wait_s = zip(*notes, strict=True)
                self._counts.update(outcomes)
                self._rate.tick_many(ended_at)
                self._run_times.add_many(run_s)
                self._wait_times.add_many(wait_s)
