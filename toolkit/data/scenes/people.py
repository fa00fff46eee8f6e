"""The people of a scene: faces of a labelled pack or drawn ones, each on a body, cut out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from toolkit.data.faces import FaceTable, load_faces
from toolkit.data.labels import OLDEST_YEARS
from toolkit.data.scenes.canvas import Canvas
from toolkit.data.scenes.compose import Cutout
from toolkit.data.scenes.config import SceneConfig
from toolkit.data.scenes.drawn_head import HeadLook, draw_head
from toolkit.errors import ConfigError
from toolkit.records import Gender

# Where the face lies in the square pictures of packs that are aligned on it, FairFace and UTKFace, in shares
# of the side: the middle of what YuNet says of composed heads. It reaches a little above the upper edge.
FACE_IN_PICTURE = (0.10, -0.045, 0.90, 0.965)

# Side of the square that holds a face, in a cutout: faces of packs have little more, and nearer than that
# nobody comes.
_SIDE_PX = 128

# Room around that square, in its sides: hair above, shoulders beside and below.
_ABOVE, _ASIDE, _BELOW = 0.35, 0.75, 5.6

_AGES_YEARS = (18, 85)


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody who walks through a scene.

    Attributes:
        cutout: how they look.
        gender: the data set's label; None where it has none.
        age_years: the middle of what the label allows; None where it says nothing.
        age_within_years: by how much the age may be off to both sides.
    """

    cutout: Cutout
    gender: Gender | None = None
    age_years: float | None = None
    age_within_years: float = 0.0


def make_people(config: SceneConfig) -> list[Person]:
    """The people of a scene: one picture of the pack each, or drawn.

    Raises:
        DataError: the pack cannot be read.
        ConfigError: it has fewer faces than the scene has people.
    """
    if config.faces is None:
        return [draw_person(np.random.default_rng((config.seed, 4, n))) for n in range(config.persons)]
    table = load_faces(config.faces, config.split)
    if len(table) < config.persons:
        raise ConfigError(f"{table.name} has {len(table)} faces, too few for {config.persons} persons")
    chosen = np.random.default_rng((config.seed, 4)).choice(len(table), config.persons, replace=False)
    return [
        person_of(table, index, np.random.default_rng((config.seed, 5, index))) for index in map(int, chosen)
    ]


def person_of(table: FaceTable, index: int, rng: np.random.Generator) -> Person:
    """The person whose face is picture ``index`` of a pack, on a body drawn by chance."""
    low, high = int(table.ages_lo[index]), int(table.ages_hi[index])
    # An unknown age is packed as all ages.
    is_known = (low, high) != (0, OLDEST_YEARS)
    # Labels of whole years cover them to their end, as in toolkit.evaluation.values; an exact age is a point.
    end = high if low == high else high + 1
    return Person(
        cut_out_face(table.picture(index), rng),
        "female" if table.genders[index] else "male",
        (low + end) / 2 if is_known else None,
        (end - low) / 2 if is_known else 0.0,
    )


def draw_person(rng: np.random.Generator) -> Person:
    """Somebody drawn: the label says as what, and a model of people need not agree."""
    is_female, age_years = bool(rng.random() < 0.5), int(rng.integers(*_AGES_YEARS))
    canvas, left_top = _blank()
    look = HeadLook.by_chance(is_female, age_years, rng)
    _draw_body(canvas, left_top, look.skin_bgr, rng)
    face_xyxy = draw_head(canvas.upper(2 * _SIDE_PX), left_top, _SIDE_PX, look, rng)
    return Person(canvas.cut_out(face_xyxy), "female" if is_female else "male", float(age_years))


def cut_out_face(picture: np.ndarray, rng: np.random.Generator) -> Cutout:
    """A picture aligned on a face as a head with hair and shoulders.

    Args:
        picture: (S, S, 3), uint8, BGR, the face where :data:`FACE_IN_PICTURE` says.
        rng: chooses the clothes.
    """
    side = float(_SIDE_PX)
    face = cv2.resize(picture, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    canvas, (left, top) = _blank()
    middle = (left + side / 2, top + side / 2)
    cheeks = face[_SIDE_PX * 55 // 100 : _SIDE_PX * 75 // 100, _SIDE_PX // 3 : _SIDE_PX * 2 // 3]
    _draw_body(canvas, (left, top), np.median(cheeks.reshape(-1, 3), axis=0), rng)
    head = canvas.upper(2 * _SIDE_PX)
    # Pictures end at the forehead: what they show there goes on above, to the shape of a head.
    hair = np.median(face[: _SIDE_PX // 16].reshape(-1, 3), axis=0) * 0.85
    skull = head.ellipse((middle[0], middle[1] - 0.12 * side), (0.46 * side, 0.6 * side), 2.0)
    head.lay(hair + _grain(skull.shape, rng), skull)
    spread = cv2.copyMakeBorder(face, top, skull.shape[0] - top - _SIDE_PX, left, left, cv2.BORDER_REPLICATE)
    oval = head.ellipse(middle, (0.475 * side, 0.57 * side), 4.0)
    rows = np.arange(skull.shape[0], dtype=np.float32)[:, None]
    is_in_picture = np.clip((rows - top) / (0.06 * side), 0, 1) * np.clip((top + side - rows) / 4, 0, 1)
    head.lay(spread, oval * is_in_picture)
    x0, y0, x1, y1 = FACE_IN_PICTURE
    return canvas.cut_out((left + x0 * side, top + y0 * side, left + x1 * side, top + y1 * side))


def _blank() -> tuple[Canvas, tuple[int, int]]:
    """An empty canvas, and where on it the square of the face begins."""
    left, top = round(_ASIDE * _SIDE_PX), round(_ABOVE * _SIDE_PX)
    return Canvas(_SIDE_PX + 2 * left, round((1 + _ABOVE + _BELOW) * _SIDE_PX)), (left, top)


def _draw_body(
    canvas: Canvas, left_top: tuple[int, int], skin_bgr: np.ndarray, rng: np.random.Generator
) -> None:
    """Legs, coat, neck; nobody looks at them, but without them a head would float."""
    side = float(_SIDE_PX)
    x, chin = left_top[0] + side / 2, left_top[1] + 0.92 * side
    half, feet = side * rng.uniform(0.75, 0.95), left_top[1] + (1 + _BELOW) * side
    throat, hip = chin + 0.2 * side, chin + 2.9 * side
    coat, trousers = _cloth(rng), _cloth(rng) * 0.6
    for way in (-1, 1):
        leg = [
            (x + way * 0.06 * half, hip - 0.3 * side),
            (x + way * 0.85 * half, hip - 0.3 * side),
            (x + way * 0.65 * half, feet),
            (x + way * 0.2 * half, feet),
        ]
        cover = canvas.polygon(leg, 3.0)
        canvas.lay(trousers + _grain(cover.shape, rng), cover)
    right = [(0.3 * side, throat), (0.8 * half, throat + 0.16 * side), (half, throat + 0.45 * side)]
    right += [(1.05 * half, throat + 1.8 * side), (0.8 * half, throat + 1.9 * side), (0.85 * half, hip)]
    outline = [(x + dx, y) for dx, y in right] + [(x - dx, y) for dx, y in reversed(right)]
    cover = canvas.polygon(outline, 3.0)
    columns = np.arange(cover.shape[1], dtype=np.float32)[None, :, None]
    roundness = 1.1 - 0.35 * ((columns - x) / half) ** 2
    canvas.lay(coat * roundness + _grain(cover.shape, rng), cover)
    canvas.lay(tuple(np.asarray(skin_bgr) * 0.72), canvas.ellipse((x, chin), (0.26 * side, 0.4 * side), 3.0))


def _cloth(rng: np.random.Generator) -> np.ndarray:
    """(3,): a colour that people wear: seldom loud."""
    return rng.uniform(30, 150) + rng.uniform(-30, 30, 3)


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """(H, W, 1): what keeps a painted surface from being flat."""
    return rng.normal(0, 4, (*shape, 1)).astype(np.float32)
