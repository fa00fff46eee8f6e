"""What a live run says of a frame, when it had said it, and what was on the screen at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.records import BoxXyxy, Gender, Track

SAME_INSTANT_S = 1e-6
"""Times closer than this are the same: sums of seconds are not exact in binary."""


@dataclass(frozen=True, slots=True)
class ShownFace:
    """One face as a run shows it.

    Attributes:
        track_id: number of the person on this camera.
        box_xyxy: in pixels of the camera's picture.
        gender: the label; None while there is none.
        gender_probability: of that label, 0.5..1; None while there is none.
        age_years: None while there is no label.
    """

    track_id: int
    box_xyxy: BoxXyxy
    gender: Gender | None = None
    gender_probability: float | None = None
    age_years: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """All that a run says of one frame.

    Attributes:
        camera: name of the camera.
        frame_time_s: what the frame shows: the camera's media time, seconds since its start.
        finished_at_s: when the answer was complete, on the same time axis.
        faces: in any order.
    """

    camera: str
    frame_time_s: float
    finished_at_s: float
    faces: tuple[ShownFace, ...] = ()

    @property
    def latency_s(self) -> float:
        """Seconds from capture to answer."""
        return self.finished_at_s - self.frame_time_s


def shown(tracks: Sequence[Track]) -> tuple[ShownFace, ...]:
    """The faces of a frame as they are shown; who is seen only as a body shows none."""
    return tuple(_shown(track) for track in tracks if track.is_face_seen)


def _shown(track: Track) -> ShownFace:
    label = track.label
    if label is None:
        return ShownFace(track.track_id, track.box_xyxy)
    return ShownFace(track.track_id, track.box_xyxy, label.gender, label.gender_probability, label.age_years)


def newest_finished(answers: Sequence[Answer], instants_s: np.ndarray) -> np.ndarray:
    """Which answer is on the screen at each instant: the one that was finished last by then.

        phi(t) = argmax_j s_j  subject to  s_j <= t

    with s_j the time at which answer j was finished; of answers finished at the same time, the one of the
    newest frame.

    Args:
        answers: of one camera, in any order.
        instants_s: (I,), seconds.

    Returns:
        (I,) int, numbers of answers; -1 where none was finished yet.

    Source: Li, Wang, Ramanan: Towards Streaming Perception, ECCV 2020, equation 1.
    """
    if not answers:
        return np.full(len(instants_s), -1)
    finished_s = np.array([answer.finished_at_s for answer in answers])
    order = np.lexsort((np.array([answer.frame_time_s for answer in answers]), finished_s))
    by_then = np.searchsorted(finished_s[order], np.asarray(instants_s) + SAME_INSTANT_S, side="right")
    return np.where(by_then > 0, order[np.maximum(by_then - 1, 0)], -1)
