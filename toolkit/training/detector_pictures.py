"""Made pictures to learn finding faces from: people of all sizes, in made places, seen by bad cameras too."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from toolkit.data.scenes.compose import Cutout, Placement, compose
from toolkit.data.store import square
from toolkit.records import BoxXyxy
from toolkit.training.detector_backgrounds import draw_background
from toolkit.training.detector_bodies import Body
from toolkit.training.detector_people import cut_decoy, cut_jumble, cut_person
from toolkit.training.detector_sheet import PICTURE_PX

SMALLEST_FACE_PX = 8.0
"""Smaller ones are neither asked for nor wrong to find."""

MOST_HIDDEN = 0.5
"""A face of which more is hidden is neither asked for nor wrong to find; nearly hidden ones are not there."""

_GONE = 0.85
_DECOY_SHARE = 0.35
_POOL = 1200
_FRESH_SHARE = 0.06
_TURNED_SHARE = 0.2

_LEAST_JUMBLE_PX = 36.0
"""Smaller jumbles of a face cannot be told from one, and would teach that blurred faces are none."""

Cut = Callable[[np.ndarray, np.ndarray, Sequence[Body], np.random.Generator], Cutout]


class FacePicture(NamedTuple):
    """A made picture and what is in it.

    Attributes:
        image: (S, S, 3), uint8, BGR.
        boxes_xyxy: (N, 4), float32, pixels: the faces.
        is_asked: (N,), bool: False for a face that is too small or too hidden to be asked for.
    """

    image: np.ndarray
    boxes_xyxy: np.ndarray
    is_asked: np.ndarray


class PictureMaker:
    """Makes one picture after the other; not for several threads at once.

    People are cut out of their pictures once and used some times, each time in another size, turn and light:
    cutting takes longer than drawing.

    Args:
        pictures: (N, S, S, 3), uint8, BGR, as FairFace aligns them.
        side_px: side of what is made.
        seed: of all chance.
        stills: (K, H, W, 3), uint8, BGR: places without a face.
        pool: so many people are kept.
        bodies: real ones, for some of the faces.
        turned: faces seen from one side, by the number of their picture: the box, as shares of its side. They
            are few, and are taken more often than others.
    """

    def __init__(
        self,
        pictures: np.ndarray,
        side_px: int,
        seed: int | tuple[int, ...],
        stills: np.ndarray | None = None,
        pool: int = _POOL,
        bodies: Sequence[Body] = (),
        turned: Mapping[int, BoxXyxy] | None = None,
    ) -> None:
        self._pictures, self._side_px, self._stills = pictures, side_px, stills
        self._bodies, self._turned = bodies, turned or {}
        self._rng = np.random.default_rng(seed)
        self._pool = pool
        self._people: list[Cutout] = []
        self._aside: list[Cutout] = []
        self._decoys: list[Cutout] = []
        self._jumbles: list[Cutout] = []

    def make(self) -> FacePicture:
        """The next picture."""
        rng = self._rng
        # Noise is OpenCV's, which has chance of its own in every thread.
        cv2.setRNGSeed(int(rng.integers(1 << 31)))
        background = draw_background(self._side_px, self._pictures, self._stills, rng)
        placed = self._place_all()
        made = compose(background, [placement for placement, _ in placed], match=float(rng.uniform(0, 0.5)))
        is_face = np.array([is_face for _, is_face in placed], bool)
        boxes = made.boxes_xyxy.astype(np.float32)
        sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
        is_there = is_face & (made.occluded < _GONE) & (sides.min(axis=1, initial=np.inf) > 1)
        is_asked = (made.occluded <= MOST_HIDDEN) & (np.sqrt(sides.prod(axis=1)) >= SMALLEST_FACE_PX)
        return FacePicture(film(made.image, rng), boxes[is_there], is_asked[is_there])

    def _place_all(self) -> list[tuple[Placement, bool]]:
        """Everybody, small ones behind; and whether it is a face."""
        rng = self._rng
        way = rng.random()
        if way < 0.04:
            return []
        count = 1 if way < 0.1 else int(rng.integers(4, 14)) if way < 0.65 else int(rng.integers(14, 34))
        # A picture of a crowd has one distance, more or less; others have people at any.
        middle = math.exp(rng.uniform(math.log(9), math.log(self._side_px * (0.9 if count < 3 else 0.4))))
        spread = rng.uniform(0.1, 0.9)
        # In half of the pictures people stand on one ground, as in most films: their heads are in a band.
        band = (float(rng.uniform(0.1, 0.6)), float(rng.uniform(0.02, 0.15))) if rng.random() < 0.5 else None
        placed: list[tuple[Placement, bool]] = []
        for _ in range(count):
            height = float(np.clip(middle * math.exp(rng.normal(0, spread)), 7, self._side_px * 0.95))
            down = rng.uniform(-0.02, 1.02) if band is None else rng.normal(*band)
            centre = rng.uniform(-0.02, 1.02) * self._side_px, down * self._side_px
            if placed and rng.random() < 0.25:
                # Somebody walks beside or behind somebody.
                near, height = placed[-1][0], placed[-1][0].face_height_px * float(rng.uniform(0.6, 1.1))
                aside = near.face_height_px * rng.choice((-1, 1)) * rng.uniform(0.6, 1.5)
                centre = near.centre_xy[0] + aside, near.centre_xy[1] + height * rng.normal(0, 0.3)
            placed.append(self._placed(height, centre))
        return sorted(placed, key=lambda one: one[0].face_height_px)

    def _placed(self, height_px: float, centre_xy: tuple[float, float]) -> tuple[Placement, bool]:
        rng = self._rng
        is_face = rng.random() >= _DECOY_SHARE
        tilt = rng.normal(0, 8) if rng.random() < 0.75 else rng.uniform(-40, 40)
        placement = Placement(
            self._person() if is_face else self._decoy(height_px),
            centre_xy=(float(centre_xy[0]), float(centre_xy[1])),
            face_height_px=height_px,
            turn_deg=float(rng.normal(0, 12)),
            tilt_deg=float(tilt),
            light=float(math.exp(rng.normal(0, 0.3))),
            smear_px=height_px * float(rng.uniform(0, 0.2)) if rng.random() < 0.15 else 0.0,
        )
        return placement, is_face

    def _person(self) -> Cutout:
        if self._turned and self._rng.random() < _TURNED_SHARE:
            return self._drawn_from(self._aside, self._pool // 6, self._cut_aside)
        return self._drawn_from(self._people, self._pool, cut_person)

    def _cut_aside(
        self, _: np.ndarray, other: np.ndarray, bodies: Sequence[Body], rng: np.random.Generator
    ) -> Cutout:
        number = list(self._turned)[rng.integers(len(self._turned))]
        picture = square(self._pictures[number], PICTURE_PX)
        return cut_person(picture, other, bodies, rng, self._turned[number])

    def _decoy(self, height_px: float) -> Cutout:
        if height_px >= _LEAST_JUMBLE_PX and self._rng.random() < 0.4:
            return self._drawn_from(self._jumbles, self._pool // 6, cut_jumble)
        return self._drawn_from(self._decoys, self._pool // 4, cut_decoy)

    def _drawn_from(self, pool: list[Cutout], most: int, cut: Cut) -> Cutout:
        rng = self._rng
        if len(pool) < most or rng.random() < _FRESH_SHARE:
            one, other = self._pictures[rng.integers(len(self._pictures), size=2)]
            cutout = cut(square(one, PICTURE_PX), square(other, PICTURE_PX), self._bodies, rng)
            if len(pool) < most:
                pool.append(cutout)
            else:
                pool[rng.integers(most)] = cutout
            return cutout
        return pool[rng.integers(len(pool))]


def film(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a camera makes of a place: light, colour, blur, noise, and the marks of a codec.

    Args:
        image: (H, W, 3), uint8, BGR; may be changed.
        rng: where chance comes from.

    Returns:
        The same shape.
    """
    height, width = image.shape[:2]
    if rng.random() < 0.35:
        sigma = float(rng.uniform(0.3, 1.4))
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    elif rng.random() < 0.15:
        image = cv2.blur(image, (int(rng.integers(2, 6)), 1))
    if rng.random() < 0.2:
        scale = float(rng.uniform(0.5, 0.9))
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.3:
        # Cameras sharpen, and leave a bright rim around what is dark.
        soft = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.7, 1.6)))
        strength = float(rng.uniform(0.2, 1.2))
        image = cv2.addWeighted(image, 1 + strength, soft, -strength, 0)
    is_night = rng.random() < 0.07
    image = cv2.LUT(image, _light_table(is_night, rng))
    if rng.random() < 0.15:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if is_night or rng.random() < 0.3:
        grain = np.empty(image.shape, np.int16)
        cv2.randn(grain, np.zeros(3), np.full(3, rng.uniform(2, 16 if is_night else 9)))
        image = cv2.add(image, grain, dtype=cv2.CV_8U)
    if rng.random() < 0.5:
        jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(18, 85))])[1]
        image = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))
    if rng.random() < 0.05:
        # Seen through haze, or into the sun.
        image = cv2.addWeighted(image, 0.6, np.full_like(image, int(rng.integers(120, 256))), 0.4, 0)
    return image


def _light_table(is_night: bool, rng: np.random.Generator) -> np.ndarray:
    """(1, 256, 3): gamma, contrast, brightness and the colour of the light."""
    steps = np.linspace(0, 1, 256)[:, None]
    normal = rng.standard_normal(6)
    gains = 1.0 + 0.05 * normal[3:]
    if is_night:
        gains = gains * rng.uniform(0.18, 0.5)
    table = (
        (steps ** math.exp(0.25 * normal[0]) - 0.5) * math.exp(0.2 * normal[1]) + 0.5 + 0.06 * normal[2]
    ) * gains
    return np.clip(table * 255, 0, 255).astype(np.uint8)[None]
