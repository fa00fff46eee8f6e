"""Who stands in a made picture: faces with hair and clothes, and what only looks like one."""

from __future__ import annotations

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
_ASIDE_PX, _ABOVE_PX, _BELOW_PX = 84, 44, 150
_HAIR_BGR = np.array(
    [(20, 22, 28), (30, 45, 70), (60, 110, 150), (120, 160, 200), (160, 160, 160), (40, 60, 120)]
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
    if style < 0.25:
        # All that the picture shows, soft or hard at its edge.
        return Cutout.of(picture, _soft_square(float(rng.uniform(0.5, 9))), _face_box())
    canvas, cover = _empty_canvas()
    if style < 0.9:
        _draw_torso(canvas, cover, other, rng)
    _draw_hair(canvas, cover, _hair_colour(picture, rng), rng)
    _lay_face(canvas, cover, picture, rng)
    return Cutout.of(canvas, cover, _face_box(_ASIDE_PX, _ABOVE_PX))


def cut_decoy(picture: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> Cutout:
    """Somebody or something made of the same stuff that is no face: the back of a head, a jumble, an oval.

    Args:
        picture: (112, 112, 3), uint8, BGR: a face.
        other: one more.
        rng: where chance comes from.
    """
    canvas, cover = _empty_canvas()
    style = rng.random()
    if style < 0.7:
        _draw_torso(canvas, cover, other, rng)
    if style < 0.45:
        _draw_hair(canvas, cover, _hair_colour(picture, rng), rng)
    if style < 0.35:
        stuff = cv2.resize(rim_of(picture, rng), (PICTURE_PX, PICTURE_PX))
    elif style < 0.6:
        stuff = _jumbled(picture, int(rng.integers(2, 5)), rng)
    elif style < 0.8:
        # Skin without eyes, nose and mouth.
        stuff = cv2.resize(cv2.resize(picture[30:100, 25:87], (2, 2)), (PICTURE_PX, PICTURE_PX))
    else:
        stuff = cv2.resize(rim_of(other, rng), (PICTURE_PX, PICTURE_PX))
    _lay_face(canvas, cover, stuff, rng)
    return Cutout.of(canvas, cover, _face_box(_ASIDE_PX, _ABOVE_PX))


def _face_box(left_px: int = 0, top_px: int = 0) -> tuple[float, float, float, float]:
    left, top, right, bottom = (share * PICTURE_PX for share in FACE_IN_PICTURE)
    return left_px + left, top_px + top, left_px + right, top_px + bottom


def _empty_canvas() -> tuple[np.ndarray, np.ndarray]:
    shape = _ABOVE_PX + PICTURE_PX + _BELOW_PX, 2 * _ASIDE_PX + PICTURE_PX
    return np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.float32)


def _soft_square(softness_px: float) -> np.ndarray:
    mask = np.zeros((PICTURE_PX, PICTURE_PX), np.float32)
    edge = round(softness_px)
    mask[edge : PICTURE_PX - edge, edge : PICTURE_PX - edge] = 1.0
    return cv2.GaussianBlur(mask, (0, 0), softness_px / 2)


def _draw_torso(canvas: np.ndarray, cover: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> None:
    """Neck and shoulders, in place, in one colour or in a stuff taken from another picture."""
    middle, chin = canvas.shape[1] // 2, _ABOVE_PX + PICTURE_PX
    shoulder, half = chin + int(rng.integers(5, 30)), int(rng.integers(70, 135))
    mask = np.zeros_like(cover)
    bottom = canvas.shape[0]
    points = [(middle - 30, chin - 20), (middle + 30, chin - 20), (middle + half * 2 // 3, shoulder)]
    points += [(middle + half, shoulder + 40), (middle + half, bottom), (middle - half, bottom)]
    points += [(middle - half, shoulder + 40), (middle - half * 2 // 3, shoulder)]
    cv2.fillPoly(mask, [np.array(points, np.int32)], 1.0, cv2.LINE_AA)
    if rng.random() < 0.5:
        clothes = cv2.resize(rim_of(other, rng), canvas.shape[1::-1])
    else:
        clothes = np.full_like(canvas, rng.integers(0, 200, 3))
    _mix(canvas, cover, clothes, mask)


def _draw_hair(canvas: np.ndarray, cover: np.ndarray, colour: np.ndarray, rng: np.random.Generator) -> None:
    """A head of hair, in place: short, long, or hardly any."""
    middle = canvas.shape[1] / 2, _ABOVE_PX + PICTURE_PX * float(rng.uniform(0.3, 0.5))
    axes = PICTURE_PX * float(rng.uniform(0.4, 0.62)), PICTURE_PX * float(rng.uniform(0.5, 0.85))
    mask = np.zeros_like(cover)
    centre, half = tuple(map(round, middle)), tuple(map(round, axes))
    cv2.ellipse(mask, centre, half, 0, 0, 360, 1.0, cv2.FILLED, cv2.LINE_AA)
    if rng.random() < 0.3:
        long = round(middle[1] + PICTURE_PX * float(rng.uniform(0.5, 1.1)))
        cv2.rectangle(mask, (centre[0] - half[0], centre[1]), (centre[0] + half[0], long), 1.0, cv2.FILLED)
    hair = np.full_like(canvas, colour)
    grain = np.empty_like(canvas)
    cv2.randu(grain, np.zeros(3), np.full(3, rng.integers(8, 40)))
    _mix(canvas, cover, cv2.add(hair, grain), cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.8, 4))))


def _hair_colour(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of the picture's upper corners, where most show hair; or any."""
    if rng.random() < 0.6:
        corners = np.concatenate([picture[:12, :20].reshape(-1, 3), picture[:12, -20:].reshape(-1, 3)])
        return np.median(corners, axis=0).astype(np.uint8)
    return np.clip(_HAIR_BGR[rng.integers(len(_HAIR_BGR))] * rng.uniform(0.5, 1.3), 0, 215).astype(np.uint8)


def _lay_face(canvas: np.ndarray, cover: np.ndarray, picture: np.ndarray, rng: np.random.Generator) -> None:
    """An oval of the picture, in place; its upper end fades into what is there."""
    mask = np.zeros((PICTURE_PX, PICTURE_PX), np.float32)
    half = round(PICTURE_PX * rng.uniform(0.38, 0.5)), round(PICTURE_PX * rng.uniform(0.47, 0.56))
    centre = (PICTURE_PX // 2, round(PICTURE_PX * rng.uniform(0.44, 0.5)))
    cv2.ellipse(mask, centre, half, 0, 0, 360, 1.0, cv2.FILLED, cv2.LINE_AA)
    fade = int(rng.integers(1, 14))
    mask[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)[:, None]
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.7, 4))), np.float32)
    rows = slice(_ABOVE_PX, _ABOVE_PX + PICTURE_PX)
    columns = slice(_ASIDE_PX, _ASIDE_PX + PICTURE_PX)
    _mix(canvas[rows, columns], cover[rows, columns], picture, soft)


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
