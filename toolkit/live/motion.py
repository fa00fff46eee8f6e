"""Where a face will be: its box, carried on at the speed it had."""

from __future__ import annotations

import math

from toolkit.records import BoxXyxy

_SETTLE_S = 0.15
"""The speed follows the detections with this time constant: a box trembles by a few percent of its side."""

_COAST_S = 0.3
"""Longest time a face is carried on unseen; it then waits where it is. Beyond that, more faces were found
again at rest than on their way (``experiments/compare_trackers.py``)."""


class Motion:
    """Constant velocity of the middle of a box, for detections at any interval.

    Args:
        box_xyxy: where the face was seen first.
        at_s: when.

    Source: the steady state of a constant-velocity Kalman filter is such an alpha-beta filter (Kalata: The
    Tracking Index, IEEE AES 1984); here the position is the detection itself (alpha 1), and beta follows
    from the time between two detections.
    """

    def __init__(self, box_xyxy: BoxXyxy, at_s: float) -> None:
        self.box_xyxy = box_xyxy
        self.at_s = at_s
        self._speed_xy: tuple[float, float] | None = None

    def see(self, box_xyxy: BoxXyxy, at_s: float) -> None:
        """The face was seen again."""
        passed_s = at_s - self.at_s
        if passed_s > 0:
            (old_x, old_y), (x, y) = middle_of(self.box_xyxy), middle_of(box_xyxy)
            newest = (x - old_x) / passed_s, (y - old_y) / passed_s
            share = 1.0 if self._speed_xy is None else 1.0 - math.exp(-passed_s / _SETTLE_S)
            speed_x, speed_y = self._speed_xy or (0.0, 0.0)
            self._speed_xy = speed_x + share * (newest[0] - speed_x), speed_y + share * (newest[1] - speed_y)
        self.box_xyxy, self.at_s = box_xyxy, at_s

    def box_at(self, at_s: float) -> BoxXyxy:
        """Where the face should be at that time, as large as it was."""
        if self._speed_xy is None:
            return self.box_xyxy
        ahead_s = min(max(at_s - self.at_s, 0.0), _COAST_S)
        dx, dy = self._speed_xy[0] * ahead_s, self._speed_xy[1] * ahead_s
        left, top, right, bottom = self.box_xyxy
        return left + dx, top + dy, right + dx, bottom + dy


def middle_of(box_xyxy: BoxXyxy) -> tuple[float, float]:
    """The middle of a box, (x, y)."""
    left, top, right, bottom = box_xyxy
    return (left + right) / 2, (top + bottom) / 2
