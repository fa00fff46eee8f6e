"""What is drawn around a face: shoulders, clothes, hair and hats, and hands."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from toolkit.training.detector_backgrounds import rim_of
from toolkit.training.detector_sheet import ABOVE_PX, PICTURE_PX, Seen, Sheet, soft

_HAIR_BGR = np.array(
    [
        *((20, 22, 28), (25, 32, 45), (30, 45, 70), (60, 110, 150), (110, 160, 195)),
        *((160, 160, 165), (215, 218, 222), (50, 85, 160), (40, 60, 120)),
    ]
)


def hair_colour(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of the picture's upper corners, where most show hair; as the skin; or any."""
    if rng.random() < 0.5:
        corners = np.concatenate([picture[:12, :20].reshape(-1, 3), picture[:12, -20:].reshape(-1, 3)])
        return np.median(corners, axis=0).astype(np.uint8)
    if rng.random() < 0.5:
        # As pale or as red as the skin: then only its features tell where the face ends.
        return np.clip(_skin(picture) * rng.uniform(0.7, 1.3), 0, 245).astype(np.uint8)
    return np.clip(_HAIR_BGR[rng.integers(len(_HAIR_BGR))] * rng.uniform(0.6, 1.3), 0, 235).astype(np.uint8)


def draw_torso(sheet: Sheet, picture: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> None:
    """Neck, shoulders and clothes: in folds of one colour, or of a stuff from another picture."""
    middle, chin, bottom = sheet.cover.shape[1] // 2, ABOVE_PX + PICTURE_PX, len(sheet.cover)
    neck = np.zeros_like(sheet.cover)
    half_neck = int(rng.integers(24, 38))
    cv2.rectangle(neck, (middle - half_neck, chin - 30), (middle + half_neck, chin + 50), 1.0, cv2.FILLED)
    skin = np.clip(_skin(picture) * rng.uniform(0.6, 1.0), 0, 255).astype(np.uint8)
    sheet.lay(np.full_like(sheet.image, skin), neck)
    shoulder, half = chin + int(rng.integers(-4, 32)), int(rng.integers(75, 138))
    collar = int(rng.integers(half_neck - 4, half_neck + 16))
    points = [(middle - collar, shoulder), (middle, shoulder + int(rng.integers(0, 60)))]
    points += [(middle + collar, shoulder), (middle + half * 3 // 4, shoulder + 18)]
    points += [(middle + half, shoulder + 60), (middle + half, bottom), (middle - half, bottom)]
    points += [(middle - half, shoulder + 60), (middle - half * 3 // 4, shoulder + 18)]
    sheet.lay(_clothes(sheet, other, rng), soft(_filled(sheet, points), 0.8, 3, rng))


def draw_neck(sheet: Sheet, picture: np.ndarray, seen: Seen, rng: np.random.Generator) -> None:
    """Throat, and what the clothes leave open of the chest, in the shadow of the chin."""
    middle, chin = seen.left + seen.wide / 2, seen.top + 0.95 * seen.high
    half, long = PICTURE_PX * rng.uniform(0.2, 0.32), PICTURE_PX * rng.uniform(0.05, 0.3)
    wide, deep = half * rng.uniform(0.8, 1.5), PICTURE_PX * rng.uniform(0.0, 0.5)
    points = [(middle - half, chin - 25), (middle - half, chin + long), (middle - wide, chin + long + 6)]
    points += [(middle, chin + long + deep), (middle + wide, chin + long + 6)]
    points += [(middle + half, chin + long), (middle + half, chin - 25)]
    shade = np.full(len(sheet.cover), rng.uniform(0.75, 1.0))
    below = slice(round(chin) - 25, round(chin) + 35)
    shade[below] *= np.linspace(rng.uniform(0.45, 0.9), 1.0, 60)
    skin = np.broadcast_to(_skin(picture) * shade[:, None, None], sheet.image.shape)
    sheet.lay(np.clip(skin, 0, 255).astype(np.uint8), soft(_filled(sheet, points), 0.8, 3, rng))


def draw_hair(sheet: Sheet, colour: np.ndarray, rng: np.random.Generator) -> None:
    """A head of hair: short, long, wide, or hardly any."""
    middle = sheet.cover.shape[1] / 2, ABOVE_PX + PICTURE_PX * float(rng.uniform(0.3, 0.5))
    much = float(rng.uniform(1.0, 1.4)) if rng.random() < 0.4 else 1.0
    axes = (
        PICTURE_PX * much * float(rng.uniform(0.42, 0.72)),
        PICTURE_PX * much * float(rng.uniform(0.55, 0.92)),
    )
    mask = np.zeros_like(sheet.cover)
    centre, half = tuple(map(round, middle)), tuple(map(round, axes))
    cv2.ellipse(mask, centre, half, 0, 0, 360, 1.0, cv2.FILLED, cv2.LINE_AA)
    if rng.random() < 0.35:
        long = round(middle[1] + PICTURE_PX * float(rng.uniform(0.5, 1.1)))
        cv2.rectangle(mask, (centre[0] - half[0], centre[1]), (centre[0] + half[0], long), 1.0, cv2.FILLED)
    else:
        # Short hair ends above the collar.
        mask[ABOVE_PX + round(PICTURE_PX * rng.uniform(0.6, 1.0)) :] = 0.0
    sheet.lay(_strands(sheet, colour, rng), soft(mask, 0.8, 5, rng))


def draw_fringe(sheet: Sheet, colour: np.ndarray, seen: Seen, rng: np.random.Generator) -> None:
    """Hair or the edge of a hat over the forehead; the eyes stay free."""
    ends = seen.top + seen.high * rng.uniform(0.02, 0.22, 6)
    across = np.linspace(seen.left - 4, seen.left + seen.wide + 4, 6)
    above = max(0, seen.top - round(0.2 * seen.high))
    points = [*zip(across, ends, strict=True), (across[-1] - 8, above), (across[0] + 8, above)]
    if rng.random() < 0.2:
        colour = rng.integers(0, 220, 3)
    sheet.lay(_strands(sheet, colour, rng), soft(_filled(sheet, points), 0.8, 4, rng))


def draw_hand(sheet: Sheet, picture: np.ndarray, rng: np.random.Generator) -> None:
    """A palm of the picture's skin, some fingers, perhaps a forearm, where a face would be."""
    middle = sheet.cover.shape[1] / 2, ABOVE_PX + 0.45 * PICTURE_PX
    _lay_hand(sheet, picture, middle, PICTURE_PX * float(rng.uniform(0.3, 0.5)), 0, rng)


def draw_hand_at(sheet: Sheet, picture: np.ndarray, seen: Seen, rng: np.random.Generator) -> None:
    """A hand at a cheek or before the mouth, perhaps with a telephone; the eyes stay free."""
    left, top, right, bottom = seen.face_xyxy
    x = rng.uniform(left - 0.1 * (right - left), right + 0.1 * (right - left))
    y = rng.uniform(top + 0.7 * (bottom - top), bottom + 0.2 * (bottom - top))
    palm = float((right - left) * rng.uniform(0.18, 0.32))
    if rng.random() < 0.4:
        box = ((x, y), (1.2 * palm, 2.4 * palm), float(rng.normal(0, 25)))
        mask = np.zeros_like(sheet.cover)
        cv2.fillPoly(mask, [cv2.boxPoints(box).astype(np.int32)], 1.0, cv2.LINE_AA)
        sheet.lay(np.full_like(sheet.image, rng.integers(10, 200)), soft(mask, 0.7, 2, rng))
    _lay_hand(sheet, picture, (x, y), palm, len(sheet.cover), rng)


def _lay_hand(
    sheet: Sheet,
    picture: np.ndarray,
    middle: tuple[float, float],
    palm: float,
    elbow_y: int,
    rng: np.random.Generator,
) -> None:
    x, y = middle
    mask, light = np.zeros_like(sheet.cover), np.ones_like(sheet.cover)
    half = round(palm), round(palm * rng.uniform(0.7, 1.1))
    cv2.ellipse(mask, (round(x), round(y)), half, 0, 0, 360, 1.0, cv2.FILLED)
    for finger in range(int(rng.integers(0, 6))):
        across, beside = x + palm * (finger - 2) * 0.45, palm * 0.2
        tip = across + rng.normal(0, 12), y + palm * rng.uniform(0.8, 1.9)
        cv2.line(mask, (round(across), round(y)), (round(tip[0]), round(tip[1])), 1.0, round(palm * 0.4))
        ends = (round(across + beside), round(y)), (round(tip[0] + beside), round(tip[1]))
        cv2.line(light, *ends, float(rng.uniform(0.4, 0.8)), round(palm * 0.08) + 1)
    if rng.random() < 0.6:
        start, end = (
            (round(x), round(y + palm * np.sign(elbow_y - y) * 0.3)),
            (round(x + rng.normal(0, 40)), elbow_y),
        )
        cv2.line(mask, start, end, 1.0, round(palm * 1.3))
    above, below = rng.uniform(0.6, 1.2, 2).tolist()
    light *= np.linspace(above, below, len(light), dtype=np.float32)[:, None]
    stuff = _skin(picture) * cv2.GaussianBlur(light, (0, 0), 2.0)[..., None]
    sheet.lay(np.clip(stuff, 0, 255).astype(np.uint8), soft(mask, 0.8, 3, rng))


def _skin(picture: np.ndarray) -> np.ndarray:
    """(3,), float: of the cheeks."""
    return np.array(cv2.mean(picture[60:95, 35:77])[:3])


def _filled(sheet: Sheet, points: Sequence[tuple[float, float]]) -> np.ndarray:
    mask = np.zeros_like(sheet.cover)
    cv2.fillPoly(mask, [np.array(points).astype(np.int32)], 1.0, cv2.LINE_AA)
    return mask


def _clothes(sheet: Sheet, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture as large as the sheet; most clothes are dark and of no strong colour."""
    if rng.random() < 0.3:
        return cv2.resize(rim_of(other, rng), sheet.image.shape[1::-1])
    shade = 15 + 215 * rng.random() ** 1.8
    colour = shade + shade * rng.normal(0, rng.choice((0.04, 0.1, 0.35)), 3)
    folds = 1 + rng.normal(0, rng.uniform(0.05, 0.3), (9, 7, 1))
    return cv2.resize(np.clip(colour * folds, 0, 255).astype(np.uint8), sheet.image.shape[1::-1])


def draw_sign(sheet: Sheet, rng: np.random.Generator) -> None:
    """A sign, a badge or a clock: letters or rings of one colour on an oval or a board of another."""
    x, y = sheet.cover.shape[1] // 2, ABOVE_PX + round(0.45 * PICTURE_PX)
    half = round(PICTURE_PX * rng.uniform(0.35, 0.6)), round(PICTURE_PX * rng.uniform(0.35, 0.6))
    mask = np.zeros_like(sheet.cover)
    if rng.random() < 0.6:
        cv2.ellipse(mask, (x, y), half, 0, 0, 360, 1.0, cv2.FILLED, cv2.LINE_AA)
    else:
        cv2.rectangle(mask, (x - half[0], y - half[1]), (x + half[0], y + half[1]), 1.0, cv2.FILLED)
    board, ink = rng.integers(0, 256, (2, 3)).astype(np.uint8)
    image = np.full_like(sheet.image, board)
    thick = int(rng.integers(5, 18))
    if rng.random() < 0.5:
        share = float(rng.uniform(0.45, 0.8))
        ring = round(half[0] * share), round(half[1] * share)
        cv2.ellipse(image, (x, y), ring, 0, int(rng.integers(0, 360)), 360, ink.tolist(), thick, cv2.LINE_AA)
    for row in range(int(rng.integers(1, 4))):
        word = "".join(chr(rng.integers(33, 127)) for _ in range(rng.integers(1, 5)))
        at = x - round(half[0] * 0.8), y + round(half[1] * (0.7 - 0.55 * row))
        size = float(rng.uniform(0.8, 4.0)) / max(1, len(word) - 1)
        cv2.putText(image, word, at, cv2.FONT_HERSHEY_SIMPLEX, size, ink.tolist(), thick, cv2.LINE_AA)
    sheet.lay(image, soft(mask, 0.8, 3, rng))


def draw_scarf(sheet: Sheet, other: np.ndarray, seen: Seen, rng: np.random.Generator) -> None:
    """A scarf or a high collar around the throat, up to the chin."""
    middle, chin = seen.left + seen.wide / 2, seen.top + 0.95 * seen.high
    half, deep = PICTURE_PX * rng.uniform(0.3, 0.6), PICTURE_PX * rng.uniform(0.15, 0.7)
    points = [(middle - half, chin + rng.normal(-8, 8)), (middle - 0.8 * half, chin + deep)]
    points += [(middle, chin + deep * rng.uniform(1.0, 1.6)), (middle + 0.8 * half, chin + deep)]
    points += [(middle + half, chin + rng.normal(-8, 8)), (middle, chin - 4)]
    sheet.lay(_clothes(sheet, other, rng), soft(_filled(sheet, points), 0.8, 3, rng))


def _strands(sheet: Sheet, colour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hair as large as the sheet: lighter and darker strands or curls, lit from above."""
    rows, columns = (60, 50) if rng.random() < 0.35 else (8, 90)
    strands = rng.normal(0, rng.uniform(0.03, 0.25), (rows, columns, 1)) + np.linspace(
        rng.uniform(0, 0.4), rng.uniform(-0.3, 0), rows
    ).reshape(rows, 1, 1)
    hair = np.clip((1 + strands) * colour + 60 * np.maximum(strands, 0), 0, 255).astype(np.uint8)
    return cv2.resize(hair, sheet.image.shape[1::-1])
