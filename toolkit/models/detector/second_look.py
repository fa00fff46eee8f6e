"""A second look at what may be a face, drawn to the size at which the network tells faces best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from toolkit.models.detector.boxes import decode, overlap
from toolkit.models.detector.network import places
from toolkit.records import Pixels, Region

SIDE_PX = 128
"""Side of the square that a candidate is drawn into."""

FACE_PX = 56
"""About the root of the candidate's area in it. With the side chosen on made pictures."""

FROM_LOGIT = 0.0
"""Candidates of less than even chances are not worth it."""

_SAME_IOU = 0.4
_NO_FACE_LOGIT = -8.0

_AROUND = np.flatnonzero((np.abs(places(SIDE_PX, SIDE_PX)[0] - SIDE_PX / 2) <= FACE_PX / 2).all(axis=1))
"""The places that tell of a face in the middle; the others look beside it."""


class Close(NamedTuple):
    """Candidates drawn close.

    Attributes:
        boxes_xyxy: (K, 4): the candidates, in pixels of their images.
        drawn: (K, SIDE_PX, SIDE_PX, 3), uint8, BGR; black where the picture ends.
        corners: (K, 2): left and top edge of what was drawn, in pixels of the image; may lie outside it.
        factors: (K, 2): pixels of the image per pixel drawn, across and down.
        ends: (K, 4): right and lower edge of the image, twice.
    """

    boxes_xyxy: np.ndarray
    drawn: np.ndarray
    corners: np.ndarray
    factors: np.ndarray
    ends: np.ndarray


def draw_close(
    images: Sequence[np.ndarray], pictures: Sequence[np.ndarray | Pixels], boxes: Sequence[np.ndarray]
) -> Close:
    """Draw the candidates of all images in one size, each in the middle of a square.

    Args:
        images: (H, W, 3), uint8, BGR.
        pictures: what each of them was shrunk from, or the same: for candidates of few pixels.
        boxes: (K, 4) of each image, in its pixels.
    """
    owners = np.repeat(np.arange(len(images)), [len(of_image) for of_image in boxes])
    boxes_xyxy = np.concatenate(boxes)
    sizes_wh = np.array([_size_wh(picture) for picture in pictures])
    ends = np.array([image.shape[1::-1] for image in images])
    growth = sizes_wh / ends
    # Of a large one the picture has more than is drawn, and reading it would cost as much as the search.
    is_small = _squares(boxes_xyxy)[:, 2] < SIDE_PX
    factors = np.where(is_small[:, None], growth[owners], 1.0)
    squares = _squares(boxes_xyxy * np.tile(factors, 2))
    drawn = np.empty((len(owners), SIDE_PX, SIDE_PX, 3), np.uint8)
    for one, square, owner, is_one_small in zip(
        drawn, squares.tolist(), owners.tolist(), is_small.tolist(), strict=True
    ):
        _draw(one, square, pictures[owner] if is_one_small else images[owner])
    corners, scales = squares[:, :2] / factors, squares[:, 2:] / SIDE_PX / factors
    return Close(boxes_xyxy, drawn, corners, scales, np.tile(ends[owners], 2))


def tell_again(score_logits: np.ndarray, told: np.ndarray, close: Close) -> tuple[np.ndarray, np.ndarray]:
    """What the network says of the faces in the middle of such squares.

    Args:
        score_logits: (K, P), its answers to the squares.
        told: (K, P, 4).
        close: what was drawn.

    Returns:
        (K,), logits: of the surest box on the same place, or of there being none; (K, 4), float32: that box,
        in pixels of the image, or the candidate as it was.
    """
    count = len(close.drawn)
    in_square = decode(told[:, _AROUND].reshape(-1, 4), np.tile(_AROUND, count), (SIDE_PX, SIDE_PX))
    factors, corners = (np.tile(of_axes[:, None], 2) for of_axes in (close.factors, close.corners))
    found = np.clip(in_square.reshape(count, -1, 4) * factors + corners, 0, close.ends[:, None])
    is_same = overlap(found, close.boxes_xyxy[:, None]) > _SAME_IOU
    logits = np.where(is_same, score_logits[:, _AROUND], _NO_FACE_LOGIT)
    row, best = np.arange(count), logits.argmax(axis=1)
    boxes = np.where(is_same[row, best, None], found[row, best], close.boxes_xyxy)
    return logits[row, best], boxes.astype(np.float32)


def _squares(boxes_xyxy: np.ndarray) -> np.ndarray:
    """(K, 3), int: left edge, top edge and side of the square to draw for each box, in its pixels."""
    sizes = np.sqrt((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1))
    sides = np.maximum(1, np.round(sizes * (SIDE_PX / FACE_PX)))
    corners = np.round((boxes_xyxy[:, :2] + boxes_xyxy[:, 2:] - sides[:, None]) / 2)
    return np.concatenate([corners, sides[:, None]], axis=1).astype(int)


def _draw(drawn: np.ndarray, square: Sequence[int], picture: np.ndarray | Pixels) -> None:
    """Write a square of a picture into ``drawn``."""
    left, top, side = square
    width, height = _size_wh(picture)
    inside = max(0, left), max(0, top), min(width, left + side), min(height, top + side)
    if inside != (left, top, left + side, top + side):
        drawn[:] = 0
    x, y, right, bottom = (
        (edge - start) * SIDE_PX // side for edge, start in zip(inside, (left, top) * 2, strict=True)
    )
    if right > x and bottom > y:
        # Linear alone would leave out pixels where it shrinks by more than two.
        way = cv2.INTER_AREA if side > 2 * SIDE_PX else cv2.INTER_LINEAR
        part = _region(picture, inside)
        cv2.resize(part, (right - x, bottom - y), dst=drawn[y:bottom, x:right], interpolation=way)


def _size_wh(picture: np.ndarray | Pixels) -> tuple[int, int]:
    if isinstance(picture, np.ndarray):
        height, width = picture.shape[:2]
        return width, height
    return picture.size_wh


def _region(picture: np.ndarray | Pixels, box_xyxy: Region) -> np.ndarray:
    if isinstance(picture, np.ndarray):
        left, top, right, bottom = box_xyxy
        return picture[top:bottom, left:right]
    return picture.region(box_xyxy)
