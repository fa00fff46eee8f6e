"""Training pictures varied as live faces vary: framing, light, blur, size."""

from __future__ import annotations

import cv2
import numpy as np

from toolkit.crops import cut_crops

ROTATION_DEGREES = 10.0
SCALE_SIGMA = 0.08
"""Spread of the log of the crop's size: a detector's boxes vary by about 7 % between quartiles."""

SHIFT_SIGMA = 0.05
"""Spread of the crop's centre as a share of its side."""

UPWARD_SHIFT = 0.03
"""Mean shift upwards: a YuNet box is centred 0.07 sides above the middle of a FairFace crop."""

SMALL_FACE_SHARE = 0.25
"""How many pictures are shrunk first, to what a face far from the camera has in pixels."""

SMALL_FACE_PX = (24, 64)


def augment(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random variant of one face picture.

    The framing goes through :func:`toolkit.crops.cut_crops`, as live faces do, so a crop that leaves the
    picture comes out not square and is filled up later in the same way.

    Args:
        image: (H, W, 3), uint8, BGR.
        rng: where chance comes from.

    Returns:
        (h, w, 3), uint8, BGR, of another size.
    """
    image = _rotated(image, rng)
    image = _reframed(image, rng)
    if rng.random() < 0.5:
        image = image[:, ::-1]
    image = _relit(image, rng)
    if rng.random() < SMALL_FACE_SHARE:
        image = _shrunk(image, rng)
    elif rng.random() < 0.1:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.5))
    if rng.random() < 0.25:
        image = _erased(image, rng)
    return image


def _rotated(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-1, 1) * ROTATION_DEGREES, 1.0)
    return cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)


def _reframed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    scale = np.exp(rng.normal(0.0, SCALE_SIGMA))
    shift_x, shift_y = rng.normal((0.0, -UPWARD_SHIFT), SHIFT_SIGMA) * (width, height)
    centre_x, centre_y = width / 2 + shift_x, height / 2 + shift_y
    half_x, half_y = width * scale / 2, height * scale / 2
    box = [centre_x - half_x, centre_y - half_y, centre_x + half_x, centre_y + half_y]
    return cut_crops(image, np.array([box]))[0].image


def _relit(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast and gamma by a table per colour; sometimes grey."""
    steps = np.linspace(0.0, 1.0, 256)[:, None]
    gamma = np.exp(rng.normal(0.0, 0.2))
    contrast = np.exp(rng.normal(0.0, 0.15))
    gains = rng.normal(1.0, 0.04, size=3)
    table = ((steps**gamma - 0.5) * contrast + 0.5 + rng.normal(0.0, 0.05)) * gains
    image = cv2.LUT(image, np.clip(table * 255, 0, 255).astype(np.uint8)[:, None, :])
    if rng.random() < 0.08:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return image


def _shrunk(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    factor = rng.uniform(*SMALL_FACE_PX) / max(image.shape[:2])
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def _erased(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One rectangle of noise-free colour: a hand, a mask, another head.

    Source: Zhong et al., "Random erasing data augmentation", AAAI 2020.
    """
    height, width = image.shape[:2]
    erase_height, erase_width = (rng.uniform(0.1, 0.4, size=2) * (height, width)).astype(int)
    top = rng.integers(0, height - erase_height + 1)
    left = rng.integers(0, width - erase_width + 1)
    image = image.copy()
    image[top : top + erase_height, left : left + erase_width] = rng.integers(0, 256, size=3)
    return image
