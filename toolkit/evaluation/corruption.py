"""Pictures made worse on purpose: six things that happen to faces before a camera, at five severities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from toolkit.errors import ConfigError, ShapeError, did_you_mean
from toolkit.evaluation.config import CORRUPTION_NAMES

SEVERITIES = (1, 2, 3, 4, 5)

BLUR_SIGMA = (0.008, 0.014, 0.02, 0.03, 0.045)
"""Of a Gaussian, as a share of the picture's longer side."""

LOW_RESOLUTION_PX = (48, 32, 24, 16, 12)
"""Longer side of the picture, as of a face far from the camera."""

NIGHT_LIGHT = (0.5, 0.25, 0.12, 0.06, 0.03)
"""Share of the light that is left; the camera's gain makes up for at most 12 dB of it."""

NIGHT_PHOTONS = 400.0
"""Photons of a white pixel in full light: a small sensor at a short exposure."""

NIGHT_READ_NOISE = 2.0
"""Of the sensor, in photons."""

NIGHT_MOST_GAIN = 4.0

JPEG_QUALITY = (30, 20, 14, 9, 5)

H264_QP = (32, 36, 40, 44, 48)
"""Quantiser of a key frame; a stream of good quality has about 23, a starved one above 40."""

OCCLUDED_SHARE = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Of the picture's area: a hand, a mask, another head."""


def corrupt(
    images: Sequence[np.ndarray], corruption: str, severity: int, seed: int = 0, first: int = 0
) -> list[np.ndarray]:
    """Pictures as a worse camera, line or moment would give them.

    Args:
        images: (H, W, 3), uint8, BGR, of any sizes.
        corruption: a name out of ``CORRUPTION_NAMES``.
        severity: 1 (hardly seen) to 5.
        seed: of the chance in it; what happens to a picture depends on its number, not on its neighbours.
        first: number of the first picture.

    Returns:
        As many pictures, uint8, BGR; of the same sizes, except for ``low_resolution``.

    Raises:
        ConfigError: no such corruption or severity.
        ShapeError: an image is not (H, W, 3), uint8.

    Source: the idea and the scale of five: Hendrycks and Dietterich, "Benchmarking neural network robustness
        to common corruptions and perturbations", ICLR 2019; kinds and strengths: ours, for faces of 100 px.
    """
    if corruption not in CORRUPTION_NAMES:
        raise ConfigError(f"no corruption {corruption!r}; {did_you_mean(corruption, CORRUPTION_NAMES)}")
    if severity not in SEVERITIES:
        raise ConfigError(f"severity must be one of {SEVERITIES}, got {severity!r}")
    for index, image in enumerate(images):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ShapeError(f"image {index} must be (H, W, 3) uint8, got {image.shape} {image.dtype}")
    if corruption == "h264":
        return _h264(images, H264_QP[severity - 1])
    return [
        _BY_NAME[corruption](image, severity - 1, np.random.default_rng((seed, first + index)))
        for index, image in enumerate(images)
    ]


def _blur(image: np.ndarray, step: int, rng: np.random.Generator) -> np.ndarray:
    sigma = BLUR_SIGMA[step] * max(image.shape[:2])
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def _low_resolution(image: np.ndarray, step: int, rng: np.random.Generator) -> np.ndarray:
    longer = max(image.shape[:2])
    if longer <= LOW_RESOLUTION_PX[step]:
        return image.copy()
    scale = LOW_RESOLUTION_PX[step] / longer
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _night(image: np.ndarray, step: int, rng: np.random.Generator) -> np.ndarray:
    """Few photons, counted one by one, with the sensor's own noise, and gain as far as it goes.

    In linear light (gamma 2.2), where photons are counted.
    """
    light = (image / 255.0) ** 2.2 * NIGHT_LIGHT[step] * NIGHT_PHOTONS
    counted = rng.poisson(light) + rng.normal(0.0, NIGHT_READ_NOISE, image.shape)
    gain = min(NIGHT_MOST_GAIN, 1 / NIGHT_LIGHT[step])
    seen = np.clip(counted * gain / NIGHT_PHOTONS, 0.0, 1.0) ** (1 / 2.2)
    return np.round(seen * 255).astype(np.uint8)


def _jpeg(image: np.ndarray, step: int, rng: np.random.Generator) -> np.ndarray:
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY[step]])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def _occlusion(image: np.ndarray, step: int, rng: np.random.Generator) -> np.ndarray:
    """One grey rectangle somewhere, its sides up to twice as long as each other."""
    height, width = image.shape[:2]
    side, stretch = np.sqrt(OCCLUDED_SHARE[step]), np.exp(rng.uniform(-0.5, 0.5) * np.log(2))
    covered_h, covered_w = round(height * min(side * stretch, 1.0)), round(width * min(side / stretch, 1.0))
    top, left = rng.integers(0, height - covered_h + 1), rng.integers(0, width - covered_w + 1)
    covered = image.copy()
    covered[top : top + covered_h, left : left + covered_w] = 127
    return covered


_BY_NAME: dict[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]] = {
    "blur": _blur,
    "low_resolution": _low_resolution,
    "night": _night,
    "jpeg": _jpeg,
    "occlusion": _occlusion,
}


def _h264(images: Sequence[np.ndarray], qp: int) -> list[np.ndarray]:
    """Every picture a key frame of an H.264 stream; one stream for all pictures of a size."""
    coded: list[np.ndarray] = list(images)
    by_size: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        by_size.setdefault(image.shape, []).append(index)
    for (height, width, _), numbers in by_size.items():
        # Colour has half the resolution, so sides are even.
        even = [_padded(images[number], height % 2, width % 2) for number in numbers]
        for number, image in zip(numbers, _through_h264(even, qp), strict=True):
            coded[number] = image[:height, :width]
    return coded


def _padded(image: np.ndarray, below: int, right: int) -> np.ndarray:
    return np.ascontiguousarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE))


def _through_h264(images: Sequence[np.ndarray], qp: int) -> list[np.ndarray]:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = images[0].shape[:2]
    encoder.pix_fmt, encoder.time_base, encoder.thread_count = "yuv420p", Fraction(1, 25), 1
    encoder.options = {"qp": str(qp), "preset": "veryfast", "tune": "zerolatency", "g": "1"}
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    packets = [p for image in images for p in encoder.encode(av.VideoFrame.from_ndarray(image, "bgr24"))]
    packets += encoder.encode(None)
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    # One converter for all frames: a frame's own builds its tables and starts its threads each time.
    converter = VideoReformatter()
    return [converter.reformat(frame, format="bgr24", threads=1).to_ndarray() for frame in frames]
