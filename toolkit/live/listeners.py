"""What listens to the street: the newest results, labels over time, one good picture a camera."""

from __future__ import annotations

import threading
from typing import Any

from toolkit.records import FrameResult, Track


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


class BestPictures:
    """The result with the most labelled faces of each camera, the later of equals: a sample worth saving."""

    def __init__(self) -> None:
        self._best: dict[str, tuple[int, FrameResult]] = {}

    def __call__(self, result: FrameResult) -> None:
        """Keep it if it shows at least as much as the best so far."""
        labelled = sum(track.label is not None for track in result.tracks)
        if labelled >= self._best.get(result.frame.camera, (0, None))[0]:
            self._best[result.frame.camera] = (labelled, result)

    def results(self) -> dict[str, FrameResult]:
        """Camera to its best result."""
        return {camera: result for camera, (_, result) in self._best.items()}


class LabelLog:
    """Who was labelled what, and when: a row when a person's label changes, and one a second otherwise.

    The column ``time_s`` counts from the first result.

    Args:
        every_s: pause between two rows of a person whose shown label stays the same.
    """

    def __init__(self, every_s: float = 1.0) -> None:
        self._started_at: float | None = None
        self._every_s = every_s
        self._rows: list[dict[str, Any]] = []
        self._last: dict[tuple[str, int], dict[str, Any]] = {}
        self._lock = threading.Lock()

    def __call__(self, result: FrameResult) -> None:
        """Note what is new."""
        if self._started_at is None:
            self._started_at = result.finished_at
        at_s = result.finished_at - self._started_at
        for track in result.tracks:
            row = self._row(result, track, at_s)
            key = (row["camera"], row["track_id"])
            last = self._last.get(key)
            if last is None or last["gender"] != row["gender"] or at_s - last["time_s"] >= self._every_s:
                with self._lock:
                    self._last[key] = row
                    self._rows.append(row)

    def rows(self) -> list[dict[str, Any]]:
        """All rows so far, in order of time: numbers and words, no picture of anybody."""
        with self._lock:
            return list(self._rows)

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
            "left": left,
            "top": top,
            "right": right,
            "bottom": bottom,
        }
