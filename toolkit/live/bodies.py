"""Which face belongs to which body, and where the head of a body is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from toolkit.records import BoxXyxy

_LEAST_INSIDE = 0.7
"""So much of a face lies within its body's box: a detector cuts a body at the hair, or beside a cheek."""

_UPPER = 0.5
"""The middle of a face lies in this share of its body's box, from the top: of somebody who stands in the
upper sixth, of somebody cut off at the waist by the picture's edge in the upper half."""

_ASIDE = 0.4
"""And so far from the middle of the box, in widths: at its very edge are faces of others, and of nobody."""

_HEAD_HEIGHTS = 7.5
"""A grown person is so many heads tall."""


def pair_faces(faces_xyxy: Sequence[BoxXyxy], bodies_xyxy: Sequence[BoxXyxy]) -> list[tuple[int, int]]:
    """Pairs (number of a face, number of the body whose head it is), each used at most once.

    A face may belong to a body when most of it lies in its box, its middle in the upper half and not at the
    edge. Of the
    bodies that are possible the one is likelier whose top is nearer to that of the face, in heights of the
    face, and whose middle is; all together are paired so that the sum of what speaks for them is greatest.

    Source: ours; the assignment is Kuhn's (the Hungarian method, 1955), as SciPy has it.
    """
    if not faces_xyxy or not bodies_xyxy:
        return []
    worth = _worth(np.array(faces_xyxy, np.float64), np.array(bodies_xyxy, np.float64))
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(f), int(b)) for f, b in zip(rows, columns, strict=True) if worth[f, b] > 0]


def holds(body_xyxy: BoxXyxy, face_xyxy: BoxXyxy) -> bool:
    """Whether a body may still have this face: it has its middle inside. Who is known keeps a bowed head."""
    left, top, right, bottom = body_xyxy
    x, y = (face_xyxy[0] + face_xyxy[2]) / 2, (face_xyxy[1] + face_xyxy[3]) / 2
    return left <= x <= right and top <= y <= bottom


def place_in(body_xyxy: BoxXyxy, face_xyxy: BoxXyxy) -> BoxXyxy:
    """Where a face lies in its body's box, in shares of its width and height."""
    left, top, right, bottom = body_xyxy
    width, height = max(right - left, 1e-6), max(bottom - top, 1e-6)
    x0, y0, x1, y1 = face_xyxy
    return (x0 - left) / width, (y0 - top) / height, (x1 - left) / width, (y1 - top) / height


def head_of(body_xyxy: BoxXyxy, place: BoxXyxy | None = None) -> BoxXyxy:
    """Where the head of a body should be.

    Args:
        body_xyxy: the body's box.
        place: where its face was when it was seen (:func:`place_in`); without that, a square in the middle
            at the top, a head high.
    """
    left, top, right, bottom = body_xyxy
    width, height = right - left, bottom - top
    if place is not None:
        x0, y0, x1, y1 = place
        return left + x0 * width, top + y0 * height, left + x1 * width, top + y1 * height
    side = min(width, height / _HEAD_HEIGHTS)
    middle = (left + right) / 2
    return middle - side / 2, top, middle + side / 2, top + side


def face_region(body_xyxy: BoxXyxy) -> BoxXyxy:
    """Where in a body's box a face may be that nobody found: its top, over the whole width.

    A quarter of the height; of somebody cut off at the waist more, as wide as the box is.
    """
    left, top, right, bottom = body_xyxy
    width, height = right - left, bottom - top
    return left, top, right, top + min(height, max(height / 4, 0.6 * width))


def _worth(faces: np.ndarray, bodies: np.ndarray) -> np.ndarray:
    """(F, B): what speaks for a face being that of a body, 0..1; 0 where it cannot be."""
    f, b = faces[:, None, :], bodies[None, :, :]
    common = np.clip(np.minimum(f[..., 2:], b[..., 2:]) - np.maximum(f[..., :2], b[..., :2]), 0, None)
    sides_f, sides_b = np.maximum(f[..., 2:] - f[..., :2], 1e-6), np.maximum(b[..., 2:] - b[..., :2], 1e-6)
    inside = common.prod(axis=-1) / sides_f.prod(axis=-1)
    middles = (f[..., :2] + f[..., 2:]) / 2
    down = (middles[..., 1] - b[..., 1]) / sides_b[..., 1]
    gap = np.abs(f[..., 1] - b[..., 1]) / sides_f[..., 1]
    aside = np.abs(middles[..., 0] - (b[..., 0] + b[..., 2]) / 2) / sides_b[..., 0]
    may_be = (inside >= _LEAST_INSIDE) & (down <= _UPPER) & (aside <= _ASIDE)
    return np.asarray(np.where(may_be, inside / (1 + gap + aside), 0.0))
