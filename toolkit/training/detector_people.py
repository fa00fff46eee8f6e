"""Who stands in a made picture: faces with hair and clothes, and what only looks like one."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from toolkit.data.scenes.compose import Cutout
from toolkit.training.detector_backgrounds import rim_of

FACE_IN_PICTURE = (0.11, -0.07, 0.89, 0.95)
"""Where the face lies in FairFace's pictures, as shares of the side: from ear to ear, and from the hairline,
which most of them cut off, to the chin. Found by looking at a hundred of them; the median of YuNet's boxes on
300 is (0.10, -0.17, 0.88, 0.95). Of heads turned aside it is off by a tenth."""

PICTURE_PX = 112
"""Side of the pictures faces are cut from; FairFace's have it."""
_ASIDE_PX, _ABOVE_PX, _BELOW_PX = 84, 60, 210
_HAIR_BGR = np.array(
    [
        *((20, 22, 28), (25, 32, 45), (30, 45, 70), (60, 110, 150), (110, 160, 195)),
        *((160, 160, 165), (215, 218, 222), (50, 85, 160), (40, 60, 120)),
    ]
)


def cut_person(picture: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> Cutout:
    """A face as it might stand in a picture: with shoulders and hair, or as the picture shows it.

    Args:
        picture: (112, 112, 3), uint8, BGR, the face where ``FACE_IN_PICTURE`` says.
        other: one more such picture, whose rim becomes the clothes.
        rng: where chance comes from.
    """
    if rng.random() < 0.5:
        picture = np.ascontiguousarray(picture[:, ::-1])
    style = rng.random()
    if style < 0.12:
        # All that the picture shows, soft or hard at its edge.
        return Cutout.of(picture, _soft_square(float(rng.uniform(0.5, 9))), _box_of(_WHOLE))
    canvas, cover = _empty_canvas()
    if style < 0.95:
        _draw_torso(canvas, cover, picture, other, rng)
    seen = _seen_of(rng)
    colour = _hair_colour(picture, rng)
    _draw_hair(canvas, cover, colour, rng)
    _lay_face(canvas, cover, picture, seen, rng)
    if rng.random() < 0.45:
        _draw_fringe(canvas, cover, colour, seen, rng)
    return Cutout.of(canvas, cover, _box_of(seen))


def cut_decoy(picture: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> Cutout:
    """Somebody or something made of the same stuff that is no face: the back of a head, a jumble, an oval.

    Args:
        picture: (112, 112, 3), uint8, BGR: a face.
        other: one more.
        rng: where chance comes from.
    """
    canvas, cover = _empty_canvas()
    style = rng.random()
    if style < 0.75:
        _draw_torso(canvas, cover, picture, other, rng)
    if style < 0.55:
        _draw_hair(canvas, cover, _hair_colour(picture, rng), rng)
    if style < 0.3:
        # From behind: hair alone.
        return Cutout.of(canvas, cover, _box_of(_IN_CANVAS))
    if style < 0.4:
        stuff = cv2.resize(rim_of(picture, rng), (PICTURE_PX, PICTURE_PX))
    elif style < 0.6:
        stuff = _jumbled(picture, int(rng.integers(2, 5)), rng)
    elif style < 0.8:
        # Skin without eyes, nose and mouth.
        stuff = cv2.resize(cv2.resize(picture[30:100, 25:87], (2, 2)), (PICTURE_PX, PICTURE_PX))
    else:
        stuff = cv2.resize(rim_of(other, rng), (PICTURE_PX, PICTURE_PX))
    _lay_face(canvas, cover, stuff, _IN_CANVAS, rng)
    return Cutout.of(canvas, cover, _box_of(_IN_CANVAS))


class _Seen(NamedTuple):
    """Where a picture lies on the canvas: left, top, width and height in pixels."""

    left: int
    top: int
    wide: int
    high: int


_WHOLE = _Seen(0, 0, PICTURE_PX, PICTURE_PX)
_IN_CANVAS = _Seen(_ASIDE_PX, _ABOVE_PX, PICTURE_PX, PICTURE_PX)


def _seen_of(rng: np.random.Generator) -> _Seen:
    """Of a head turned or bent the face is narrower or lower than the head, and not in its middle."""
    if rng.random() < 0.5:
        return _IN_CANVAS
    wide, high = (round(PICTURE_PX * rng.uniform(least, 1.0)) for least in (0.62, 0.7))
    room = PICTURE_PX - wide
    left = _ASIDE_PX + room // 2 + round(room * rng.uniform(-0.5, 0.5))
    # A head bent down shows its top: the chin stays where it is.
    return _Seen(left, _ABOVE_PX + PICTURE_PX - high, wide, high)


def _box_of(seen: _Seen) -> tuple[float, float, float, float]:
    left, top, right, bottom = FACE_IN_PICTURE
    return (
        seen.left + left * seen.wide,
        seen.top + top * seen.high,
        seen.left + right * seen.wide,
        seen.top + bottom * seen.high,
    )


def _empty_canvas() -> tuple[np.ndarray, np.ndarray]:
    shape = _ABOVE_PX + PICTURE_PX + _BELOW_PX, 2 * _ASIDE_PX + PICTURE_PX
    return np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.float32)


def _soft_square(softness_px: float) -> np.ndarray:
    mask = np.zeros((PICTURE_PX, PICTURE_PX), np.float32)
    edge = round(softness_px)
    mask[edge : PICTURE_PX - edge, edge : PICTURE_PX - edge] = 1.0
    return cv2.GaussianBlur(mask, (0, 0), softness_px / 2)


def _draw_torso(
    canvas: np.ndarray, cover: np.ndarray, picture: np.ndarray, other: np.ndarray, rng: np.random.Generator
) -> None:
    """Neck, shoulders and clothes, in place: in folds of one colour, or of a stuff from another picture."""
    middle, chin, bottom = canvas.shape[1] // 2, _ABOVE_PX + PICTURE_PX, canvas.shape[0]
    skin = np.full_like(canvas, cv2.mean(picture[60:95, 35:77])[:3])
    neck = np.zeros_like(cover)
    half_neck = int(rng.integers(24, 38))
    cv2.rectangle(neck, (middle - half_neck, chin - 30), (middle + half_neck, chin + 50), 1.0, cv2.FILLED)
    _mix(canvas, cover, cv2.convertScaleAbs(skin, alpha=float(rng.uniform(0.6, 1.0))), neck)
    shoulder, half = chin + int(rng.integers(-4, 32)), int(rng.integers(75, 138))
    collar = int(rng.integers(half_neck - 4, half_neck + 16))
    points = [(middle - collar, shoulder), (middle, shoulder + int(rng.integers(0, 60)))]
    points += [(middle + collar, shoulder), (middle + half * 3 // 4, shoulder + 18)]
    points += [(middle + half, shoulder + 60), (middle + half, bottom), (middle - half, bottom)]
    points += [(middle - half, shoulder + 60), (middle - half * 3 // 4, shoulder + 18)]
    mask = np.zeros_like(cover)
    cv2.fillPoly(mask, [np.array(points, np.int32)], 1.0, cv2.LINE_AA)
    _mix(canvas, cover, _clothes(canvas, other, rng), cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.8, 3)))


def _clothes(canvas: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture as large as the canvas; most clothes are dark and of no strong colour."""
    if rng.random() < 0.3:
        return cv2.resize(rim_of(other, rng), canvas.shape[1::-1])
    shade = 15 + 215 * rng.random() ** 1.8
    colour = shade + shade * rng.normal(0, rng.choice((0.06, 0.35)), 3)
    folds = 1 + rng.normal(0, rng.uniform(0.05, 0.3), (9, 7, 1))
    return cv2.resize(np.clip(colour * folds, 0, 255).astype(np.uint8), canvas.shape[1::-1])


def _draw_hair(canvas: np.ndarray, cover: np.ndarray, colour: np.ndarray, rng: np.random.Generator) -> None:
    """A head of hair, in place: short, long, wide, or hardly any."""
    middle = canvas.shape[1] / 2, _ABOVE_PX + PICTURE_PX * float(rng.uniform(0.3, 0.5))
    axes = PICTURE_PX * float(rng.uniform(0.42, 0.72)), PICTURE_PX * float(rng.uniform(0.55, 0.9))
    mask = np.zeros_like(cover)
    centre, half = tuple(map(round, middle)), tuple(map(round, axes))
    cv2.ellipse(mask, centre, half, 0, 0, 360, 1.0, cv2.FILLED, cv2.LINE_AA)
    if rng.random() < 0.35:
        long = round(middle[1] + PICTURE_PX * float(rng.uniform(0.5, 1.1)))
        cv2.rectangle(mask, (centre[0] - half[0], centre[1]), (centre[0] + half[0], long), 1.0, cv2.FILLED)
    else:
        # Short hair ends above the collar.
        mask[_ABOVE_PX + round(PICTURE_PX * rng.uniform(0.6, 1.0)) :] = 0.0
    mask = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.8, 5)))
    _mix(canvas, cover, _strands(canvas, colour, rng), mask)


def _strands(canvas: np.ndarray, colour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hair as large as the canvas: lighter and darker strands, lit from above."""
    strands = rng.normal(0, rng.uniform(0.03, 0.18), (8, 90, 1)) + np.linspace(
        rng.uniform(0, 0.4), rng.uniform(-0.3, 0), 8
    ).reshape(8, 1, 1)
    hair = np.clip((1 + strands) * colour + 60 * np.maximum(strands, 0), 0, 255).astype(np.uint8)
    return cv2.resize(hair, canvas.shape[1::-1])


def _draw_fringe(
    canvas: np.ndarray, cover: np.ndarray, colour: np.ndarray, seen: _Seen, rng: np.random.Generator
) -> None:
    """Hair or the edge of a hat over the forehead, in place; the eyes stay free."""
    ends = seen.top + seen.high * rng.uniform(0.02, 0.22, 6)
    across = np.linspace(seen.left - 4, seen.left + seen.wide + 4, 6)
    above = max(0, seen.top - round(0.2 * seen.high))
    outline = [*zip(across, ends, strict=True), (across[-1] - 8, above), (across[0] + 8, above)]
    mask = np.zeros_like(cover)
    cv2.fillPoly(mask, [np.array(outline).astype(np.int32)], 1.0, cv2.LINE_AA)
    mask = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.8, 4)))
    if rng.random() < 0.2:
        colour = rng.integers(0, 220, 3)
    _mix(canvas, cover, _strands(canvas, colour, rng), mask)


def _hair_colour(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of the picture's upper corners, where most show hair; or any."""
    if rng.random() < 0.5:
        corners = np.concatenate([picture[:12, :20].reshape(-1, 3), picture[:12, -20:].reshape(-1, 3)])
        return np.median(corners, axis=0).astype(np.uint8)
    return np.clip(_HAIR_BGR[rng.integers(len(_HAIR_BGR))] * rng.uniform(0.6, 1.3), 0, 235).astype(np.uint8)


def _lay_face(
    canvas: np.ndarray, cover: np.ndarray, picture: np.ndarray, seen: _Seen, rng: np.random.Generator
) -> None:
    """An oval of the picture, in place; its upper end fades into what is there."""
    mask = np.zeros((PICTURE_PX, PICTURE_PX), np.float32)
    # Wide ovals keep the hair that the picture shows beside the face.
    half = round(PICTURE_PX * rng.uniform(0.36, 0.56)), round(PICTURE_PX * rng.uniform(0.47, 0.56))
    centre = (PICTURE_PX // 2, round(PICTURE_PX * rng.uniform(0.44, 0.5)))
    cv2.ellipse(mask, centre, half, 0, 0, 360, 1.0, cv2.FILLED, cv2.LINE_AA)
    fade = int(rng.integers(1, 14))
    mask[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)[:, None]
    mask[:, [0, 1, 2, -3, -2, -1]] *= 0.5
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.7, 5))), np.float32)
    rows, columns = slice(seen.top, seen.top + seen.high), slice(seen.left, seen.left + seen.wide)
    size_wh = seen.wide, seen.high
    over, share = (cv2.resize(part, size_wh, interpolation=cv2.INTER_AREA) for part in (picture, soft))
    _mix(canvas[rows, columns], cover[rows, columns], over, share)


def _jumbled(picture: np.ndarray, parts: int, rng: np.random.Generator) -> np.ndarray:
    """The picture's pieces in another order, some of them mirrored."""
    side = PICTURE_PX // parts
    pieces = [
        picture[row * side : (row + 1) * side, column * side : (column + 1) * side]
        for row in range(parts)
        for column in range(parts)
    ]
    order = rng.permutation(len(pieces))
    rows = [np.hstack([pieces[i] for i in order[n * parts : (n + 1) * parts]]) for n in range(parts)]
    return cv2.resize(np.vstack(rows)[::-1], (PICTURE_PX, PICTURE_PX))


def _mix(canvas: np.ndarray, cover: np.ndarray, over: np.ndarray, mask: np.ndarray) -> None:
    """Lay ``over`` on what is there, in place."""
    # Where nothing is yet, the new colour counts whole: half of it is in the cover already.
    share = mask / np.maximum(np.maximum(mask, cover), 1e-6)
    mixed = cv2.blendLinear(over, canvas, share, 1.0 - share)
    np.copyto(canvas, mixed)
    np.maximum(cover, mask, out=cover)
