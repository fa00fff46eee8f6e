"""The last half minute of a run, from snapshots of it: what its plots show."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.live.listeners import LatestResults
from toolkit.notebook.live_plot import bars_plot, lines_plot, side_by_side
from toolkit.records import FrameResult

LAST_S = 30.0
"""How far back the plots go."""

_POINTS = 40
_BATCHES_OF_S = 10
# Before that, the frames that a recording has ready at once would pass for a rate.
_FIRST_RATE_AFTER_S = 1.0
_MOST_LATENCIES = 20_000

_Points = deque[tuple[float, float]]


class WatchedResults(LatestResults):
    """The newest result of each camera, and how late all of them were since somebody last asked."""

    def __init__(self) -> None:
        super().__init__()
        self._latencies_s: deque[float] = deque(maxlen=_MOST_LATENCIES)

    def __call__(self, result: FrameResult) -> None:
        """Keep it; a tenth of a microsecond, whatever is drawn of it later."""
        super().__call__(result)
        self._latencies_s.append(result.latency_s)

    def take_latencies_s(self) -> list[float]:
        """Seconds from capture to result, of every frame since the last call."""
        return [self._latencies_s.popleft() for _ in range(len(self._latencies_s))]


class Trends:
    """Rates, latencies, queues, losses, batches and people over time; fed once a second."""

    def __init__(self) -> None:
        self._rates: dict[str, _Points] = {}
        self._latency_ms = _lines("p50", "p95", "p99")
        self._queues = _lines("frames waiting", "frames in hand", "faces waiting")
        self._lost = _lines("skipped", "failed")
        self._people = _lines("female", "male", "no label yet")
        self._sizes: deque[dict[int, int]] = deque([{}], maxlen=_BATCHES_OF_S + 1)
        self._before: tuple[float, int, int] = (0.0, 0, 0)

    def add(
        self,
        time_s: float,
        statistics: Mapping[str, Any],
        latencies_s: Sequence[float],
        shown: Mapping[str, FrameResult | None],
    ) -> None:
        """One more snapshot.

        Args:
            time_s: seconds since the run's start.
            statistics: see :meth:`LivePipeline.statistics`.
            latencies_s: of the frames since the last snapshot.
            shown: camera to its newest result, of the cameras that are shown.
        """
        self._rates = {camera: self._rates.get(camera, deque(maxlen=_POINTS)) for camera in shown}
        for camera, rates in self._rates.items():
            values = statistics["cameras"].get(camera)
            if values is not None and time_s >= _FIRST_RATE_AFTER_S:
                rates.append((time_s, values["frames_per_s_now"]))
        if latencies_s:
            percentiles = np.percentile(latencies_s, (50, 95, 99)) * 1000
            _append(self._latency_ms, time_s, percentiles.tolist())
        queues = statistics["queues"]
        _append(self._queues, time_s, [queues[name] for name in ("mailboxes", "frames_in_hand", "crops")])
        self._add_lost(time_s, statistics)
        _append(self._people, time_s, _people(shown.values()))
        self._sizes.append(statistics["batches"]["sizes"])

    def html(self) -> str:
        """The plots, side by side."""
        return side_by_side(
            (
                lines_plot(self._rates, "Frames a second of each camera", "/s", LAST_S),
                lines_plot(self._latency_ms, "From capture to result, milliseconds", " ms", LAST_S),
                bars_plot(self._batches(), f"Batches of the last {_BATCHES_OF_S} s by their size in faces"),
                lines_plot(self._queues, "What waits, and what is in hand", "", LAST_S),
                lines_plot(self._lost, "Frames lost a second", "/s", LAST_S),
                lines_plot(self._people, "People in view by apparent gender", "", LAST_S, least_top=4.0),
            )
        )

    def _add_lost(self, time_s: float, statistics: Mapping[str, Any]) -> None:
        cameras = statistics["cameras"].values()
        skipped, failed = (sum(values[fate] for values in cameras) for fate in ("skipped", "failed"))
        before_s, skipped_before, failed_before = self._before
        self._before = time_s, skipped, failed
        passed_s = max(time_s - before_s, 1e-3)
        # A camera that is added again under its old name begins its books anew.
        lost = (max(0, skipped - skipped_before), max(0, failed - failed_before))
        _append(self._lost, time_s, [count / passed_s for count in lost])

    def _batches(self) -> dict[str, float]:
        """Name of a range of sizes to the number of its batches lately; ranges are powers of two."""
        before, now = self._sizes[0], self._sizes[-1]
        counts: dict[int, int] = {}
        for size, count in now.items():
            upper = 1 << (size - 1).bit_length()
            counts[upper] = counts.get(upper, 0) + count - before.get(size, 0)
        largest = max((upper for upper, count in counts.items() if count), default=0)
        powers = [1 << n for n in range(largest.bit_length())]
        return {f"{n // 2 + 1}-{n}" if n > 2 else str(n): counts.get(n, 0) for n in powers}


def _lines(*names: str) -> dict[str, _Points]:
    return {name: deque(maxlen=_POINTS) for name in names}


def _append(lines: Mapping[str, _Points], time_s: float, values: Iterable[float]) -> None:
    for points, value in zip(lines.values(), values, strict=True):
        points.append((time_s, value))


def _people(results: Iterable[FrameResult | None]) -> list[int]:
    """How many people of each label are in view."""
    labels = [track.label for result in results if result is not None for track in result.tracks]
    genders = [None if label is None else label.gender for label in labels]
    return [genders.count(gender) for gender in ("female", "male", None)]
