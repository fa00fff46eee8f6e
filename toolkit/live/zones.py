"""Zones and lines in a camera's picture."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from toolkit.errors import ConfigError

PointXy = tuple[float, float]
Unit = Literal["fraction", "px"]
"""Of points: shares of the picture's width and height, 0..1, or pixels of the camera's own picture."""


@dataclass(frozen=True)
class ZoneConfig:
    """A part of a camera's picture.

    Attributes:
        polygon: its corners (x, y), three or more, in order.
        unit: of the corners.
    """

    polygon: tuple[PointXy, ...]
    unit: Unit = "fraction"

    def __post_init__(self) -> None:
        if len(self.polygon) < 3:
            raise ConfigError(f"a zone's polygon needs at least 3 corners, got {len(self.polygon)}")
        _check_points(self.polygon, self.unit)


@dataclass(frozen=True)
class LineConfig:
    """A line that people cross.

    Whoever stands at ``start`` and looks to ``end`` has the left of the line at the left hand.

    Attributes:
        start: one end, (x, y).
        end: the other.
        unit: of both.
    """

    start: PointXy
    end: PointXy
    unit: Unit = "fraction"

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise ConfigError(f"a line needs two ends, got {self.start} twice")
        _check_points((self.start, self.end), self.unit)


def in_pixels(points: Iterable[PointXy], unit: Unit, size_wh: tuple[int, int]) -> np.ndarray:
    """Points as pixels of a picture of that size: (N, 2), float32."""
    scale = np.array(size_wh if unit == "fraction" else (1, 1), np.float32)
    return np.array(list(points), np.float32) * scale


def _check_points(points: Iterable[PointXy], unit: Unit) -> None:
    for point in points:
        if unit == "fraction" and not all(0.0 <= value <= 1.0 for value in point):
            raise ConfigError(
                f"a point in fractions of the picture lies between 0 and 1, got {point}; for pixels: unit: px"
            )
        if not all(0.0 <= value < math.inf for value in point):
            raise ConfigError(f"a point in pixels of the picture is not negative, and finite, got {point}")
