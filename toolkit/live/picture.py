"""Results as pictures: boxes and labels on a frame, faces blurred."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from toolkit.crops import cut_crops
from toolkit.live.bodies import face_region, pair_faces
from toolkit.live.pixels import pixels_of
from toolkit.records import BoxXyxy, Frame, FrameResult, Track

Bgr = tuple[int, int, int]

_TEXTS_KEPT = 256
"""Labels change seldom. Writing one anew gives up the interpreter lock three times; a busy street takes up to
5 ms to give it back."""

# BGR, chosen to be told apart by colour-blind eyes too (Okabe, Ito: Color Universal Design, 2008).
_COLOURS: dict[str | None, Bgr] = {"female": (0, 159, 230), "male": (233, 180, 86), None: (170, 170, 170)}


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
    if blur_faces:
        blur_boxes(image, [_scaled(box, scale) for track in result.tracks for box in _to_hide(track)])
    for track in result.tracks:
        _draw_track(image, track, scale)
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
    """What is written beside a person: ``#7 female 93%, 31 y``; only the number while there is no label.

    Of somebody seen only as a body it says so, and of a label told from the body too.
    """
    if track.label is None:
        return f"#{track.track_id}" if track.is_face_seen else f"#{track.track_id} body"
    label, of = track.label, ", by body" if track.label_part == "body" else ""
    return f"#{track.track_id} {label.gender} {label.gender_probability:.0%}, {label.age_years:.0f} y{of}"


def write(image: np.ndarray, text: str, at: tuple[int, int], colour: Bgr) -> None:
    """Write on a dark ground, in place; moved left where it would leave the picture.

    Args:
        image: (H, W, 3), uint8, BGR.
        text: one line.
        at: left end of its base line, in pixels.
        colour: of the letters.
    """
    patch, ascent = _drawn(text, colour)
    (height, width), (rows, columns) = patch.shape[:2], image.shape[:2]
    left, top = max(0, min(at[0], columns - width)), at[1] - ascent
    first, last = max(0, top), max(0, min(top + height, rows))
    if first < last:
        image[first:last, left : left + width] = patch[first - top : last - top, : columns - left]


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


def _to_hide(track: Track) -> list[BoxXyxy]:
    """The face; and where else in the body one may be, unless the face is surely its own."""
    faces = [track.box_xyxy] if track.is_face_seen or track.body_xyxy is None else []
    if track.body_xyxy is None or pair_faces(faces, [track.body_xyxy]):
        return faces
    return [*faces, face_region(track.body_xyxy)]


def _draw_track(image: np.ndarray, track: Track, scale: float) -> None:
    """The body's box thin, the face's thick; the label at the face where it is seen, else at the body."""
    colour = _COLOURS[track.label.gender if track.label else None]
    boxes = [] if track.body_xyxy is None else [(track.body_xyxy, 1)]
    if track.is_face_seen or not boxes:
        boxes.append((track.box_xyxy, 2))
    for box_xyxy, thickness in boxes:
        left, top, right, bottom = (round(side) for side in _scaled(box_xyxy, scale))
        cv2.rectangle(image, (left, top), (right, bottom), colour, thickness)
    write(image, label_of(track), (left, top - 5 if top > 20 else bottom + 16), colour)


@lru_cache(_TEXTS_KEPT)
def _drawn(text: str, colour: Bgr) -> tuple[np.ndarray, int]:
    """Text on a dark ground, and how far its base line lies below the top."""
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.45
    (width, height), below = cv2.getTextSize(text, font, size, 1)
    patch = np.full((height + below + 3, width + 1, 3), 24, np.uint8)
    cv2.putText(patch, text, (0, height + 2), font, size, colour, 1, cv2.LINE_AA)
    return patch, height + 2
