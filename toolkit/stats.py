"""Rates, latencies and counts: cheap to feed from any thread, exact to read."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np


class RateMeter:
    """Events a second over the last ``window_s`` seconds, and over the whole time.

    The rate is events over the span they were seen in, not a mean of gaps: cameras deliver in bursts,
    and one gap says nothing.
    """

    def __init__(self, window_s: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._window_s = window_s
        self._clock = clock
        self._times: deque[float] = deque()
        self._first: float | None = None
        self._total = 0
        self._last: float | None = None
        self._lock = threading.Lock()

    def tick(self) -> None:
        """Count one event now."""
        self.tick_many((self._clock(),))

    def tick_many(self, times: Sequence[float]) -> None:
        """Count an event at each of these times of the clock, the oldest first; at least one."""
        with self._lock:
            if self._first is None:
                self._first = times[0]
            self._last = times[-1]
            self._total += len(times)
            self._times.extend(times)
            self._forget_before(times[-1] - self._window_s)

    @property
    def per_s(self) -> float:
        """Events a second in the window that ends now; 0.0 before the second event."""
        with self._lock:
            now = self._clock()
            self._forget_before(now - self._window_s)
            if self._first is None:
                return 0.0
            span = min(self._window_s, now - self._first)
            return len(self._times) / span if span > 0 and self._total > 1 else 0.0

    @property
    def total_per_s(self) -> float:
        """Events a second from the first to the last one; 0.0 before the second event."""
        with self._lock:
            if self._first is None or self._last is None or self._last <= self._first:
                return 0.0
            return (self._total - 1) / (self._last - self._first)

    def _forget_before(self, oldest: float) -> None:
        while self._times and self._times[0] < oldest:
            self._times.popleft()


class LatencyMeter:
    """Percentiles of a whole run in constant memory: a histogram whose bins grow by 1 %.

    Covers 1 microsecond to about 3 hours; a percentile is right to within one bin. The bin layout is that of
    HdrHistogram's logarithmic mode, simplified to a constant ratio. What is new waits in a line until
    somebody asks, or the line is long: after other work, which leaves nothing of the histogram in the
    cache, each visit to it is slow.
    """

    _SMALLEST_S = 1e-6
    _GROWTH = 1.01
    _LOG_GROWTH = math.log(_GROWTH)
    _BINS = 2320
    _MOST_NEW = 256

    def __init__(self) -> None:
        self._new: deque[float] = deque()
        self._counts = np.zeros(self._BINS, dtype=np.int64)
        self._lock = threading.Lock()
        self._max_s = 0.0
        self._total_s = 0.0

    def add(self, seconds: float) -> None:
        """Record one latency."""
        self._new.append(seconds)
        if len(self._new) >= self._MOST_NEW:
            self._sort_in()

    def add_many(self, seconds: Sequence[float]) -> None:
        """Record several latencies."""
        self._new.extend(seconds)
        if len(self._new) >= self._MOST_NEW:
            self._sort_in()

    @property
    def count(self) -> int:
        """Number of latencies recorded."""
        self._sort_in()
        return int(self._counts.sum())

    @property
    def total_s(self) -> float:
        """Sum of the latencies recorded, in seconds."""
        self._sort_in()
        return self._total_s

    def percentile_s(self, percent: float) -> float | None:
        """The latency that ``percent`` % of all stayed at or under; None when nothing was recorded."""
        self._sort_in()
        with self._lock:
            total = int(self._counts.sum())
            if total == 0:
                return None
            rank = max(1, int(np.ceil(total * percent / 100)))
            index = int(np.searchsorted(np.cumsum(self._counts), rank))
            # The middle of the bin, never above what was really seen.
            return float(min(self._SMALLEST_S * self._GROWTH ** (index + 0.5), self._max_s))

    def snapshot_ms(self) -> dict[str, float | None]:
        """``{"p50", "p95", "p99"}`` in milliseconds, None where nothing was recorded."""
        values = {f"p{p}": self.percentile_s(p) for p in (50, 95, 99)}
        return {name: None if s is None else round(s * 1000, 3) for name, s in values.items()}

    def _sort_in(self) -> None:
        """Give what is new its places in the histogram."""
        with self._lock:
            # Others may add to the line meanwhile; only who holds the lock takes from it.
            new_s = np.array([self._new.popleft() for _ in range(len(self._new))], dtype=np.float64)
            if not len(new_s):
                return
            ratios = np.maximum(new_s, self._SMALLEST_S) / self._SMALLEST_S
            bins = (np.log(ratios) / self._LOG_GROWTH).astype(np.int64)
            np.add.at(self._counts, np.minimum(bins, self._BINS - 1), 1)
            self._max_s = max(self._max_s, float(new_s.max()))
            self._total_s += float(new_s.sum())


class StageTimes:
    """How long each stage of a frame's way takes, fed from any thread, 2 us a time.

    Stages that run side by side, or wait for each other, may add up to more than the time that passed: the
    shares tell where the time of a frame goes, not how busy a core is.
    """

    def __init__(self) -> None:
        self._meters: dict[str, LatencyMeter] = {}

    def add(self, stage: str, seconds: float) -> None:
        """One frame, or one batch, spent ``seconds`` in ``stage``."""
        self._meter(stage).add(seconds)

    def add_many(self, stage: str, seconds: Sequence[float]) -> None:
        """Several of them at once, for less."""
        self._meter(stage).add_many(seconds)

    def _meter(self, stage: str) -> LatencyMeter:
        # Of two threads that come first at the same time, one meter stays.
        return self._meters.get(stage) or self._meters.setdefault(stage, LatencyMeter())

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Per stage ``{"count", "total_s", "mean_ms", "p50_ms", "p95_ms", "p99_ms"}``, first seen first."""
        rows: dict[str, dict[str, Any]] = {}
        for stage, meter in dict(self._meters).items():
            count, total_s = meter.count, meter.total_s
            rows[stage] = {
                "count": count,
                "total_s": round(total_s, 4),
                "mean_ms": round(1000 * total_s / max(count, 1), 3),
            }
            rows[stage] |= {f"{name}_ms": value for name, value in meter.snapshot_ms().items()}
        return rows


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """Where the frames of one camera went.

    Attributes:
        read: frames that left the source.
        analysed: frames with a result.
        skipped: frames that a newer one replaced, or that were still waiting when the run stopped.
        failed: frames whose analysis raised.
        in_flight: frames waiting or being worked on now.
    """

    read: int = 0
    analysed: int = 0
    skipped: int = 0
    failed: int = 0
    in_flight: int = 0

    @property
    def is_balanced(self) -> bool:
        """Whether every frame that was read is accounted for."""
        return self.read == self.analysed + self.skipped + self.failed + self.in_flight


class FrameLedger:
    """Books on every frame of one camera: each is read once and settled once.

    In-flight frames are held by number, so the balance of :class:`FrameCounts` is observed, not derived:
    a frame that is lost shows as in flight for ever, one settled twice raises.
    """

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._read = 0
        self._settled = {"analysed": 0, "skipped": 0, "failed": 0}
        self._causes: Counter[str] = Counter()
        self._lock = threading.Lock()

    def read(self, index: int) -> None:
        """Frame ``index`` has left the source."""
        with self._lock:
            self._open.add(index)
            self._read += 1

    def settle(
        self, index: int, fate: Literal["analysed", "skipped", "failed"], cause: str | None = None
    ) -> None:
        """Frame ``index`` has met its fate; ``cause`` says in a word or two why it was skipped or failed.

        Raises:
            KeyError: the frame was never read, or is settled already.
        """
        with self._lock:
            self._open.remove(index)
            self._settled[fate] += 1
            if cause is not None:
                self._causes[cause] += 1

    def counts(self) -> FrameCounts:
        """The books as they stand now."""
        with self._lock:
            return FrameCounts(read=self._read, in_flight=len(self._open), **self._settled)

    def causes(self) -> dict[str, int]:
        """Frames that were skipped or failed, by the cause given, the most frequent first."""
        with self._lock:
            return dict(self._causes.most_common())
