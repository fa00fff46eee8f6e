"""Heads drawn from nothing, near enough to people that face detectors find them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.data.scenes.canvas import Canvas
from toolkit.records import BoxXyxy

_SKINS_BGR = ((190, 205, 235), (150, 180, 220), (110, 145, 190), (70, 100, 145), (50, 70, 105))
_HAIRS_BGR = ((25, 25, 30), (35, 50, 75), (50, 85, 125), (90, 140, 180))
_GREY_BGR = (185, 185, 185)

# From this age to that one hair turns grey.
_GREYING_YEARS = (40.0, 75.0)


@dataclass(frozen=True, eq=False)
class HeadLook:
    """How a drawn head looks.

    Attributes:
        skin_bgr: colour of the skin.
        hair_bgr: colour of hair and brows; greyer with age.
        is_female: long hair and red lips; else short hair, and perhaps a beard. A drawing's convention.
        has_beard: whether there is one.
        age_years: furrows and grey hair.
        wide: width of the head, as a factor.
    """

    skin_bgr: np.ndarray
    hair_bgr: np.ndarray
    is_female: bool
    has_beard: bool
    age_years: int
    wide: float

    @classmethod
    def by_chance(cls, is_female: bool, age_years: int, rng: np.random.Generator) -> HeadLook:
        """A look for that gender and age."""
        skin = np.array(_SKINS_BGR[rng.integers(len(_SKINS_BGR))], float) * rng.uniform(0.92, 1.05)
        hair = np.array(_HAIRS_BGR[rng.integers(len(_HAIRS_BGR))], float)
        begins, ends = _GREYING_YEARS
        grey = float(np.clip((age_years - begins) / (ends - begins), 0, 1))
        has_beard = not is_female and bool(rng.random() < 0.35)
        wide = float(rng.uniform(0.92, 1.06))
        return cls(
            skin, hair * (1 - grey) + np.array(_GREY_BGR) * grey, is_female, has_beard, age_years, wide
        )


def draw_head(
    canvas: Canvas, left_top: tuple[int, int], side_px: int, look: HeadLook, rng: np.random.Generator
) -> BoxXyxy:
    """Draw a head whose face fills a square of the canvas.

    Args:
        canvas: to draw on.
        left_top: corner of the square.
        side_px: of the square.
        look: see :class:`HeadLook`.
        rng: small differences between people.

    Returns:
        The box of the face, hair line to chin and cheek to cheek, in pixels of the canvas.
    """
    pen = _Pen(canvas, left_top[0] + side_px / 2, left_top[1] + side_px / 2, side_px, look)
    _hair_behind(pen)
    _skull(pen, rng)
    eye_y = -0.06 + rng.uniform(-0.015, 0.015)
    for way in (-1, 1):
        _eye(pen, way * 0.185 * look.wide, eye_y, rng)
    _nose(pen)
    _mouth(pen)
    _furrows(pen)
    _hair_in_front(pen)
    half = 0.405 * look.wide * side_px
    return pen.x - half, pen.y - 0.44 * side_px, pen.x + half, pen.y + 0.57 * side_px


class _Pen:
    """Draws in shares of the square's side, from its middle."""

    def __init__(self, canvas: Canvas, x: float, y: float, side_px: float, look: HeadLook) -> None:
        self.canvas, self.x, self.y, self.side_px, self.look = canvas, x, y, side_px, look

    def oval(
        self,
        at: tuple[float, float],
        radii: tuple[float, float],
        soft: float = 0.012,
        angles_deg: tuple[float, float] = (0.0, 360.0),
    ) -> np.ndarray:
        side = self.side_px
        centre = (self.x + at[0] * side, self.y + at[1] * side)
        return self.canvas.ellipse(centre, (radii[0] * side, radii[1] * side), soft * side, angles_deg)

    def lay(self, bgr: np.ndarray | tuple[float, ...], cover: np.ndarray, strength: float = 1.0) -> None:
        self.canvas.lay(bgr, cover * strength)


def _hair_behind(pen: _Pen) -> None:
    wide = pen.look.wide
    if pen.look.is_female:
        pen.lay(pen.look.hair_bgr * 0.8, pen.oval((0, 0.08), (0.54 * wide, 0.7), 0.02))
    else:
        pen.lay(pen.look.hair_bgr * 0.8, pen.oval((0, -0.14), (0.46 * wide, 0.5), 0.015))


def _skull(pen: _Pen, rng: np.random.Generator) -> None:
    wide, skin = pen.look.wide, pen.look.skin_bgr
    for way in (-1, 1):
        pen.lay(skin * 0.8, pen.oval((way * 0.425 * wide, 0.02), (0.05, 0.11)))
    face = np.maximum(pen.oval((0, -0.08), (0.41 * wide, 0.47)), pen.oval((0, 0.1), (0.355 * wide, 0.405)))
    # Light from above and one side; the face falls away from it towards its edge.
    across = (np.arange(face.shape[1], dtype=np.float32)[None, :] - pen.x) / pen.side_px
    down = (np.arange(face.shape[0], dtype=np.float32)[:, None] - pen.y) / pen.side_px
    lit = 1.06 - 1.1 * (across / wide) ** 2 - 0.35 * down**2 - 0.1 * down + rng.uniform(-0.25, 0.25) * across
    grain = rng.normal(0, 2.5, (*face.shape, 1))
    pen.lay(np.clip(skin * lit[..., None] + grain, 0, 255), face)
    for way in (-1, 1):
        pen.lay(skin * (0.9, 0.92, 1.04), pen.oval((way * 0.23 * wide, 0.14), (0.1, 0.07), 0.04), 0.6)


def _eye(pen: _Pen, x: float, y: float, rng: np.random.Generator) -> None:
    skin = pen.look.skin_bgr
    pen.lay(skin * 0.62, pen.oval((x, y - 0.012), (0.115, 0.066), 0.03), 0.75)
    pen.lay((225.0, 228.0, 230.0), pen.oval((x, y), (0.078, 0.034), 0.006), 0.95)
    pen.lay((45.0, 60.0, 80.0), pen.oval((x, y), (0.036, 0.036), 0.005))
    pen.lay((12.0, 12.0, 12.0), pen.oval((x, y), (0.018, 0.018), 0.003))
    pen.lay((250.0, 250.0, 250.0), pen.oval((x + 0.012, y - 0.012), (0.007, 0.007), 0.003))
    pen.lay(skin * 0.3, pen.oval((x, y - 0.022), (0.086, 0.018), 0.006), 0.9)
    pen.lay(skin * 0.6, pen.oval((x, y + 0.04), (0.075, 0.012), 0.01), 0.5)
    thick = 0.014 if pen.look.is_female else 0.022
    brow = pen.oval((x * 1.06, y - 0.115 + rng.uniform(-0.01, 0.01)), (0.105, thick), 0.009)
    pen.lay(pen.look.hair_bgr * 0.7, brow, 0.85)


def _nose(pen: _Pen) -> None:
    skin = pen.look.skin_bgr
    pen.lay(np.clip(skin * 1.12, 0, 255), pen.oval((0, 0.05), (0.03, 0.13), 0.02), 0.7)
    for way in (-1, 1):
        pen.lay(skin * 0.7, pen.oval((way * 0.06, 0.06), (0.018, 0.11), 0.025), 0.45)
        pen.lay(skin * 0.35, pen.oval((way * 0.04, 0.185), (0.022, 0.012), 0.008), 0.8)
    pen.lay(skin * 0.62, pen.oval((0, 0.205), (0.085, 0.014), 0.015), 0.6)


def _mouth(pen: _Pen) -> None:
    skin = pen.look.skin_bgr
    if pen.look.has_beard:
        pen.lay(pen.look.hair_bgr * 0.9, pen.oval((0, 0.37), (0.27 * pen.look.wide, 0.15), 0.03), 0.8)
        pen.lay(pen.look.hair_bgr * 0.8, pen.oval((0, 0.25), (0.15, 0.025), 0.012), 0.8)
    lips = skin * ((0.55, 0.5, 0.95) if pen.look.is_female else (0.68, 0.66, 0.85))
    pen.lay(lips, pen.oval((0, 0.296), (0.14, 0.024), 0.008))
    pen.lay(np.clip(lips * 1.08, 0, 255), pen.oval((0, 0.33), (0.115, 0.03), 0.01))
    pen.lay(skin * 0.3, pen.oval((0, 0.31), (0.135, 0.008), 0.005), 0.9)
    pen.lay(skin * 0.7, pen.oval((0, 0.385), (0.08, 0.014), 0.015), 0.5)


def _furrows(pen: _Pen) -> None:
    depth = float(np.clip((pen.look.age_years - 35) / 45, 0, 1))
    for way in (-1, 1):
        pen.lay(pen.look.skin_bgr * 0.6, pen.oval((way * 0.17, 0.24), (0.012, 0.07), 0.01), 0.6 * depth)
    for y in (-0.3, -0.25):
        pen.lay(pen.look.skin_bgr * 0.65, pen.oval((0, y), (0.2, 0.006), 0.006), 0.6 * depth)


def _hair_in_front(pen: _Pen) -> None:
    wide, hair = pen.look.wide, pen.look.hair_bgr
    cap = pen.oval((0, -0.14), (0.45 * wide, 0.49), 0.01, (180.0, 360.0))
    forehead = pen.oval((0, 0.02), (0.37 * wide, 0.45), 0.02)
    pen.lay(hair, cap * (1 - forehead))
    if pen.look.is_female:
        for way in (-1, 1):
            pen.lay(hair * 0.95, pen.oval((way * 0.45 * wide, 0.1), (0.09, 0.5), 0.02))
