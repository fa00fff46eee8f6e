"""True faces and shown faces side by side, at every instant of which the truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from toolkit.errors import ConfigError
from toolkit.evaluation.streaming.answers import SAME_INSTANT_S, Answer, ShownFace, newest_finished
from toolkit.live.matching import iou_matrix
from toolkit.truth import TrueFace, Truth

LEAST_IOU = 0.1
"""Overlap from which a shown box is on the true face.

Less than the usual half, because it decides whose label this is, and not how well the box fits: HOTA tells
that. Somebody who walks across the view is half a face away after 80 ms, and one still sees whom it means.
"""

MOST_OCCLUDED = 0.5
"""A face that is hidden by more than this share counts for nothing, whether it is found or not."""


@dataclass(frozen=True, eq=False)
class Moment:
    """One instant: who was there, which numbers were shown, and how much each pair overlaps."""

    visits: np.ndarray
    tracks: np.ndarray
    overlaps: np.ndarray


@dataclass(frozen=True, eq=False)
class Sightings:
    """One camera's truth and what was shown of it: I instants, R faces that were truly there in them.

    Attributes:
        camera: its name.
        instants_s: (I,), media time in seconds.
        staleness_s: (I,), age of what is shown: instant minus frame time; NaN before the first answer.
        false_faces: (I,) int, shown faces that are no true one.
        instant: (R,) int, number of the instant.
        visit: (R,) int, who it is and on which passage through the view: whom a tracker should follow.
        side_px: (R,), longest side of the true box.
        true_female: (R,), 1.0, 0.0, or NaN where the label is unknown.
        true_age_years: (R,), middle of the years that the label allows; NaN where unknown.
        age_within_years: (R,), how many years the label allows to both sides.
        track: (R,) int, the shown face's number; -1 where none is shown.
        told_female: (R,), 1.0, 0.0, or NaN where no label is shown.
        told_age_years: (R,), NaN where no label is shown.
        moments: I of :class:`Moment`.
    """

    camera: str
    instants_s: np.ndarray
    staleness_s: np.ndarray
    false_faces: np.ndarray
    instant: np.ndarray
    visit: np.ndarray
    side_px: np.ndarray
    true_female: np.ndarray
    true_age_years: np.ndarray
    age_within_years: np.ndarray
    track: np.ndarray
    told_female: np.ndarray
    told_age_years: np.ndarray
    moments: tuple[Moment, ...]

    def __len__(self) -> int:
        """Number of true faces over all instants."""
        return len(self.instant)


def align(
    camera: str,
    truth: Truth,
    answers: Sequence[Answer],
    from_s: float = 0.0,
    until_s: float = np.inf,
    least_iou: float = LEAST_IOU,
) -> Sightings:
    """Hold what was on the screen against the truth, at each of the truth's frame times.

    At instant t the boxes are those of the newest answer finished by t, where they were in its own frame:
    nobody moves them forward to t. Pairs are the assignment with the greatest sum of overlaps among pairs
    that overlap by ``least_iou``.

    Args:
        camera: whose answers count.
        truth: of that camera.
        answers: of any cameras.
        from_s: instants before this do not count;
        until_s: nor those from here on.
        least_iou: see :data:`LEAST_IOU`.

    Raises:
        ConfigError: the scene is shown again and again, and ``until_s`` sets no end.

    Source: instants and answers as in Li, Wang, Ramanan, ECCV 2020, section 3.1; the assignment is that of
    Bernardin, Stiefelhagen: Evaluating Multiple Object Tracking Performance, 2008.
    """
    own = [answer for answer in answers if answer.camera == camera]
    times_s, frames, showings = _instants(truth, from_s, until_s)
    newest = newest_finished(own, times_s)
    rows: list[tuple[float, ...]] = []
    moments, false_faces = [], []
    for number, (frame, showing, answer) in enumerate(zip(frames, showings, newest, strict=True)):
        faces = own[answer].faces if answer >= 0 else ()
        told, moment = _pair(truth.faces[frame], int(showing), faces, least_iou)
        rows += [(number, *row) for row in told]
        moments.append(moment)
        false_faces.append(len(moment.tracks) - sum(row[_TRACK] >= 0 for row in told))
    shown_s = np.array([own[answer].frame_time_s if answer >= 0 else np.nan for answer in newest])
    columns = dict(zip(_COLUMNS, np.array(rows, np.float64).reshape(-1, len(_COLUMNS)).T, strict=True))
    return Sightings(
        camera=camera,
        instants_s=times_s,
        staleness_s=times_s - shown_s,
        false_faces=np.array(false_faces, dtype=int),
        moments=tuple(moments),
        **{name: column.astype(int) if name in _WHOLE else column for name, column in columns.items()},
    )


_COLUMNS = (
    "instant",
    "visit",
    "side_px",
    "true_female",
    "true_age_years",
    "age_within_years",
    "track",
    "told_female",
    "told_age_years",
)
_WHOLE = ("instant", "visit", "track")
_TRACK = _COLUMNS.index("track") - 1
"""Where a pair's row, which has no instant yet, has the track."""

_NOT_SHOWN = (-1.0, np.nan, np.nan)

# A row's floats hold whole numbers up to 2 ** 53: 32,768 persons, each 65,536 times in a scene that is shown
# four million times, for years.
_MOST_VISITS = 2**16
_MOST_SHOWINGS = 2**22


def _instants(truth: Truth, from_s: float, until_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time, frame of the truth, and number of the showing of each instant."""
    times_s = np.asarray(truth.frame_times_s, dtype=np.float64)
    showings = 1
    if truth.is_repeated:
        if not np.isfinite(until_s):
            raise ConfigError("a scene that is shown again and again has no end: say until_s")
        showings = max(1, int(np.ceil(until_s / truth.duration_s)))
    all_s = np.concatenate([times_s + number * truth.duration_s for number in range(showings)])
    counted = np.flatnonzero((all_s >= from_s - SAME_INSTANT_S) & (all_s < until_s - SAME_INSTANT_S))
    return all_s[counted], counted % len(times_s), counted // len(times_s)


def _pair(
    true_faces: Sequence[TrueFace], showing: int, faces: Sequence[ShownFace], least_iou: float
) -> tuple[list[tuple[float, ...]], Moment]:
    """A row for each true face that counts, and both sides' ids without those that do not."""
    true_boxes = np.array([face.box_xyxy for face in true_faces], dtype=np.float64).reshape(-1, 4)
    boxes = np.array([face.box_xyxy for face in faces], dtype=np.float64).reshape(-1, 4)
    overlaps = iou_matrix(true_boxes, boxes)
    allowed = np.where(overlaps >= least_iou, overlaps, 0.0)
    pairs = {int(t): int(s) for t, s in zip(*linear_sum_assignment(-allowed), strict=True) if allowed[t, s]}
    counting = [n for n, face in enumerate(true_faces) if face.occluded <= MOST_OCCLUDED]
    # Whoever is shown where a hidden face is was not wrong to show it.
    excused = {pairs[n] for n in pairs if n not in set(counting)}
    left = [n for n in range(len(faces)) if n not in excused]
    rows = [
        (
            *_true_values(true_faces[n], showing),
            *(_told_values(faces[pairs[n]]) if n in pairs else _NOT_SHOWN),
        )
        for n in counting
    ]
    tracks = np.array([faces[n].track_id for n in left], dtype=int)
    visits = np.array([row[0] for row in rows], dtype=int)
    return rows, Moment(visits, tracks, overlaps[np.ix_(counting, left)])


def _true_values(face: TrueFace, showing: int) -> tuple[float, ...]:
    left, top, right, bottom = face.box_xyxy
    return (
        float((face.person * _MOST_VISITS + face.visit) * _MOST_SHOWINGS + showing),
        max(right - left, bottom - top),
        np.nan if face.gender is None else float(face.gender == "female"),
        np.nan if face.age_years is None else float(face.age_years),
        float(face.age_within_years),
    )


def person_of(visit: np.ndarray) -> np.ndarray:
    """Whose visits these are: the same number for a person on all cameras of a scene."""
    return visit // (_MOST_VISITS * _MOST_SHOWINGS)


def _told_values(face: ShownFace) -> tuple[float, ...]:
    return (
        float(face.track_id),
        np.nan if face.gender is None else float(face.gender == "female"),
        np.nan if face.age_years is None else float(face.age_years),
    )
