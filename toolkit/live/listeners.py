"""What listens to the street: newest results and how late they are, labels over time, a picture a camera."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from typing import Any

from toolkit.records import FrameResult, Track
from toolkit.stats import LatencyMeter

logger = logging.getLogger(__name__)

_MANY_PEOPLE = 1000
_GONE_AFTER_S = 60.0


class LatestResults:
    """The newest result of each camera: what a dashboard draws."""

    def __init__(self) -> None:
        self._by_camera: dict[str, FrameResult] = {}

    def __call__(self, result: FrameResult) -> None:
        """Keep it."""
        self._by_camera[result.frame.camera] = result

    def get(self, camera: str) -> FrameResult | None:
        """The newest result of that camera; None before the first."""
        return self._by_camera.get(camera)


class NewestLatencies:
    """How late the results were that came since the last look."""

    def __init__(self) -> None:
        self._meter = LatencyMeter()

    def __call__(self, result: FrameResult) -> None:
        """Measure it."""
        self._meter.add(result.latency_s)

    def take_ms(self) -> dict[str, float | None]:
        """``{"p50", "p95", "p99"}`` in milliseconds of these, and begin anew; None where none came."""
        # Without a lock, which results would wait for: one that comes just now may be left out.
        meter, self._meter = self._meter, LatencyMeter()
        return meter.snapshot_ms()


class BestPictures:
    """The result with the most labelled people of each camera: a sample worth saving.

    Of equals the one with the most bodies, of these the latest.
    """

    def __init__(self) -> None:
        self._best: dict[str, tuple[tuple[int, int], FrameResult]] = {}

    def __call__(self, result: FrameResult) -> None:
        """Keep it if it shows at least as much as the best so far."""
        labelled = sum(track.label is not None for track in result.tracks)
        shows = labelled, sum(track.body_xyxy is not None for track in result.tracks)
        if shows >= self._best.get(result.frame.camera, ((0, 0), None))[0]:
            self._best[result.frame.camera] = (shows, result)

    def results(self) -> dict[str, FrameResult]:
        """Camera to its best result."""
        return {camera: result for camera, (_, result) in self._best.items()}


class LabelLog:
    """Who was labelled what, and when: a row when a person's label changes, and one a second otherwise.

    The column ``time_s`` counts from the first result. A run of days keeps its newest rows; the log says when
    the first one is let go.

    Args:
        every_s: pause between two rows of a person whose shown label stays the same.
        most_rows: rows that are kept, some 100 MB of them by default.
    """

    def __init__(self, every_s: float = 1.0, most_rows: int = 100_000) -> None:
        self._started_at: float | None = None
        self._every_s = every_s
        self._rows: deque[dict[str, Any]] = deque(maxlen=most_rows)
        self._has_let_go = False
        self._last: dict[tuple[str, int], tuple[str | None, float]] = {}
        self._lock = threading.Lock()

    def __call__(self, result: FrameResult) -> None:
        """Note what is new."""
        if self._started_at is None:
            self._started_at = result.finished_at
        at_s = result.finished_at - self._started_at
        for track in result.tracks:
            key = (result.frame.camera, track.track_id)
            gender = None if track.label is None else track.label.gender
            last_gender, last_s = self._last.get(key, (None, -math.inf))
            if gender != last_gender or at_s - last_s >= self._every_s:
                self._last[key] = gender, at_s
                self._add(self._row(result, track, at_s))
        if len(self._last) > _MANY_PEOPLE:
            # Who has not been seen for so long has left; a track's number is never used again.
            self._last = {key: last for key, last in self._last.items() if at_s - last[1] < _GONE_AFTER_S}

    def rows(self) -> list[dict[str, Any]]:
        """The newest rows, in order of time: numbers and words, no picture of anybody."""
        with self._lock:
            return list(self._rows)

    def _add(self, row: dict[str, Any]) -> None:
        if len(self._rows) == self._rows.maxlen and not self._has_let_go:
            self._has_let_go = True
            logger.warning("%d labels are noted; from now on the oldest are let go", len(self._rows))
        with self._lock:
            self._rows.append(row)

    @staticmethod
    def _row(result: FrameResult, track: Track, at_s: float) -> dict[str, Any]:
        label = track.label
        left, top, right, bottom = (round(side, 1) for side in track.box_xyxy)
        return {
            "time_s": round(at_s, 3),
            "camera": result.frame.camera,
            "frame": result.frame.index,
            "track_id": track.track_id,
            "gender": None if label is None else label.gender,
            "gender_probability": None if label is None else round(label.gender_probability, 4),
            "age_years": None if label is None else round(label.age_years, 2),
            "age_spread_years": None if label is None else round(label.age_spread_years, 2),
            "votes": track.votes,
            "is_face_seen": track.is_face_seen,
            "label_part": None if label is None else track.label_part,
            "left": left,
            "top": top,
            "right": right,
            "bottom": bottom,
        }
