"""Training pictures varied as live faces vary: framing, light, distance, noise, what is in front."""

from __future__ import annotations

import math

import cv2
import numpy as np

ROTATION_DEGREES = 10.0
SCALE_SIGMA = 0.08
"""Spread of the log of the crop's size: a detector's boxes vary by about 7 % between quartiles."""

SHIFT_SIGMA = 0.05
"""Spread of the crop's centre as a share of its side."""

UPWARD_SHIFT = 0.03
"""Mean shift upwards: a YuNet box is centred 0.07 sides above the middle of a FairFace crop."""

GREY_SHARE = 0.06
SMALL_SHARE = 0.15
"""How many pictures are shrunk, to what a face far from the camera has in pixels, and grown again."""

SMALL_FACE_PX = (24.0, 64.0)
BLUR_SHARE = 0.06
BLUR_SIGMA = (0.007, 0.018)
"""As a share of the side: 0.8 to 2 pixels of 112."""

NOISE_SHARE = 0.06
NOISE_SIGMA = (2.0, 12.0)
"""Of 255: the noise of a camera at dusk."""

JPEG_SHARE = 0.1
JPEG_QUALITY = (25.0, 70.0)
ERASED_SHARE = 0.2

_STEPS = np.linspace(0.0, 1.0, 256, dtype=np.float32)[:, None]


def vary(image: np.ndarray, side_px: int, rng: np.random.Generator) -> np.ndarray:
    """A random variant of one face picture.

    Framing, mirror and size are one resampling, so that the picture loses sharpness once. Beyond the edge
    the picture repeats its last pixels, as crops at the edge of a frame are filled up in live runs.

    Args:
        image: (S, S, 3), uint8, BGR, square; at most about 1.5 times ``side_px``, or it aliases.
        side_px: side of the variant.
        rng: where chance comes from.

    Returns:
        (side_px, side_px, 3), uint8, BGR.
    """
    # All chance at once: one draw of 12 costs as much as one draw of 1.
    occurs = rng.random(12, dtype=np.float32).tolist()
    normal = rng.standard_normal(9, dtype=np.float32)
    image = _reframed(image, side_px, occurs[0] < 0.5, occurs[1], normal[:3])
    image = cv2.LUT(image, _tone_table(normal[3:9]))
    if occurs[2] < GREY_SHARE:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if occurs[3] < SMALL_SHARE:
        image = _seen_from_afar(image, _between(SMALL_FACE_PX, occurs[4]))
    elif occurs[3] < SMALL_SHARE + BLUR_SHARE:
        image = cv2.GaussianBlur(image, (0, 0), _between(BLUR_SIGMA, occurs[4]) * side_px)
    if occurs[5] < ERASED_SHARE:
        _erase(image, rng)
    if occurs[6] < NOISE_SHARE:
        image = _noisy(image, _between(NOISE_SIGMA, occurs[7]), rng)
    if occurs[8] < JPEG_SHARE:
        image = _compressed(image, _between(JPEG_QUALITY, occurs[9]))
    return image


def _between(limits: tuple[float, float], share: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * share


def _reframed(
    image: np.ndarray, side_px: int, is_mirrored: bool, turn: float, normal: np.ndarray
) -> np.ndarray:
    """Turned, shifted, scaled, perhaps mirrored, in the new size."""
    source_px = image.shape[0]
    angle = math.radians((2 * turn - 1) * ROTATION_DEGREES)
    # Pixels of the source per pixel of the variant.
    scale = math.exp(SCALE_SIGMA * float(normal[0])) * source_px / side_px
    across, down = scale * math.cos(angle), scale * math.sin(angle)
    mirror = -1.0 if is_mirrored else 1.0
    centre_x = source_px * (0.5 + SHIFT_SIGMA * float(normal[1])) - 0.5
    centre_y = source_px * (0.5 - UPWARD_SHIFT + SHIFT_SIGMA * float(normal[2])) - 0.5
    middle = (side_px - 1) / 2
    to_source = np.array(
        [
            [mirror * across, -down, centre_x - middle * (mirror * across - down)],
            [mirror * down, across, centre_y - middle * (mirror * down + across)],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, to_source, (side_px, side_px), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _tone_table(normal: np.ndarray) -> np.ndarray:
    """Gamma, contrast, brightness and the colour of the light, as one table (1, 256, 3) for all pixels."""
    gamma, contrast = np.exp(0.2 * normal[0]), np.exp(0.15 * normal[1])
    gains = 1.0 + 0.04 * normal[3:6]
    table = ((_STEPS**gamma - 0.5) * contrast + 0.5 + 0.05 * normal[2]) * gains
    return np.clip(table * 255, 0, 255).astype(np.uint8)[None]


def _seen_from_afar(image: np.ndarray, small_px: float) -> np.ndarray:
    side_px = image.shape[0]
    small = max(8, round(min(small_px, side_px)))
    shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (side_px, side_px), interpolation=cv2.INTER_LINEAR)


def _erase(image: np.ndarray, rng: np.random.Generator) -> None:
    """One rectangle of one colour, in place: a hand, a mask, another head.

    Source: Zhong et al., "Random erasing data augmentation", AAAI 2020.
    """
    side_px = image.shape[0]
    height, width = (rng.uniform(0.1, 0.4, size=2) * side_px).astype(int)
    top, left = rng.integers(0, side_px - height + 1), rng.integers(0, side_px - width + 1)
    image[top : top + height, left : left + width] = rng.integers(0, 256, size=3)


def _noisy(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(image.shape, dtype=np.float32) * sigma
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _compressed(image: np.ndarray, quality: float) -> np.ndarray:
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, round(quality)])
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))
