"""Real bodies for made pictures: people cut out of frames of a film that shows them from behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from toolkit.errors import DataError
from toolkit.training.detector_sheet import ABOVE_PX, PICTURE_PX, Sheet, dyed

_ROUNDS = 2


class Body(NamedTuple):
    """Somebody from behind, from the hair to the hips.

    Attributes:
        image: (H, W, 3), uint8, BGR.
        cover: (H, W), float32, 1 where the person is.
        head_xyxy: from the top of the head to the height of the chin, as wide as the head.
    """

    image: np.ndarray
    cover: np.ndarray
    head_xyxy: tuple[float, float, float, float]


def read_bodies(path: str, heads: Mapping[int, Sequence[float]]) -> list[Body]:
    """Cut people out of a film, each with a head and a half to each side and three below.

    Args:
        path: of the film.
        heads: by the frame's number, counted as it is decoded, the box of a head, pixels.

    Raises:
        DataError: the film cannot be read, or is shorter.
    """
    film, bodies = cv2.VideoCapture(path), []
    for number in range(max(heads, default=-1) + 1):
        is_there, frame = film.read()
        if not is_there:
            raise DataError(f"{path} ends at frame {number}, and a body in frame {max(heads)} is asked for")
        if number in heads:
            bodies.append(_cut_out(frame, heads[number]))
    film.release()
    return bodies


def lay_body(sheet: Sheet, body: Body, hair_bgr: np.ndarray, rng: np.random.Generator) -> None:
    """Lay a body on an empty sheet, its head where heads are; perhaps mirrored, and dyed.

    Args:
        sheet: is changed.
        body: whose.
        hair_bgr: (3,): colour of the hair, of those who get another.
        rng: where chance comes from.
    """
    left, _, right, chin = body.head_xyxy
    scale = PICTURE_PX * float(rng.uniform(0.88, 1.12)) / (right - left)
    across = scale * float(rng.choice((-1, 1)))
    chin_px = ABOVE_PX + 0.95 * PICTURE_PX
    shift = (
        sheet.cover.shape[1] / 2 - across * (left + right) / 2,
        chin_px - scale * chin * float(rng.uniform(0.97, 1.03)),
    )
    to_sheet = np.array([[across, 0, shift[0]], [0, scale, shift[1]]])
    size_wh = sheet.image.shape[1::-1]
    sheet.image[:] = cv2.warpAffine(
        body.image, to_sheet, size_wh, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    sheet.cover[:] = cv2.warpAffine(body.cover, to_sheet, size_wh)
    fade = int(rng.integers(1, 90))
    sheet.cover[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
    hair, clothes = np.split(sheet.image, [ABOVE_PX + round(PICTURE_PX * rng.uniform(1.0, 1.2))])
    if rng.random() < 0.6:
        clothes[:] = dyed(clothes, rng.integers(0, 230, 3) * rng.uniform(0.1, 1), rng)
    if rng.random() < 0.6:
        hair[:] = dyed(hair, hair_bgr, rng)


def _cut_out(frame: np.ndarray, head_xyxy: Sequence[float]) -> Body:
    """What is dark or colourful below and around a head, before a plain wall.

    Source: Rother et al., "GrabCut", SIGGRAPH 2004, as OpenCV has it.
    """
    left, top, right, chin = head_xyxy
    wide, high = right - left, chin - top
    x0, y0 = max(0, round(left - 1.5 * wide)), max(0, round(top - 0.3 * high))
    x1, y1 = min(frame.shape[1], round(right + 1.5 * wide)), min(frame.shape[0], round(chin + 3 * high))
    part = np.ascontiguousarray(frame[y0:y1, x0:x1])
    left, right, top, chin = left - x0, right - x0, top - y0, chin - y0
    middle = round((left + right) / 2)
    mask = np.full(part.shape[:2], cv2.GC_PR_BGD, np.uint8)
    mask[round(top) :, round(left - wide) : round(right + wide)] = cv2.GC_PR_FGD
    mask[: max(0, round(top))] = cv2.GC_BGD
    # Arms reach no farther; what stands beside them may be as dark as they are.
    mask[:, : max(0, round(left - 1.3 * wide))] = cv2.GC_BGD
    mask[:, round(right + 1.3 * wide) :] = cv2.GC_BGD
    mask[: round(chin - 0.1 * high), : max(0, round(left - 0.2 * wide))] = cv2.GC_BGD
    mask[: round(chin - 0.1 * high), round(right + 0.2 * wide) :] = cv2.GC_BGD
    half = round(0.3 * wide)
    mask[max(0, round(top + 0.2 * high)) :, middle - half : middle + half] = cv2.GC_FGD
    # It has to be given a rectangle, though with a mask it looks at none.
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(part, mask, (0, 0, 1, 1), *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    is_person = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8)
    is_person = cv2.erode(cv2.morphologyEx(is_person, cv2.MORPH_OPEN, np.ones((5, 5))), np.ones((3, 3)))
    _, labels = cv2.connectedComponents(is_person)
    cover = (labels == labels[round((top + chin) / 2), middle]).astype(np.float32)
    return Body(part, cv2.GaussianBlur(cover, (0, 0), 0.8), (left, top, right, chin))
