"""Places for people to walk through: a painted hall, street or room, or pictures of your own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from toolkit.data.scenes.config import SceneConfig
from toolkit.errors import DataError
from toolkit.pictures import decoded

_PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})

# Height of the horizon, in shares of the picture: that of the cameras which see the people.
_HORIZON = 0.3


def paint_backdrop(config: SceneConfig, camera: int) -> np.ndarray:
    """What a camera sees while nobody is there.

    Args:
        config: of the scene.
        camera: number of the camera, from 0.

    Returns:
        (H, W, 3), uint8, BGR.

    Raises:
        DataError: the folder of pictures has none, or one cannot be read.
    """
    if config.backgrounds is not None:
        return _picture_of_folder(config.backgrounds, camera, config.size_wh)
    rng = np.random.default_rng((config.seed, 6, camera))
    paint = {"hall": _paint_hall, "street": _paint_street, "room": _paint_room}[config.place]
    image = paint(config.size_wh, rng)
    # Texture enough that neither encoder nor detector has it easy.
    blotches = cv2.resize(rng.normal(0, 7, (9, 16, 1)).astype(np.float32), config.size_wh)[..., None]
    grain = rng.normal(0, 3, (*image.shape[:2], 1))
    return np.clip(image + blotches + grain, 0, 255).astype(np.uint8)


def _picture_of_folder(folder: Path, number: int, size_wh: tuple[int, int]) -> np.ndarray:
    """The picture whose turn it is, its middle cut to the camera's proportions."""
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in _PICTURES)
    if not paths:
        raise DataError(f"no picture in {folder.absolute()}; expected files ending in {', '.join(_PICTURES)}")
    path = paths[number % len(paths)]
    image = decoded(np.fromfile(path, np.uint8))
    if image is None:
        raise DataError(f"{path} is not a picture that can be read; repair or remove it")
    scale = max(size_wh[0] / image.shape[1], size_wh[1] / image.shape[0])
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=smooth)
    left, top = max(0, (large.shape[1] - size_wh[0]) // 2), max(0, (large.shape[0] - size_wh[1]) // 2)
    return cv2.resize(large[top : top + size_wh[1], left : left + size_wh[0]], size_wh)


def _paint_hall(size_wh: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Tiles that run to a far wall, side walls, lamps, doors."""
    (width, height), hue = size_wh, _colour(rng)
    image = _shaded(size_wh, 0.8 * hue + 40, 0.6 * hue + 60)
    far = np.array([0.36, 0.64]) * width, np.array([_HORIZON - 0.2, _HORIZON + 0.12]) * height
    corners = [(x, y) for y in far[1] for x in far[0]]
    _fill(image, [(0, 0), (width, 0), corners[1], corners[0]], hue + 70)
    _fill(image, [(0, height), (width, height), corners[3], corners[2]], 0.55 * hue + 20)
    _fill(image, [corners[0], corners[1], corners[3], corners[2]], 0.8 * hue + 70)
    for share in np.linspace(-1.5, 2.5, 25):
        foot = (share * width, float(height))
        _line(image, (far[0][0] + (far[0][1] - far[0][0]) * share, far[1][1]), foot, 0.48 * hue, far[1][1])
    for depth in 0.5 ** np.arange(0, 4, 0.5):
        y = far[1][1] + (height - far[1][1]) * depth
        _line(image, (0.0, y), (float(width), y), 0.48 * hue, far[1][1])
    for _ in range(4):
        _door(image, rng)
    for x in (0.42, 0.5, 0.58):
        box = (x - 0.025, 0.03, x + 0.025, 0.045)
        _box(image, box, np.array([250.0, 250, 250]))
    return image


def _paint_street(size_wh: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Sky, a row of houses with windows, and the pavement."""
    image = _shaded(size_wh, np.array([235.0, 205, 170]), np.array([225.0, 220, 210]))
    x, ground = -0.02, _HORIZON + 0.18
    while x < 1.0:
        wide, top = rng.uniform(0.12, 0.28), rng.uniform(-0.1, 0.12)
        wall = _colour(rng)
        _box(image, (x, top, x + wide, ground), wall)
        panes = np.array([120.0, 95, 70]) * rng.uniform(0.5, 1.2)
        for row in np.arange(top + 0.04, ground - 0.12, 0.11):
            for column in np.arange(x + 0.02, x + wide - 0.03, 0.05):
                _box(image, (column, row, column + 0.028, row + 0.065), panes * rng.uniform(0.7, 1.3))
        _box(image, (x + 0.03, ground - 0.1, x + wide - 0.04, ground - 0.01), _colour(rng) * 0.5)
        x += wide
    _box(image, (0, ground, 1, 1), np.array([125.0, 128, 130]))
    _box(image, (0, ground, 1, ground + 0.03), np.array([165.0, 168, 170]))
    for depth in 0.5 ** np.arange(0, 4, 1.0):
        y = (ground + (1 - ground) * depth) * image.shape[0]
        _line(image, (0.0, y), (float(image.shape[1]), y), np.array([108.0, 110, 112]), 0)
    return image


def _paint_room(size_wh: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A wall with windows, pictures and shelves, above a floor."""
    wall = _colour(rng) * 0.6 + 80
    image = _shaded(size_wh, wall, wall * 0.85)
    _box(image, (0, 0.8, 1, 1), wall * (0.5, 0.58, 0.66))
    for x in (0.06, 0.7):
        _box(image, (x, 0.06, x + 0.22, 0.46), np.array([230.0, 230, 225]))
        for pane in (0.012, 0.116):
            _box(image, (x + pane, 0.08, x + pane + 0.092, 0.44), np.array([245.0, 225, 200]))
    _box(image, (0.36, 0.18, 0.62, 0.62), wall * 0.45)
    for row in (0.2, 0.34, 0.48):
        left = 0.37
        while left < 0.59:
            wide = rng.uniform(0.006, 0.02)
            _box(image, (left, row + rng.uniform(0, 0.03), left + wide, row + 0.12), _colour(rng))
            left += wide + 0.002
    return image


def _colour(rng: np.random.Generator) -> np.ndarray:
    """(3,): a wall's: seldom bright, never loud."""
    return rng.uniform(70, 160) + rng.uniform(-22, 22, 3)


def _shaded(size_wh: tuple[int, int], above: np.ndarray, below: np.ndarray) -> np.ndarray:
    shares = np.linspace(0, 1, size_wh[1], dtype=np.float32)[:, None, None]
    return np.repeat((above * (1 - shares) + below * shares).astype(np.float32), size_wh[0], axis=1)


def _door(image: np.ndarray, rng: np.random.Generator) -> None:
    left = float(rng.choice([rng.uniform(0.02, 0.28), rng.uniform(0.68, 0.92)]))
    _box(image, (left, 0.16, left + 0.07, 0.62), _colour(rng) * 0.7)


def _box(image: np.ndarray, shares_xyxy: tuple[float, ...], colour: np.ndarray) -> None:
    height, width = image.shape[:2]
    left, top, right, bottom = np.rint(np.array(shares_xyxy) * (width, height, width, height)).astype(int)
    cv2.rectangle(image, (left, top), (right, bottom), colour.tolist(), cv2.FILLED)


def _fill(image: np.ndarray, points_xy: list[tuple[float, float]], colour: np.ndarray) -> None:
    cv2.fillPoly(image, [np.rint(points_xy).astype(np.int32)], np.clip(colour, 0, 255).tolist())


def _line(
    image: np.ndarray, start: tuple[float, float], end: tuple[float, float], colour: np.ndarray, top: float
) -> None:
    """A thin line; nothing of it above ``top``."""
    below = image[int(top) :]
    points = [(round(x), round(y - int(top))) for x, y in (start, end)]
    cv2.line(below, points[0], points[1], colour.tolist(), 1, cv2.LINE_AA)
