"""A real face to film without a camera: the portrait that comes with matplotlib, moved across a view."""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import cos, pi, sin
from pathlib import Path

import cv2
import numpy as np
from matplotlib.cbook import get_sample_data

from toolkit.data.scenes.film import encode_h264
from toolkit.errors import ConfigError, DataError

# Part of every file name: raise it when the clip changes, so that nobody is shown an old one.
_VERSION = 2

_SIZE_WH, _FRAMES_PER_S = (1280, 720), 25


def render_portrait(folder: Path, seconds: float = 12.0) -> Path:
    """Render the clip as H.264 in MP4, or find it where an earlier call has left it.

    It shows the public-domain portrait of Grace Hopper, and looped there is no jump in it.

    Args:
        folder: where the clip goes; made if missing.
        seconds: its length.

    Raises:
        ConfigError: ``seconds`` is not positive.
        DataError: this matplotlib came without its sample data.
    """
    if seconds <= 0:
        raise ConfigError(f"seconds must be positive, got {seconds:g}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"portrait-v{_VERSION}-{seconds:g}s.mp4"
    if not path.exists():
        # Under another name first: a file that carries its own name is always complete.
        part = path.with_name(f"{path.stem}.{os.getpid()}.part.mp4")
        try:
            encode_h264(part, _pictures(max(1, round(seconds * _FRAMES_PER_S))), _SIZE_WH, _FRAMES_PER_S)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path


def _pictures(count: int) -> Iterator[np.ndarray]:
    """(720, 1280, 3), uint8, BGR: once around, so that the last leads to the first."""
    wall, portrait = _wall(), _portrait()
    # Fades to the wall at its border, as a person does and a pasted picture does not.
    height, width = portrait.shape[:2]
    oval = np.zeros((height, width), dtype=np.float32)
    cv2.ellipse(oval, (width // 2, height // 2), (width * 42 // 100, height * 45 // 100), 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(oval, (0, 0), 15)
    for number in range(count):
        angle = 2 * pi * number / count
        image = wall.copy()
        centre_xy = (0.5 + 0.28 * cos(angle), 0.5 + 0.06 * sin(2 * angle))
        _blend(image, portrait, mask, 0.75 + 0.2 * sin(angle), centre_xy)
        yield image


def _portrait() -> np.ndarray:
    try:
        path = get_sample_data("grace_hopper.jpg", asfileobj=False)
    except OSError as error:
        raise DataError("matplotlib came without its sample pictures; install it with pip") from error
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path} cannot be read; install matplotlib anew")
    return image


def _blend(
    image: np.ndarray, picture: np.ndarray, mask: np.ndarray, scale: float, centre_xy: tuple[float, float]
) -> None:
    """Lay ``picture`` over ``image`` in place, scaled, its centre at a share of width and height."""
    height, width = image.shape[:2]
    shift = (
        width * centre_xy[0] - scale * picture.shape[1] / 2,
        height * centre_xy[1] - scale * picture.shape[0] / 2,
    )
    to_view = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    over = cv2.warpAffine(
        picture, to_view, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    weight = cv2.warpAffine(mask, to_view, (width, height))[:, :, None]
    image[:] = (image + weight * (over.astype(np.float32) - image)).astype(np.uint8)


def _wall() -> np.ndarray:
    """Soft blotches with grain: texture enough that neither encoder nor detector has it easy."""
    width, height = _SIZE_WH
    rng = np.random.default_rng(0)
    blotches = cv2.resize(
        rng.integers(70, 150, (9, 16, 3)).astype(np.float32), _SIZE_WH, interpolation=cv2.INTER_CUBIC
    )
    grain = rng.normal(0, 6, (height, width, 1))
    return np.clip(blotches + grain, 0, 255).astype(np.uint8)
