"""Cut faces out of pictures: the one way, for training, evaluation and live runs."""

from __future__ import annotations

import numpy as np

from toolkit.errors import ShapeError
from toolkit.records import Crop, Region


def xywh_to_xyxy(boxes_xywh: np.ndarray) -> np.ndarray:
    """(N, 4) left, top, width, height to left, top, right, bottom; float32."""
    boxes = _as_boxes(boxes_xywh, "boxes_xywh").copy()
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def cut_crops(image: np.ndarray, boxes_xyxy: np.ndarray, margin: float = 0.0) -> list[Crop]:
    """Cut one square crop per box, with a border around each box.

    The square has the longer side of the box, grown by ``margin`` on each side, and shares the box's centre.
    It is clipped to the picture, so at an edge a crop is not square; a box with no area left gives no crop.

    Args:
        image: (H, W, 3), uint8.
        boxes_xyxy: (N, 4), pixels: left, top, right, bottom.
        margin: border as a share of the square's side; 0.1 adds 10 % on each side.

    Returns:
        At most N crops in box order, each a view into ``image``; ``crop.index`` names its box.

    Raises:
        ShapeError: ``image`` is not (H, W, 3) uint8, or ``boxes_xyxy`` is not (N, 4) and finite.

    Source: ours.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ShapeError(f"image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")
    height, width = image.shape[:2]
    return [
        Crop(index, (left, top, right, bottom), image[top:bottom, left:right])
        for index, (left, top, right, bottom) in square_regions((width, height), boxes_xyxy, margin)
    ]


def square_regions(
    size_wh: tuple[int, int], boxes_xyxy: np.ndarray, margin: float = 0.0
) -> list[tuple[int, Region]]:
    """Which parts of a picture :func:`cut_crops` cuts: the number of the box, and the part.

    Args:
        size_wh: of the picture, in pixels.
        boxes_xyxy: as there.
        margin: as there.

    Raises:
        ShapeError: as there.
    """
    boxes = _as_boxes(boxes_xyxy, "boxes_xyxy")
    sides = boxes[:, 2:] - boxes[:, :2]
    half = sides.max(axis=1, initial=0.0) * (0.5 + margin)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    left_top = np.clip(np.round(centres - half[:, None]), 0, size_wh).astype(int)
    right_bottom = np.clip(np.round(centres + half[:, None]), 0, size_wh).astype(int)
    regions = zip(left_top.tolist(), right_bottom.tolist(), strict=True)
    return [
        (index, (left, top, right, bottom))
        for index, ((left, top), (right, bottom)) in enumerate(regions)
        if min(sides[index]) > 0 and right > left and bottom > top
    ]


def _as_boxes(boxes: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(boxes, dtype=np.float32)
    if array.size == 0:
        return np.zeros((0, 4), dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ShapeError(f"{name} must be (N, 4), got {array.shape}")
    if not np.isfinite(array).all():
        raise ShapeError(f"{name} must be finite numbers, got {array[~np.isfinite(array).all(axis=1)][0]}")
    return array
