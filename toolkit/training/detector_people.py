"""Who stands in a made picture: faces with hair and clothes, and what only looks like one."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from toolkit.data.scenes.compose import Cutout
from toolkit.records import BoxXyxy
from toolkit.training.detector_backgrounds import rim_of
from toolkit.training.detector_bodies import Body, lay_body
from toolkit.training.detector_dress import (
    draw_fringe,
    draw_hair,
    draw_hand,
    draw_hand_at,
    draw_neck,
    draw_scarf,
    draw_sign,
    draw_torso,
    hair_colour,
)
from toolkit.training.detector_sheet import (
    ABOVE_PX,
    ASIDE_PX,
    FACE_IN_PICTURE,
    PICTURE_PX,
    UPRIGHT,
    Seen,
    Sheet,
    soft,
)

_OWN_HAIR, _WIDEST = 0.46, 0.56
"""Half the width of the oval that is taken of a face's picture, as a share of its side: of the narrow one,
for heads with hair of their own, and of the widest, which keeps the hair that the picture shows."""


def cut_person(
    picture: np.ndarray,
    other: np.ndarray,
    bodies: Sequence[Body],
    rng: np.random.Generator,
    face_in_picture: BoxXyxy = FACE_IN_PICTURE,
) -> Cutout:
    """A face as it might stand in a picture: on a real body, a drawn one, or as its picture shows it.

    Args:
        picture: (112, 112, 3), uint8, BGR.
        other: one more such picture, whose rim becomes the clothes.
        bodies: real ones, of which half of the faces get one; may be none.
        rng: where chance comes from.
        face_in_picture: left, top, right, bottom of the face, shares of the picture's side; a box not in the
            picture's middle is that of a face seen from one side.
    """
    left, top, right, bottom = face_in_picture
    if rng.random() < 0.5:
        picture, left, right = np.ascontiguousarray(picture[:, ::-1]), 1 - right, 1 - left
    face = left, top, right, bottom
    style = rng.random()
    if style < 0.08:
        return _as_it_is(picture, face, rng)
    is_turned = face_in_picture != FACE_IN_PICTURE
    seen, colour = _seen_aside(face, rng) if is_turned else _seen(rng), hair_colour(picture, rng)
    is_real = len(bodies) > 0 and style < 0.55
    sheet = Sheet.empty()
    if is_real:
        lay_body(sheet, bodies[int(rng.integers(len(bodies)))], colour, rng)
        draw_neck(sheet, picture, seen, rng)
    else:
        if style < 0.95:
            draw_torso(sheet, picture, other, rng)
        if rng.random() < 0.5 and not is_turned:
            _lay_head(sheet, picture, seen, rng)
        else:
            draw_hair(sheet, colour, rng)
    if rng.random() < 0.2:
        draw_scarf(sheet, other, seen, rng)
    if is_turned:
        _lay_side(sheet, picture, seen, rng)
    else:
        _lay_face(sheet, picture, seen, rng, _OWN_HAIR if is_real else _WIDEST)
        if rng.random() < (0.15 if is_real else 0.35):
            draw_fringe(sheet, colour, seen, rng)
    if rng.random() < 0.06:
        draw_hand_at(sheet, other, seen, rng)
    return sheet.cutout(seen.face_xyxy, rng)


def cut_decoy(
    picture: np.ndarray, other: np.ndarray, bodies: Sequence[Body], rng: np.random.Generator
) -> Cutout:
    """What is no face, however small it is seen: somebody from behind, a hand, a sign, an oval of some stuff.

    Args:
        picture: (112, 112, 3), uint8, BGR: a face.
        other: one more.
        bodies: real ones, from behind; may be none.
        rng: where chance comes from.
    """
    style, sheet = rng.random(), Sheet.empty()
    if bodies and style < 0.4:
        lay_body(sheet, bodies[int(rng.integers(len(bodies)))], hair_colour(picture, rng), rng)
    elif style < 0.6:
        draw_torso(sheet, picture, other, rng)
        draw_hair(sheet, hair_colour(picture, rng), rng)
    elif style < 0.67:
        draw_hand(sheet, picture, rng)
    elif style < 0.87:
        draw_sign(sheet, rng)
    else:
        _lay_face(sheet, cv2.resize(rim_of(other, rng), (PICTURE_PX, PICTURE_PX)), UPRIGHT, rng)
    return sheet.cutout(UPRIGHT.face_xyxy, rng)


def cut_jumble(
    picture: np.ndarray, other: np.ndarray, bodies: Sequence[Body], rng: np.random.Generator
) -> Cutout:
    """What is no face when seen well, and might be one when seen badly: its parts in another order, or skin.

    Args:
        picture: (112, 112, 3), uint8, BGR: a face.
        other: one more, whose rim becomes the clothes.
        bodies: are not needed.
        rng: where chance comes from.
    """
    sheet = Sheet.empty()
    if rng.random() < 0.75:
        draw_torso(sheet, picture, other, rng)
        draw_hair(sheet, hair_colour(picture, rng), rng)
    if rng.random() < 0.6:
        stuff = _jumbled(picture, int(rng.integers(2, 5)), rng)
    else:
        # Skin without eyes, nose and mouth.
        stuff = cv2.resize(cv2.resize(picture[30:100, 25:87], (2, 2)), (PICTURE_PX, PICTURE_PX))
    _lay_face(sheet, stuff, UPRIGHT, rng)
    return sheet.cutout(UPRIGHT.face_xyxy, rng)


def _as_it_is(picture: np.ndarray, face: BoxXyxy, rng: np.random.Generator) -> Cutout:
    """All that the picture shows, soft or hard at its edge."""
    cover = np.zeros((PICTURE_PX, PICTURE_PX), np.float32)
    softness_px = float(rng.uniform(0.5, 9))
    edge = round(softness_px)
    cover[edge : PICTURE_PX - edge, edge : PICTURE_PX - edge] = 1.0
    sheet = Sheet(picture, cv2.GaussianBlur(cover, (0, 0), softness_px / 2))
    return sheet.cutout(Seen(0, 0, PICTURE_PX, PICTURE_PX, face).face_xyxy, rng)


def _seen(rng: np.random.Generator) -> Seen:
    """Of a head turned or bent the face is narrower or lower than the head, and not in its middle."""
    if rng.random() < 0.5:
        return UPRIGHT
    wide, high = (round(PICTURE_PX * rng.uniform(least, 1.0)) for least in (0.58, 0.5))
    room = PICTURE_PX - wide
    left = ASIDE_PX + room // 2 + round(room * rng.uniform(-0.5, 0.5))
    # A head bent down shows its top: the chin stays where it is.
    return Seen(left, ABOVE_PX + PICTURE_PX - high, wide, high)


def _seen_aside(face: BoxXyxy, rng: np.random.Generator) -> Seen:
    """The face looks out of the side of the head that it is turned to."""
    left, _, right, _ = face
    front = -1 if left + right > 1 else 1
    nose = left if front < 0 else right
    middle = ASIDE_PX + PICTURE_PX / 2
    return Seen(
        round(middle + PICTURE_PX * (front * rng.uniform(0.38, 0.6) - nose)),
        ABOVE_PX,
        PICTURE_PX,
        PICTURE_PX,
        face,
    )


def _lay_side(sheet: Sheet, picture: np.ndarray, seen: Seen, rng: np.random.Generator) -> None:
    """An oval of the picture from the nose to beyond the ear."""
    left, _, right, _ = (PICTURE_PX * side for side in seen.face_in_picture)
    long = 1.45 * (right - left)
    left, right = (left - 2, left + long) if left + right > PICTURE_PX else (right - long, right + 2)
    half = round((right - left) / 2), round(PICTURE_PX * rng.uniform(0.5, 0.62))
    centre = round((left + right) / 2), round(PICTURE_PX * rng.uniform(0.44, 0.52))
    _lay_oval(sheet, picture, centre, half, seen, rng)


def _lay_face(
    sheet: Sheet, picture: np.ndarray, seen: Seen, rng: np.random.Generator, widest: float = _WIDEST
) -> None:
    """An oval of the picture, from ear to ear."""
    half = round(PICTURE_PX * rng.uniform(0.36, widest)), round(PICTURE_PX * rng.uniform(0.47, 0.56))
    centre = (PICTURE_PX // 2, round(PICTURE_PX * rng.uniform(0.44, 0.5)))
    _lay_oval(sheet, picture, centre, half, seen, rng)


def _lay_oval(
    sheet: Sheet,
    picture: np.ndarray,
    centre: tuple[int, int],
    half: tuple[int, int],
    seen: Seen,
    rng: np.random.Generator,
) -> None:
    """Its upper end fades into what is there."""
    mask = np.zeros((PICTURE_PX, PICTURE_PX), np.float32)
    cv2.ellipse(mask, centre, half, 0, 0, 360, 1.0, cv2.FILLED, cv2.LINE_AA)
    fade = int(rng.integers(1, 14))
    mask[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)[:, None]
    mask[:, [0, 1, 2, -3, -2, -1]] *= 0.5
    _lay_resized(sheet, picture, soft(mask, 0.7, 5, rng), seen)


def _lay_head(sheet: Sheet, picture: np.ndarray, seen: Seen, rng: np.random.Generator) -> None:
    """The head as its picture shows it; above the picture, its first rows are mirrored and become hair."""
    rows, above = int(rng.integers(5, 14)), int(PICTURE_PX * rng.uniform(0.1, 0.32))
    mirrored = np.concatenate([picture[:rows], picture[rows - 1 :: -1]])
    head = np.concatenate([np.concatenate([mirrored] * (above // len(mirrored) + 1))[-above:], picture])
    mask = np.zeros(head.shape[:2], np.float32)
    half = round(PICTURE_PX * rng.uniform(0.42, 0.54)), round(len(head) * rng.uniform(0.48, 0.56))
    cv2.ellipse(mask, (PICTURE_PX // 2, len(head) // 2), half, 0, 0, 360, 1.0, cv2.FILLED, cv2.LINE_AA)
    mask[:, [0, 1, -2, -1]] *= 0.5
    high = round(len(head) * seen.high / PICTURE_PX)
    top = seen.top + seen.high - high
    _lay_resized(sheet, head, soft(mask, 0.8, 4, rng), Seen(seen.left, top, seen.wide, high))


def _lay_resized(sheet: Sheet, picture: np.ndarray, mask: np.ndarray, seen: Seen) -> None:
    size_wh = seen.wide, seen.high
    over, share = (cv2.resize(part, size_wh, interpolation=cv2.INTER_AREA) for part in (picture, mask))
    sheet.part(seen).lay(over, share)


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
