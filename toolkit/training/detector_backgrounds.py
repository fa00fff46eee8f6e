"""Places without a face: drawn walls and clutter, the rims of face pictures, and stills of an empty room."""

from __future__ import annotations

import math

import cv2
import numpy as np

from toolkit.errors import DataError

RIM_SHARE = 0.16
"""So much of a face picture at its left, right or lower edge shows hair, clothes and what is behind."""

_STILL_SHARE = 0.3
_ELEMENTS = 35
_LETTERS = "ABCDEFGHKLMNOPRSTUXYZ0123456789abcdeghmnopqsu&@"


def read_stills(path: str, count: int = 60) -> np.ndarray:
    """Pictures spread evenly over a film in which no face is to be seen: (N, H, W, 3), uint8, BGR.

    Raises:
        DataError: the film cannot be read.
    """
    film = cv2.VideoCapture(path)
    total, stills = int(film.get(cv2.CAP_PROP_FRAME_COUNT)), []
    for number in np.linspace(0, max(0, total - 1), count).astype(int):
        film.set(cv2.CAP_PROP_POS_FRAMES, int(number))
        is_there, still = film.read()
        if is_there:
            stills.append(still)
    film.release()
    if not stills:
        raise DataError(f"no picture can be read from {path}; name a film that OpenCV reads")
    return np.stack(stills)


def draw_background(
    side_px: int, pictures: np.ndarray, stills: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """A new place.

    Args:
        side_px: its side.
        pictures: (N, S, S, 3), uint8, BGR: faces, of which only the rims are used.
        stills: (K, H, W, 3), uint8, BGR: places without a face; None where there are none.
        rng: where chance comes from.

    Returns:
        (side_px, side_px, 3), uint8, BGR.
    """
    if stills is not None and rng.random() < _STILL_SHARE:
        image = _part_of_still(side_px, stills, rng)
    else:
        kind = rng.random()
        image = (
            _wall(side_px, rng)
            if kind < 0.3
            else _rims(side_px, pictures, rng)
            if kind < 0.65
            else _texture(side_px, rng)
        )
    largest_px = side_px * float(rng.choice((0.8, 0.3, 0.1)))
    most = _ELEMENTS * (1 if largest_px > 0.5 * side_px else 4)
    for _ in range(int(most * rng.random() ** 3)):
        _put_element(image, pictures, largest_px, rng)
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 4)))
    return image


def rim_of(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A strip of a face picture's left, right or lower edge, perhaps mirrored: hair, clothes, walls."""
    wide = max(2, round(RIM_SHARE * picture.shape[0]))
    strips = picture[:, :wide], picture[:, -wide:], picture[-wide:].transpose(1, 0, 2)
    strip = strips[rng.integers(3)]
    return np.ascontiguousarray(strip[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))])


def _part_of_still(side_px: int, stills: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    still = stills[rng.integers(len(stills))]
    scale = float(np.exp(rng.uniform(math.log(0.45), math.log(2.0))))
    part_px = min(round(side_px / scale), *still.shape[:2])
    top, left = (int(rng.integers(0, side - part_px + 1)) for side in still.shape[:2])
    part = still[top : top + part_px, left : left + part_px, :: rng.choice((-1, 1))]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    way = cv2.INTER_AREA if part_px > side_px else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(part), (side_px, side_px), interpolation=way)


def _wall(side_px: int, rng: np.random.Generator) -> np.ndarray:
    """Soft blotches, coarse or fine, of many colours or few, with grain."""
    cells = int(rng.integers(2, 24))
    base = rng.integers(10, 246) + rng.normal(0, rng.choice((6, 20, 60)), 3)
    light = rng.normal(0, rng.uniform(2, 60), (cells, cells, 1))
    blotches = base + light + rng.normal(0, rng.uniform(0, 20), (cells, cells, 3))
    way = cv2.INTER_NEAREST if rng.random() < 0.15 else cv2.INTER_LINEAR
    wall = cv2.resize(np.clip(blotches, 0, 255).astype(np.uint8), (side_px, side_px), interpolation=way)
    if rng.random() < 0.5:
        grain = np.zeros_like(wall)
        cv2.randn(grain, np.zeros(3), np.full(3, rng.uniform(2, 14)))
        wall = cv2.add(wall, grain)
    return wall


def _texture(side_px: int, rng: np.random.Generator) -> np.ndarray:
    """Rough at every scale, as leaves, stone and crowds are, or in stripes, as facades and fences are."""
    grey = np.zeros((side_px, side_px), np.float32)
    roughness = float(rng.uniform(0.5, 1.1))
    cells, weight = 2, 1.0
    while cells <= side_px:
        octave = rng.normal(0, weight, (cells, cells)).astype(np.float32)
        grey += cv2.resize(octave, (side_px, side_px), interpolation=cv2.INTER_LINEAR)
        cells, weight = cells * 2, weight * roughness
    if rng.random() < 0.5:
        grey += float(rng.uniform(0.3, 2)) * grey.std() * _stripes(side_px, rng)
    if rng.random() < 0.2:
        # Light and dark without anything between: leaves against the sky.
        grey = np.tanh(4 * (grey - np.median(grey)) / grey.std())
    grey *= float(rng.uniform(15, 70)) / max(float(grey.std()), 1e-6)
    colour = rng.integers(30, 226) + rng.normal(0, rng.choice((4, 15, 40)), 3)
    tint = 1.0 + rng.normal(0, 0.15, 3)
    return np.clip(grey[..., None] * tint + colour, 0, 255).astype(np.uint8)


def _stripes(side_px: int, rng: np.random.Generator) -> np.ndarray:
    """(S, S), float32, -1..1: parallel stripes, or two kinds of them crossing."""
    y, x = np.mgrid[:side_px, :side_px].astype(np.float32)
    waves = np.zeros_like(x)
    for _ in range(int(rng.integers(1, 3))):
        angle = rng.choice((0.0, math.pi / 2)) if rng.random() < 0.6 else rng.uniform(0, math.pi)
        length_px = math.exp(rng.uniform(math.log(3), math.log(60)))
        waves += np.sin((math.cos(angle) * x + math.sin(angle) * y) * (2 * math.pi / length_px)).astype(
            np.float32
        )
    return np.sign(waves) if rng.random() < 0.5 else np.clip(waves, -1, 1)


def _put_element(
    image: np.ndarray, pictures: np.ndarray, largest_px: float, rng: np.random.Generator
) -> None:
    """One thing more, in place: a box, an oval, a line, letters, or a strip of something real."""
    side_px, kind = image.shape[0], rng.random()
    shade = rng.integers(0, 256) + rng.normal(0, rng.choice((5, 20, 70)), 3)
    colour = tuple(int(value) for value in np.clip(shade, 0, 255))
    x, y = (int(value) for value in rng.integers(-side_px // 8, side_px, 2))
    long = float(np.exp(rng.uniform(math.log(4), math.log(largest_px))))
    width, height = max(2, round(long * rng.uniform(0.2, 1))), max(2, round(long * rng.uniform(0.2, 1)))
    filled = cv2.FILLED if rng.random() < 0.7 else max(1, round(long / 20))
    if kind < 0.45:
        _put_strip(image, rim_of(pictures[rng.integers(len(pictures))], rng), (x, y), (width, height))
    elif kind < 0.6:
        cv2.rectangle(image, (x, y), (x + width, y + height), colour, filled, cv2.LINE_AA)
    elif kind < 0.8:
        cv2.ellipse(
            image, (x, y), (width // 2, height // 2), float(rng.uniform(0, 180)), 0, 360, colour, filled
        )
    elif kind < 0.88:
        end = x + round(long * rng.uniform(-1, 1)), y + round(long * rng.uniform(-1, 1))
        cv2.line(image, (x, y), end, colour, int(rng.integers(1, 8)), cv2.LINE_AA)
    elif kind < 0.96:
        _put_sign(image, (x, y), max(8, round(1.5 * long)), rng)
    else:
        text = "".join(rng.choice(list(_LETTERS), int(rng.integers(1, 8))))
        cv2.putText(image, text, (x, y), int(rng.integers(0, 8)), long / 80, colour, int(rng.integers(1, 4)))


def _put_sign(image: np.ndarray, left_top: tuple[int, int], high_px: int, rng: np.random.Generator) -> None:
    """Bold letters or a round badge on a plate, in place: shop signs, which look like eyes and mouths."""
    side_px = image.shape[0]
    ground, ink = (tuple(int(v) for v in rng.integers(0, 256, 3)) for _ in range(2))
    if rng.random() < 0.5:
        ground, ink = ((int(v),) * 3 for v in rng.permutation([rng.integers(0, 90), rng.integers(150, 256)]))
    (x, y), thick = left_top, max(1, round(high_px * rng.uniform(0.1, 0.25)))
    if rng.random() < 0.6:
        cv2.rectangle(image, (x, y), (min(side_px, x + high_px * 4), y + high_px), ground, cv2.FILLED)
    if rng.random() < 0.5:
        middle, half = (x + high_px // 2, y + high_px // 2), max(3, round(high_px * rng.uniform(0.3, 0.5)))
        cv2.circle(image, middle, half, ink, cv2.FILLED if rng.random() < 0.5 else thick, cv2.LINE_AA)
        start = float(rng.uniform(0, 360))
        cv2.ellipse(
            image,
            middle,
            (half, half),
            start,
            0,
            float(rng.uniform(60, 300)),
            ground,
            cv2.FILLED,
            cv2.LINE_AA,
        )
        inner = max(2, round(half * rng.uniform(0.4, 0.7)))
        cv2.circle(image, middle, inner, ink, thick, cv2.LINE_AA)
        cv2.line(image, (middle[0] - inner, middle[1]), (middle[0] + inner, middle[1]), ink, thick)
    else:
        text = "".join(rng.choice(list(_LETTERS), int(rng.integers(1, 8))))
        place = x + high_px // 8, y + high_px * 7 // 8
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, high_px / 32, ink, thick, cv2.LINE_AA)


def _rims(side_px: int, pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strips of what stands beside faces, side by side: pillars, walls, people's sleeves, trees."""
    columns, left = [], 0
    while left < side_px:
        wide = int(np.exp(rng.uniform(math.log(12), math.log(0.7 * side_px))))
        strip = rim_of(pictures[rng.integers(len(pictures))], rng)
        if rng.random() < 0.5:
            strip = np.concatenate([strip, strip[::-1]])
        columns.append(cv2.resize(strip, (wide, side_px), interpolation=cv2.INTER_CUBIC))
        left += wide
    return np.ascontiguousarray(np.concatenate(columns, axis=1)[:, :side_px])


def _put_strip(
    image: np.ndarray, strip: np.ndarray, left_top: tuple[int, int], size_wh: tuple[int, int]
) -> None:
    left, top = max(0, left_top[0]), max(0, left_top[1])
    right = min(image.shape[1], left_top[0] + size_wh[0])
    bottom = min(image.shape[0], left_top[1] + size_wh[1])
    if right > left and bottom > top:
        image[top:bottom, left:right] = cv2.resize(strip, (right - left, bottom - top))
