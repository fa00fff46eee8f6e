"""One picture that shows a scene: its cameras side by side at a few moments, with the true boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from toolkit.data.scenes.film import SceneFiles
from toolkit.errors import DataError
from toolkit.truth import TrueFace

_MOMENTS = (0.15, 0.5, 0.85)
_MOST_CAMERAS = 4
_TILE_WIDTH_PX = 640
_GREEN, _GREY = (60, 220, 60), (160, 160, 160)

# Of a face hidden by more than this nobody asks that it be found.
_MOST_HIDDEN = 0.5


def contact_sheet(files: SceneFiles) -> np.ndarray:
    """Draw it from the films as they were written, so that it shows what the codec left.

    Returns:
        (H, W, 3), uint8, BGR: a column for each of up to four cameras, a row for each moment. A box is green,
        or grey where most of the face is hidden.

    Raises:
        DataError: a film cannot be read.
    """
    cameras = range(1, min(files.config.cameras, _MOST_CAMERAS) + 1)
    indices = [int(share * files.config.frames) for share in _MOMENTS]
    columns = []
    for camera in cameras:
        faces = files.truth(camera).faces
        pictures = _pictures(files.film(camera), indices)
        titles = [f"camera {camera}, {index / files.config.frames_per_s:.1f} s" for index in indices]
        columns.append(
            np.vstack([_tile(p, faces[n], t) for p, n, t in zip(pictures, indices, titles, strict=True)])
        )
    return np.hstack(columns)


def _pictures(film: Path, indices: Sequence[int]) -> Iterator[np.ndarray]:
    if film.suffix == ".npy":
        images = np.load(film, mmap_mode="r")
        yield from (np.array(images[index]) for index in indices)
        return
    try:
        with av.open(str(film)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index in indices:
                    yield frame.to_ndarray(format="bgr24")
    except av.FFmpegError as error:
        raise DataError(f"{film} cannot be read: {error}; write the scene again") from error


def _tile(image: np.ndarray, faces: Sequence[TrueFace], title: str) -> np.ndarray:
    scale = _TILE_WIDTH_PX / image.shape[1]
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    tile = cv2.resize(image, None, fx=scale, fy=scale, interpolation=smooth)
    for face in faces:
        left, top, right, bottom = (round(side * scale) for side in face.box_xyxy)
        colour = _GREY if face.occluded > _MOST_HIDDEN else _GREEN
        cv2.rectangle(tile, (left, top), (right, bottom), colour, 1)
        _write(tile, _words(face), (left, top - 4), colour)
    _write(tile, title, (8, 18), (255, 255, 255))
    return tile


def _words(face: TrueFace) -> str:
    gender = "" if face.gender is None else f" {face.gender}"
    age = "" if face.age_years is None else f" {face.age_years:.0f}"
    return f"{face.person}{gender}{age}"


def _write(image: np.ndarray, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (20, 20, 20), 3, cv2.LINE_AA)
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
