"""Put people into a picture: scaled without aliasing, turned, lit by the place, softly edged, boxes exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np

from toolkit.errors import ShapeError
from toolkit.records import BoxXyxy

# Points on the outline of a face, an ellipse within its box.
_OUTLINE_POINTS = 32

# Half covered counts as hidden.
_COVERED = 0.5

# Grey of a picture taken in good light.
_MIDDLING = 118.0


@dataclass(frozen=True, eq=False)
class Cutout:
    """A person to put into pictures.

    Attributes:
        premultiplied_bgra: (H, W, 4), uint8; colours already multiplied by how much they cover (the fourth).
        face_xyxy: box of the face within it, in pixels.
    """

    premultiplied_bgra: np.ndarray
    face_xyxy: BoxXyxy

    @classmethod
    def of(cls, image: np.ndarray, cover: np.ndarray, face_xyxy: BoxXyxy) -> Cutout:
        """From a picture and a mask.

        Args:
            image: (H, W, 3), uint8, BGR.
            cover: (H, W), float, 0 where nothing of it is to be seen, 1 where it hides what is behind.
            face_xyxy: box of the face within the picture.

        Raises:
            ShapeError: the mask has another size than the picture.
        """
        if image.ndim != 3 or image.shape[:2] != cover.shape:
            raise ShapeError(f"image (H, W, 3) and cover (H, W) must fit, got {image.shape}, {cover.shape}")
        colours = image * cover[..., None]
        bgra = np.dstack([colours, cover * 255.0])
        return cls(np.clip(np.rint(bgra), 0, 255).astype(np.uint8), face_xyxy)

    @property
    def face_height_px(self) -> float:
        """Height of the face as it is stored."""
        return self.face_xyxy[3] - self.face_xyxy[1]

    @cached_property
    def halvings(self) -> list[np.ndarray]:
        """Itself, half as large, a quarter, ...: drawing from the nearest one leaves no aliasing."""
        levels = [self.premultiplied_bgra]
        while min(levels[-1].shape[:2]) >= 16:
            height, width = levels[-1].shape[:2]
            levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
        return levels

    @cached_property
    def outline(self) -> np.ndarray:
        """(P, 2), float64: points around the face."""
        left, top, right, bottom = self.face_xyxy
        angles = np.linspace(0, 2 * np.pi, _OUTLINE_POINTS, endpoint=False)
        centre, half = ((left + right) / 2, (top + bottom) / 2), ((right - left) / 2, (bottom - top) / 2)
        return np.stack([centre[0] + half[0] * np.cos(angles), centre[1] + half[1] * np.sin(angles)], axis=1)


@dataclass(frozen=True, eq=False)
class Placement:
    """Where and how a cutout is put into a picture.

    Attributes:
        cutout: whom.
        centre_xy: where the middle of the face comes to lie, in pixels of the picture.
        face_height_px: how high the face becomes, before it is turned.
        turn_deg: turned about the vertical axis, as a flat picture is; positive to the right.
        tilt_deg: turned in the picture, clockwise.
        light: factor on its brightness.
        smear_px: how far it moved sideways during the exposure.
        cover: how much of it is there, 0..1; who comes out of the haze is there in part.
    """

    cutout: Cutout
    centre_xy: tuple[float, float]
    face_height_px: float
    turn_deg: float = 0.0
    tilt_deg: float = 0.0
    light: float = 1.0
    smear_px: float = 0.0
    cover: float = 1.0


class Composed(NamedTuple):
    """What :func:`compose` made.

    Attributes:
        image: (H, W, 3), uint8, BGR.
        boxes_xyxy: (N, 4), float64: of the N faces, in the order they were given, clipped to the picture.
        occluded: (N,), float64: share of each face that is hidden by others, or outside the picture; 0..1.
    """

    image: np.ndarray
    boxes_xyxy: np.ndarray
    occluded: np.ndarray


def compose(
    background: np.ndarray,
    placements: Sequence[Placement],
    front: Sequence[tuple[np.ndarray, tuple[int, int]]] = (),
    match: float = 0.3,
) -> Composed:
    """Put people into a picture, those given first behind those given later.

    Args:
        background: (H, W, 3), uint8, BGR; stays as it is.
        placements: whom to put where.
        front: what stands in front of everybody: premultiplied BGRA pictures, and where their left top lies.
        match: share of the place's own colour and brightness that people take on, 0..1.

    Returns:
        See :class:`Composed`.

    Raises:
        ShapeError: the background is not (H, W, 3) uint8.

    Source: ours; premultiplied "over" is that of Porter and Duff, Compositing Digital Images, SIGGRAPH 1984.
    """
    if background.ndim != 3 or background.shape[2] != 3 or background.dtype != np.uint8:
        raise ShapeError(f"background must be (H, W, 3) uint8, got {background.shape} {background.dtype}")
    image = background.copy()
    # Whose pixel it is: 0 the background's, 1.. the person's, in the order they were given.
    owner = np.zeros(image.shape[:2], np.uint16)
    boxes, whole = np.zeros((len(placements), 4)), np.ones(len(placements))
    for number, placement in enumerate(placements):
        to_picture = _to_picture(placement)
        outline = cv2.perspectiveTransform(placement.cutout.outline[None], to_picture)[0]
        boxes[number] = *outline.min(axis=0), *outline.max(axis=0)
        patch = _drawn(placement, to_picture, boxes[number], image.shape[1::-1])
        if patch is not None:
            whole[number] = _face_area(patch, boxes[number])
            _lay_over(image, owner, patch, number + 1, match, background)
    for bgra, left_top in front:
        _lay_over(image, owner, _Patch(bgra, left_top), len(placements) + 1, 0.0, background)
    occluded = np.array([_hidden(owner, n + 1, box, whole[n]) for n, box in enumerate(boxes)])
    height, width = image.shape[:2]
    return Composed(image, np.clip(boxes, 0, (width, height, width, height)), occluded)


class _Patch(NamedTuple):
    """Premultiplied BGRA to lay over a picture, its left top corner at a place that may lie outside."""

    bgra: np.ndarray
    left_top: tuple[int, int]


def _to_picture(placement: Placement) -> np.ndarray:
    """(3, 3): from the cutout's pixels to the picture's."""
    left, top, right, bottom = placement.cutout.face_xyxy
    scale = placement.face_height_px / (bottom - top)
    turn, tilt = np.deg2rad(placement.turn_deg), np.deg2rad(placement.tilt_deg)
    # Seen from eight face heights away: near enough that the far cheek is smaller, as a head's is.
    recede = np.sin(turn) / (8.0 * (bottom - top))
    to_face = np.array([[1, 0, -(left + right) / 2], [0, 1, -(top + bottom) / 2], [0, 0, 1]])
    turned = np.array([[np.cos(turn), 0, 0], [0, 1, 0], [recede, 0, 1]])
    cos, sin = scale * np.cos(tilt), scale * np.sin(tilt)
    x, y = placement.centre_xy
    return np.array([[cos, -sin, x], [sin, cos, y], [0, 0, 1]]) @ turned @ to_face


def _drawn(
    placement: Placement, to_picture: np.ndarray, box_xyxy: np.ndarray, size_wh: tuple[int, int]
) -> _Patch | None:
    """The cutout as it is to be seen; None where nothing of it is.

    Of a body that leaves the picture nothing is drawn there, but of a face all, to tell what share is hidden.
    """
    levels = placement.cutout.halvings
    scale = placement.face_height_px / placement.cutout.face_height_px
    level = min(len(levels) - 1, max(0, int(np.floor(-np.log2(scale)))))
    source = levels[level]
    height, width = levels[0].shape[:2]
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    seen = cv2.perspectiveTransform(corners, to_picture)[0]
    smear = round(placement.smear_px)
    border = np.array([smear // 2 + 1, 1])
    left, top = np.floor(seen.min(axis=0)).astype(int) - border
    right, bottom = np.ceil(seen.max(axis=0)).astype(int) + border
    left, top = np.maximum((left, top), np.minimum((0, 0), np.floor(box_xyxy[:2]).astype(int)))
    right, bottom = np.minimum((right, bottom), np.maximum(size_wh, np.ceil(box_xyxy[2:]).astype(int)))
    if right <= left or bottom <= top:
        return None
    # Pixel centres lie at a half: without that, halving would move everything.
    grow = np.array([[width / source.shape[1], 0, 0], [0, height / source.shape[0], 0], [0, 0, 1]])
    half, back = np.eye(3), np.eye(3)
    half[:2, 2], back[:2, 2] = 0.5, (-left - 0.5, -top - 0.5)
    warped = cv2.warpPerspective(source, back @ to_picture @ grow @ half, (right - left, bottom - top))
    if smear > 1:
        warped = cv2.blur(warped, (smear, 1))
    return _Patch(_shone_on(warped, placement.light, placement.cover), (int(left), int(top)))


def _shone_on(bgra: np.ndarray, light: float, cover: float) -> np.ndarray:
    if light == 1.0 and cover == 1.0:
        return bgra
    return _times(bgra, (*[light * cover] * 3, cover))


def _lay_over(
    image: np.ndarray, owner: np.ndarray, patch: _Patch, number: int, match: float, background: np.ndarray
) -> None:
    """Lay a patch over the picture, in place, and note whose pixels those are now."""
    (height, width), (left, top) = image.shape[:2], patch.left_top
    bottom, right = top + patch.bgra.shape[0], left + patch.bgra.shape[1]
    rows, columns = slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    over = patch.bgra[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    target = image[rows, columns]
    colours, cover = over[..., :3], over[..., 3]
    if match:
        colours = _times(colours, (*_place_light(background[rows, columns], match), 0.0))
    behind = cv2.multiply(target, cv2.merge([255 - cover] * 3), scale=1 / 255)
    cv2.add(behind, colours, dst=target)
    owner[rows, columns][cover > 255 * _COVERED] = number


def _times(image: np.ndarray, factors: tuple[float, ...]) -> np.ndarray:
    """The picture with each of up to four channels multiplied, rounded and held within 0..255."""
    return cv2.multiply(image, factors)  # type: ignore[call-overload, no-any-return]  # a scalar per channel


def _place_light(place: np.ndarray, match: float) -> list[float]:
    """Factors for blue, green, red that take a person from middling light to that of the place, in part."""
    return [(max(mean, 1.0) / _MIDDLING) ** match for mean in cv2.mean(place)[:3]]


def _face_area(patch: _Patch, box_xyxy: np.ndarray) -> float:
    """Pixels of the box that the person alone would cover, were the picture large enough."""
    left, top = patch.left_top
    x0, y0, x1, y1 = (round(side) for side in box_xyxy - (left, top, left, top))
    inside = patch.bgra[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1), 3]
    return max(1.0, float(np.count_nonzero(inside > 255 * _COVERED)))


def _hidden(owner: np.ndarray, number: int, box_xyxy: np.ndarray, whole: float) -> float:
    x0, y0, x1, y1 = (max(0, round(side)) for side in box_xyxy)
    return float(np.clip(1.0 - np.count_nonzero(owner[y0:y1, x0:x1] == number) / whole, 0.0, 1.0))
