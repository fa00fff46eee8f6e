"""Crops of any size into one uint8 batch: the same path for training, evaluation and live runs."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from toolkit.errors import ShapeError
from toolkit.records import Crop

LIVE_CROP_MARGIN = 0.0
"""Border, as a share of the square's side, for a crop around a YuNet face box.

The longer side of such a box is 1.03 (median over 800 pictures, quartiles 0.97..1.10) of the side of a
FairFace training crop with padding 0.25, so -0.02 would match it. Cut around YuNet boxes of the validation
pictures, margins -0.1, -0.05, 0, 0.05, 0.1 give 89.3, 88.6, 89.3, 88.8, 87.3 % gender and 50.4, 52.0, 51.1,
49.3, 47.8 % age groups (``python experiments/crop_margin.py``, which favours tight ones a little).
"""

MOST_IMAGE_PX = 2048
"""Of a network's input: the largest that timm's models were made for is half of it, and no face crop is near.

At ten times this, a first look at two pictures takes all the memory there is.
"""


def make_batch(crops: Sequence[np.ndarray | Crop], image_px: int) -> np.ndarray:
    """Resize crops into one batch.

    A crop that is not square keeps its proportions, lies in the middle and is filled up by repeating its
    edge. Shrinking averages areas (no aliasing), growing interpolates linearly. Normalisation is the
    network's own first step, so what is stored, sent and batched stays bytes.

    Args:
        crops: N pictures (H, W, 3), uint8, BGR, of any size.
        image_px: side of the network's input.

    Returns:
        (N, image_px, image_px, 3), uint8, BGR.

    Raises:
        ShapeError: a crop is not (H, W, 3) uint8 or has no area; the text names its index.

    Source: ours; one resize into preallocated memory is the quickest of nine ways measured.
    """
    batch = np.empty((len(crops), image_px, image_px, 3), np.uint8)
    for index, crop in enumerate(crops):
        image = crop.image if isinstance(crop, Crop) else crop
        if not _is_picture(image):
            raise ShapeError(f"crop {index} must be (H, W, 3) uint8 with an area, got {_described(image)}")
        _fill(batch[index], image)
    return batch


def _fill(square: np.ndarray, image: np.ndarray) -> None:
    side = square.shape[0]
    height, width = image.shape[:2]
    longer = max(height, width)
    interpolation = cv2.INTER_AREA if longer > side else cv2.INTER_LINEAR
    if height == width:
        cv2.resize(image, (side, side), dst=square, interpolation=interpolation)
        return

    fit_width = max(1, round(width * side / longer))
    fit_height = max(1, round(height * side / longer))
    fitted = cv2.resize(image, (fit_width, fit_height), interpolation=interpolation)
    left, top = (side - fit_width) // 2, (side - fit_height) // 2
    right, bottom = side - fit_width - left, side - fit_height - top
    square[:] = cv2.copyMakeBorder(fitted, top, bottom, left, right, cv2.BORDER_REPLICATE)


def _is_picture(image: object) -> bool:
    return (
        isinstance(image, np.ndarray)
        and image.ndim == 3
        and image.shape[2] == 3
        and image.dtype == np.uint8
        and image.size > 0
    )


def _described(image: object) -> str:
    if isinstance(image, np.ndarray):
        return f"{image.shape} {image.dtype}"
    return type(image).__name__
