"""Results as pictures: boxes and labels on a frame, faces blurred, cameras side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from toolkit.crops import cut_crops
from toolkit.live.pixels import pixels_of
from toolkit.records import BoxXyxy, Frame, FrameResult, Track

# BGR, chosen to be told apart by colour-blind eyes too (Okabe, Ito: Color Universal Design, 2008).
_COLOURS = {"female": (0, 159, 230), "male": (233, 180, 86), None: (170, 170, 170)}


def annotate(result: FrameResult, blur_faces: bool = True, width_px: int | None = None) -> np.ndarray:
    """A copy of the frame with a box and a label for each person.

    Args:
        result: of one frame.
        blur_faces: hide who it is; boxes and labels stay readable.
        width_px: shrink to this width first, so that labels stay legible; None keeps the size.

    Returns:
        (H, W, 3), uint8, BGR.
    """
    image, scale = _at_width(result.frame, width_px)
    boxes = [_scaled(track.box_xyxy, scale) for track in result.tracks]
    if blur_faces:
        blur_boxes(image, boxes)
    for track, box in zip(result.tracks, boxes, strict=True):
        _draw_track(image, track, box)
    return image


def blur_boxes(image: np.ndarray, boxes_xyxy: Sequence[BoxXyxy], blocks: int = 6) -> None:
    """Replace each box, with a border of 10 %, by ``blocks`` x ``blocks`` flat squares, in place.

    Averages over large squares cannot be undone by sharpening, as a soft blur can.
    """
    for crop in cut_crops(image, np.array(boxes_xyxy, dtype=np.float32), margin=0.1):
        height, width = crop.image.shape[:2]
        coarse = cv2.resize(crop.image, (blocks, blocks), interpolation=cv2.INTER_AREA)
        crop.image[:] = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)


def label_of(track: Track) -> str:
    """What is written beside a person: ``#7 female 93%, 31 y``; only the number while there is no label."""
    if track.label is None:
        return f"#{track.track_id}"
    label = track.label
    return f"#{track.track_id} {label.gender} {label.gender_probability:.0%}, {label.age_years:.0f} y"


def mosaic(pictures: Iterable[tuple[str, np.ndarray | None]], width_px: int = 1280) -> np.ndarray:
    """Named pictures side by side in a near-square grid of 16:9 tiles.

    Args:
        pictures: name and picture (H, W, 3) uint8 BGR; None for a camera that has shown nothing yet.
        width_px: width of the whole.

    Returns:
        (H, W, 3), uint8, BGR.
    """
    named = list(pictures)
    columns = max(1, math.ceil(math.sqrt(len(named))))
    rows = max(1, math.ceil(len(named) / columns))
    tile_w, tile_h = width_px // columns, width_px // columns * 9 // 16
    wall = np.full((rows * tile_h, columns * tile_w, 3), 32, dtype=np.uint8)
    for number, (name, picture) in enumerate(named):
        top, left = number // columns * tile_h, number % columns * tile_w
        tile = wall[top : top + tile_h, left : left + tile_w]
        if picture is not None:
            _fit_into(tile, picture)
        _write(tile, name, (6, 18), (255, 255, 255))
    return wall


def encode_jpeg(image: np.ndarray, quality: int = 80) -> bytes:
    """The picture as JPEG bytes."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _at_width(frame: Frame, width_px: int | None) -> tuple[np.ndarray, float]:
    width, height = frame.size_wh
    if width_px is None or width <= width_px:
        return frame.image.copy(), 1.0
    scale = width_px / width
    # Not by way of the whole picture: for a tile of a wall that would cost ten times as much. And a copy,
    # because the frame keeps what it has made.
    return pixels_of(frame).shrunk((width_px, max(1, round(height * scale)))).copy(), scale


def _scaled(box_xyxy: BoxXyxy, scale: float) -> BoxXyxy:
    left, top, right, bottom = box_xyxy
    return left * scale, top * scale, right * scale, bottom * scale


def _draw_track(image: np.ndarray, track: Track, box_xyxy: BoxXyxy) -> None:
    left, top, right, bottom = (round(side) for side in box_xyxy)
    colour = _COLOURS[track.label.gender if track.label else None]
    cv2.rectangle(image, (left, top), (right, bottom), colour, 2)
    _write(image, label_of(track), (left, top - 5 if top > 20 else bottom + 16), colour)


def _write(image: np.ndarray, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Text on a dark ground, moved left where it would leave the picture."""
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.45
    (width, height), below = cv2.getTextSize(text, font, size, 1)
    left, bottom = max(0, min(at[0], image.shape[1] - width)), at[1]
    cv2.rectangle(
        image, (left, bottom - height - 2), (left + width, bottom + below), (24, 24, 24), cv2.FILLED
    )
    cv2.putText(image, text, (left, bottom), font, size, colour, 1, cv2.LINE_AA)


def _fit_into(tile: np.ndarray, picture: np.ndarray) -> None:
    """Put the picture into the middle of the tile, as large as fits."""
    tile_h, tile_w = tile.shape[:2]
    scale = min(tile_w / picture.shape[1], tile_h / picture.shape[0])
    width, height = max(1, int(picture.shape[1] * scale)), max(1, int(picture.shape[0] * scale))
    left, top = (tile_w - width) // 2, (tile_h - height) // 2
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    tile[top : top + height, left : left + width] = cv2.resize(picture, (width, height), interpolation=smooth)
