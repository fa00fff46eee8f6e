"""A live run's answers with their timings: what a score is worked out from, again and again alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolkit.data.scenes.address import is_scene, parse_scene
from toolkit.errors import DataError
from toolkit.evaluation.streaming.answers import Answer, ShownFace, shown
from toolkit.records import FrameResult
from toolkit.truth import Truth


@dataclass(frozen=True)
class Recording:
    """What was recorded of a live run.

    A camera's time axis is its media time. Where that lies on the run's clock is told by its frame that came
    with the least delay, so what the network added to the others counts as latency.

    Attributes:
        settings: of the run, plain values, addresses without their passwords.
        answers: of all cameras, in the order in which they were finished.
        frames: camera to the number of each answered frame, in the order of the frames.
        until_s: camera to the media time at which the run ended; of recordings as fast as they go, to that of
            the last answered frame.
        latencies_s: from capture to result, of every answer.
        statistics: of the whole run, see :meth:`LivePipeline.statistics`; empty if it was broken off.
        truths: camera to its truth, where it was known.
    """

    settings: Mapping[str, Any]
    answers: tuple[Answer, ...]
    frames: Mapping[str, tuple[int, ...]]
    until_s: Mapping[str, float]
    latencies_s: np.ndarray
    statistics: Mapping[str, Any]
    truths: Mapping[str, Truth] = field(default_factory=dict)

    @property
    def is_paced(self) -> bool:
        """Whether the cameras whose truth is known showed it at its own pace.

        Frames of recordings as fast as they go fall due at no moment: none was on a screen, early or late.
        """
        return _is_paced(self.settings, self.truths)


_ROUNDING_S = 0.002
"""Times pass through a film's ticks; a frame lasts longer than this."""


class AnswerLog:
    """Listens to the street and keeps each answer in memory: numbers and words, no picture."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def __call__(self, result: FrameResult) -> None:
        """Keep it."""
        self.rows.append(row_of(result))


def row_of(result: FrameResult) -> dict[str, Any]:
    """A result as a row of a recording: plain values, times by the run's clock."""
    frame = result.frame
    return {
        "camera": frame.camera,
        "frame": frame.index,
        "media_s": frame.media_time_s,
        "captured_s": frame.captured_at,
        "finished_s": result.finished_at,
        "faces": [
            [f.track_id, *_rounded(f.box_xyxy), f.gender, f.gender_probability, f.age_years]
            for f in shown(result.tracks)
        ],
    }


def recording_of(
    settings: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    statistics: Mapping[str, Any],
    truths: Mapping[str, Truth],
    where: str = "the run",
) -> Recording:
    """A recording from its rows.

    Args:
        settings: plain values that say what ran.
        rows: see :func:`row_of`.
        statistics: of the whole run, with ``elapsed_s``; empty if it was broken off.
        truths: camera to its truth, where it is known.
        where: for messages.

    Raises:
        DataError: a row is no answer of a live run.
    """
    answers: list[Answer] = []
    frames: dict[str, list[int]] = {}
    try:
        starts = _starts(rows)
        for row in rows:
            answers.append(_answer(row, starts[row["camera"]]))
            frames.setdefault(row["camera"], []).append(row["frame"])
        latencies_s = np.array([row["finished_s"] - row["captured_s"] for row in rows])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{where}: answer {len(answers) + 1} is none of a live run: {error!r}") from error
    began_s = min((row["captured_s"] for row in rows), default=0.0)
    ended_s = max((row["finished_s"] for row in rows), default=0.0)
    ended_s = max(ended_s, began_s + statistics.get("elapsed_s", 0.0))
    cameras = sorted({*starts, *statistics.get("cameras", {}), *truths})
    until_s = {camera: ended_s - starts.get(camera, began_s) for camera in cameras}
    if not _is_paced(settings, truths):
        # The run's clock tells nothing of media time: what was looked at ends with its last frame.
        until_s = dict.fromkeys(cameras, 0.0)
        for answer in answers:
            until_s[answer.camera] = max(until_s[answer.camera], answer.frame_time_s + _ROUNDING_S)
    return Recording(
        settings,
        tuple(sorted(answers, key=lambda answer: (answer.finished_at_s, answer.camera))),
        {camera: tuple(numbers) for camera, numbers in frames.items()},
        until_s,
        latencies_s,
        statistics,
        truths,
    )


def _is_paced(settings: Mapping[str, Any], cameras: Iterable[str]) -> bool:
    live = settings.get("live") or {}
    if live.get("camera", {}).get("realtime", True):
        return True
    return all(_is_sent(live["cameras"][camera]) for camera in cameras)


def _is_sent(address: str | int) -> bool:
    """A scene that a server sends knows no other pace than its own."""
    return is_scene(address) and parse_scene(str(address)).config.through == "rtsp"


def _starts(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Camera to where its media time 0 lies on the run's clock."""
    starts: dict[str, float] = {}
    for row in rows:
        media_s = row["media_s"]
        # A camera that tells no time begins with its first frame.
        start_s = row["captured_s"] - media_s if media_s is not None else starts.get(row["camera"], math.inf)
        start_s = row["captured_s"] if math.isinf(start_s) else start_s
        starts[row["camera"]] = min(start_s, starts.get(row["camera"], math.inf))
    return starts


def _answer(row: Mapping[str, Any], start_s: float) -> Answer:
    time_s = row["captured_s"] - start_s if row["media_s"] is None else row["media_s"]
    faces = tuple(
        ShownFace(track, (left, top, right, bottom), gender, probability, age)
        for track, left, top, right, bottom, gender, probability, age in row["faces"]
    )
    return Answer(row["camera"], time_s, row["finished_s"] - start_s, faces)


def _rounded(box_xyxy: tuple[float, ...]) -> list[float]:
    return [round(float(side), 2) for side in box_xyxy]
