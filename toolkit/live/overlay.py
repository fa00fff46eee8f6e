"""Zones, lines and their counts drawn on a picture."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from toolkit.live.zones import LineConfig, ZoneConfig, in_pixels

_COLOUR = (115, 158, 0)
"""BGR, the green of Okabe and Ito's colours: no label has it."""


def draw_zones(
    image: np.ndarray,
    size_wh: tuple[int, int],
    zones: Mapping[str, ZoneConfig],
    lines: Mapping[str, LineConfig],
    counts: Mapping[str, Mapping[str, Mapping[str, int]]],
) -> None:
    """Draw them in place.

    Args:
        image: (H, W, 3), uint8, BGR; may be smaller or larger than the camera's own picture.
        size_wh: of the camera's own picture, which points in pixels refer to.
        zones: name to zone.
        lines: name to line; a small arrow shows its left.
        counts: see :meth:`PeopleCounter.counts`.
    """
    height, width = image.shape[:2]
    scale = np.array([width / size_wh[0], height / size_wh[1]], np.float32)
    for name, zone in zones.items():
        corners = (in_pixels(zone.polygon, zone.unit, size_wh) * scale).astype(np.int32)
        cv2.polylines(image, [corners], True, _COLOUR, 2, cv2.LINE_AA)
        seen = counts["zones"][name]
        _write(
            image, f"{name}: {seen['inside']} inside, {seen['entered']} in, {seen['left']} out", corners[0]
        )
    for name, line in lines.items():
        start, end = in_pixels((line.start, line.end), line.unit, size_wh) * scale
        cv2.line(image, _whole(start), _whole(end), _COLOUR, 2, cv2.LINE_AA)
        seen = counts["lines"][name]
        _draw_arrow_to_the_left(image, start, end)
        _write(
            image,
            f"{name}: {seen['to_left']} to left, {seen['to_right']} to right",
            _whole((start + end) / 2),
        )


def _draw_arrow_to_the_left(image: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    middle, along = (start + end) / 2, (end - start) / max(float(np.linalg.norm(end - start)), 1e-6)
    # y grows downwards: the left hand of somebody who looks along (x, y) points to (y, -x).
    tip = middle + 14 * np.array([along[1], -along[0]])
    cv2.arrowedLine(image, _whole(middle), _whole(tip), _COLOUR, 2, cv2.LINE_AA, tipLength=0.5)


def _write(image: np.ndarray, text: str, at: np.ndarray | tuple[int, int]) -> None:
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.45
    (width, height), _ = cv2.getTextSize(text, font, size, 1)
    left = max(0, min(int(at[0]) + 6, image.shape[1] - width))
    bottom = max(height + 2, min(int(at[1]) - 6, image.shape[0] - 4))
    cv2.rectangle(image, (left, bottom - height - 2), (left + width, bottom + 4), (24, 24, 24), cv2.FILLED)
    cv2.putText(image, text, (left, bottom), font, size, (255, 255, 255), 1, cv2.LINE_AA)


def _whole(point: np.ndarray) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
