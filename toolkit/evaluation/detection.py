"""How well a detector finds: average precision, and recall at a rate of false alarms, by size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from toolkit.errors import ShapeError

MATCH_IOU = 0.5
"""A found box is a face's when they overlap by so much: the usual bound, of Pascal VOC and WIDER FACE."""

_NOBODY = np.zeros((0, 4), np.float32)
_INSIDE = 0.5


@dataclass(frozen=True, eq=False)
class LookedAt:
    """A picture, what was found in it, and what is there.

    Attributes:
        found_xyxy: (K, 4), pixels.
        scores: (K,), higher is surer.
        faces_xyxy: (N, 4): all faces that have to be found.
        ignored_xyxy: (M, 4): places where finding something is neither right nor wrong.
    """

    found_xyxy: np.ndarray
    scores: np.ndarray
    faces_xyxy: np.ndarray
    ignored_xyxy: np.ndarray = field(default_factory=lambda: _NOBODY)

    def __post_init__(self) -> None:
        for name in ("found_xyxy", "faces_xyxy", "ignored_xyxy"):
            boxes = np.asarray(getattr(self, name), np.float32).reshape(-1, 4)
            object.__setattr__(self, name, boxes)
        if len(self.found_xyxy) != len(self.scores):
            raise ShapeError(f"{len(self.found_xyxy)} boxes were found, with {len(self.scores)} scores")


class Curve(NamedTuple):
    """What happens as the least score falls from the surest box to the last, over all pictures.

    Attributes:
        scores: (K,), falling: the least score.
        found: (K,): faces found so far.
        false_alarms: (K,): boxes so far that are no face.
        faces: how many there are.
        pictures: how many were looked at.
    """

    scores: np.ndarray
    found: np.ndarray
    false_alarms: np.ndarray
    faces: int
    pictures: int


def detection_curve(
    pictures: Sequence[LookedAt],
    least_px: float = 0.0,
    below_px: float = float("inf"),
    match_iou: float = MATCH_IOU,
) -> Curve:
    """Match boxes with faces, the surest first, and count.

    Each box takes the face it overlaps most of those that are still free. A second box on the same face is a
    false alarm. A face of another size than asked for is ignored, as is a box that lies on it or, by half of
    its area, in an ignored place.

    Args:
        pictures: what was found, and what is there.
        least_px: only faces of this size and more count; a face's size is the root of its area.
        below_px: and smaller than this.
        match_iou: least overlap.

    Source: the protocol of Everingham et al., "The Pascal visual object classes challenge", IJCV 2010.
    """
    scores, hits, alarms, faces = [], [], [], 0
    for picture in pictures:
        sizes = _sizes(picture.faces_xyxy)
        counts = (sizes >= least_px) & (sizes < below_px)
        faces += int(counts.sum())
        order = np.argsort(-np.asarray(picture.scores), kind="stable")
        for box, taken in zip(order.tolist(), _taken_faces(picture, order, match_iou), strict=True):
            is_ignored = not counts[taken] if taken >= 0 else _lies_in(picture, box, ~counts)
            if not is_ignored:
                scores.append(float(picture.scores[box]))
                hits.append(taken >= 0)
                alarms.append(taken < 0)
    falling = np.argsort(-np.array(scores), kind="stable")
    return Curve(
        np.array(scores)[falling],
        np.cumsum(np.array(hits, int)[falling]),
        np.cumsum(np.array(alarms, int)[falling]),
        faces,
        len(pictures),
    )


def average_precision(curve: Curve) -> float:
    """Area under precision over recall, precision made to fall only; 0..1, not a number without faces.

    Source: as for :func:`detection_curve`, with all points, as Pascal VOC since 2010.
    """
    if curve.faces == 0:
        return float("nan")
    recall = np.concatenate([[0.0], curve.found / curve.faces])
    precision = curve.found / np.maximum(curve.found + curve.false_alarms, 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope))


def recall_at(curve: Curve, false_alarms_per_picture: float) -> float:
    """Share of the faces found at the least score that gives no more false alarms than this, a picture."""
    if curve.faces == 0:
        return float("nan")
    allowed = curve.false_alarms <= false_alarms_per_picture * curve.pictures
    return float(curve.found[allowed].max(initial=0) / curve.faces)


def at_score(curve: Curve, least_score: float) -> tuple[float, float]:
    """Recall, and false alarms a picture, of all boxes of at least that score."""
    count = int((curve.scores >= least_score).sum())
    if count == 0:
        return (0.0 if curve.faces else float("nan")), 0.0
    recall = curve.found[count - 1] / curve.faces if curve.faces else float("nan")
    return float(recall), float(curve.false_alarms[count - 1] / max(curve.pictures, 1))


def score_detector(
    pictures: Sequence[LookedAt],
    sizes_px: Sequence[float] = (8, 16, 24, 48, 96),
    false_alarms_per_picture: Sequence[float] = (0.1, 0.5, 1.0),
) -> dict[str, Any]:
    """All that is told of a detector on some pictures.

    Args:
        pictures: what was found, and what is there.
        sizes_px: bounds between the sizes; the last one is open.
        false_alarms_per_picture: rates at which recall is told.

    Returns:
        ``pictures``, ``faces``, ``average_precision``, ``recall`` by rate, and under ``by_size_px`` the same
        for every range of sizes, and from the third bound on (``"24+"``).
    """
    ranges = {f"{low:g}-{high:g}": (low, high) for low, high in pairwise(sizes_px)}
    ranges |= {f"{sizes_px[-1]:g}+": (sizes_px[-1], float("inf"))}
    ranges |= {f"{sizes_px[2]:g}+": (sizes_px[2], float("inf"))} if len(sizes_px) > 3 else {}

    def told(curve: Curve) -> dict[str, Any]:
        return {
            "faces": curve.faces,
            "average_precision": average_precision(curve),
            "recall": {f"{rate:g}": recall_at(curve, rate) for rate in false_alarms_per_picture},
        }

    by_size = {name: told(detection_curve(pictures, *limits)) for name, limits in ranges.items()}
    return {"pictures": len(pictures), **told(detection_curve(pictures)), "by_size_px": by_size}


def _taken_faces(picture: LookedAt, order: np.ndarray, match_iou: float) -> list[int]:
    """The face that each box takes, in the order given; -1 for none."""
    shared = _overlaps(picture.found_xyxy, picture.faces_xyxy)
    taken = []
    for box in order:
        face = int(shared[box].argmax()) if shared.shape[1] else -1
        if face >= 0 and shared[box, face] >= match_iou:
            shared[:, face] = 0.0
            taken.append(face)
        else:
            taken.append(-1)
    return taken


def _lies_in(picture: LookedAt, box: int, is_other_size: np.ndarray) -> bool:
    """Whether half of the box lies in a place, or on a face, that does not count."""
    places = np.concatenate([picture.ignored_xyxy, picture.faces_xyxy[is_other_size]])
    if not len(places):
        return False
    one = picture.found_xyxy[box]
    common = _common(one[None], places)[0]
    return bool((common >= _INSIDE * max(1e-6, float(np.prod(one[2:] - one[:2])))).any())


def _overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    common = _common(one, other)
    union = np.square(_sizes(one))[:, None] + np.square(_sizes(other))[None] - common
    return common / np.maximum(union, 1e-9)


def _common(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(K, M): area that each of K boxes shares with each of M."""
    left_top = np.maximum(one[:, None, :2], other[None, :, :2])
    right_bottom = np.minimum(one[:, None, 2:], other[None, :, 2:])
    return np.clip(right_bottom - left_top, 0, None).prod(axis=2)


def _sizes(boxes: np.ndarray) -> np.ndarray:
    return np.sqrt(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1))
