"""People counted as they enter and leave a zone, or cross a line."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from toolkit.errors import ConfigError
from toolkit.live.motion import middle_of
from toolkit.live.zones import LineConfig, PointXy, ZoneConfig, in_pixels
from toolkit.records import BoxXyxy, FrameResult


@dataclass(frozen=True)
class CountConfig:
    """When a person counts.

    Attributes:
        margin: distance from a border, as a share of the face's longer side, that a person must pass before
        the
            side counts as changed: who stands on a line, or trembles there, counts once.
        gone_after_s: a person not seen for this long is in no zone any more; suits the tracker's
        ``most_lost_s``.
    """

    margin: float = 0.25
    gone_after_s: float = 1.5

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 10:
            raise ConfigError(f"margin must lie between 0 and 10 sides of a face, got {self.margin}")
        if not self.gone_after_s > 0:
            raise ConfigError(f"gone_after_s must be more than 0, got {self.gone_after_s}")


@dataclass
class _Zone:
    config: ZoneConfig
    corners_px: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.float32))
    is_inside: dict[int, bool] = field(default_factory=dict)
    ever_inside: set[int] = field(default_factory=set)
    entered: int = 0
    left: int = 0

    def measure(self, size_wh: tuple[int, int]) -> None:
        self.corners_px = in_pixels(self.config.polygon, self.config.unit, size_wh)

    def see(self, person: int, point: PointXy, margin_px: float) -> None:
        depth_px = cv2.pointPolygonTest(self.corners_px, point, True)
        before = self.is_inside.get(person)
        if before is not None and abs(depth_px) < margin_px:
            return
        now = self.is_inside[person] = depth_px >= 0
        self.entered += before is False and now
        self.left += before is True and not now
        if now:
            self.ever_inside.add(person)

    def forget(self, person: int) -> None:
        self.is_inside.pop(person, None)

    def counts(self) -> dict[str, int]:
        return {
            "inside": sum(self.is_inside.values()),
            "entered": self.entered,
            "left": self.left,
            "persons": len(self.ever_inside),
        }


@dataclass
class _Line:
    config: LineConfig
    start_px: PointXy = (0.0, 0.0)
    end_px: PointXy = (0.0, 0.0)
    surely_at: dict[int, PointXy] = field(default_factory=dict)
    to_left: int = 0
    to_right: int = 0

    def measure(self, size_wh: tuple[int, int]) -> None:
        ends = in_pixels((self.config.start, self.config.end), self.config.unit, size_wh).tolist()
        self.start_px, self.end_px = map(tuple, ends)

    def see(self, person: int, point: PointXy, margin_px: float) -> None:
        # y grows downwards in pictures: what turns to the right there has a positive cross product.
        right_px = _cross(self.start_px, self.end_px, point) / math.dist(self.start_px, self.end_px)
        before = self.surely_at.get(person)
        if abs(right_px) < margin_px:
            # On the line. Who was first seen there belongs to neither side yet.
            return
        self.surely_at[person] = point
        if before is not None and self._crosses(before, point):
            self.to_right += right_px > 0
            self.to_left += right_px < 0

    def _crosses(self, before: PointXy, now: PointXy) -> bool:
        """Whether the way between two points leads across the line, and not past its ends."""
        sides = _cross(self.start_px, self.end_px, before), _cross(self.start_px, self.end_px, now)
        ends = _cross(before, now, self.start_px), _cross(before, now, self.end_px)
        return sides[0] * sides[1] < 0 and ends[0] * ends[1] <= 0

    def forget(self, person: int) -> None:
        self.surely_at.pop(person, None)

    def counts(self) -> dict[str, int]:
        return {"to_left": self.to_left, "to_right": self.to_right}


@dataclass
class _Place:
    """What is counted on one camera."""

    zones: dict[str, _Zone]
    lines: dict[str, _Line]
    size_wh: tuple[int, int] | None = None
    last_seen_s: dict[int, float] = field(default_factory=dict)

    def borders(self) -> list[_Zone | _Line]:
        return [*self.zones.values(), *self.lines.values()]

    def measure(self, size_wh: tuple[int, int]) -> None:
        """Lay the zones and lines out for a picture of that size."""
        if self.size_wh == size_wh:
            return
        self.size_wh = size_wh
        for border in self.borders():
            border.measure(size_wh)


class PeopleCounter:
    """A listener of the street that counts persons by the middle of their faces, or where these should be.

    Only confirmed tracks count; one the tracker predicts counts where it should be. A person who is first
    seen inside a zone has not entered it, and one who vanishes there has not left it; both are among its
    ``persons``. A place is measured anew when a camera's picture changes its size, and goes on counting.

    Args:
        zones: camera to name to zone.
        lines: camera to name to line.
        config: see :class:`CountConfig`.

    Source: ours; the margin is the hysteresis of Savant's and supervision's line counters, in sides of the
    face, so that it means the same near and far.
    """

    def __init__(
        self,
        zones: Mapping[str, Mapping[str, ZoneConfig]] | None = None,
        lines: Mapping[str, Mapping[str, LineConfig]] | None = None,
        config: CountConfig | None = None,
    ) -> None:
        self._config = config or CountConfig()
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self.watch(zones or {}, lines or {})

    def watch(
        self, zones: Mapping[str, Mapping[str, ZoneConfig]], lines: Mapping[str, Mapping[str, LineConfig]]
    ) -> None:
        """Count these from now on, as a run does that has other cameras now; what stays goes on counting."""
        with self._lock:
            # At once: others look without the lock.
            self._places = {
                camera: _place(zones.get(camera, {}), lines.get(camera, {}), self._places.get(camera))
                for camera in {**zones, **lines}
            }

    def __call__(self, result: FrameResult) -> None:
        """Count what is new in this result."""
        place, at_s = self._places.get(result.frame.camera), result.frame.taken_at_s
        if place is None:
            return
        with self._lock:
            place.measure(result.frame.size_wh)
            for track in result.tracks:
                if track.is_confirmed:
                    place.last_seen_s[track.track_id] = at_s
                    self._see(place, track.track_id, track.box_xyxy)
            # A recording that was removed and added again begins its time anew: whoever it showed is gone.
            lost_s = {n: abs(at_s - seen_s) for n, seen_s in place.last_seen_s.items()}
            gone = [n for n, seconds in lost_s.items() if seconds > self._config.gone_after_s]
            for person in gone:
                del place.last_seen_s[person]
                for border in place.borders():
                    border.forget(person)

    def counts(self, camera: str) -> dict[str, dict[str, dict[str, int]]]:
        """The counts of one camera so far.

        Returns:
            ``{"zones": {NAME: {"inside", "entered", "left", "persons"}}, "lines": {NAME: {"to_left",
            "to_right"}}}``: who is inside now, how often somebody went in and out, how many different
            persons were ever inside, and how often the line was crossed to which side.
        """
        place = self._places.get(camera, _Place({}, {}))
        with self._lock:
            return {
                "zones": {name: zone.counts() for name, zone in place.zones.items()},
                "lines": {name: line.counts() for name, line in place.lines.items()},
            }

    def _see(self, place: _Place, person: int, box_xyxy: BoxXyxy) -> None:
        left, top, right, bottom = box_xyxy
        margin_px = self._config.margin * max(right - left, bottom - top)
        for border in place.borders():
            border.see(person, middle_of(box_xyxy), margin_px)


def _place(zones: Mapping[str, ZoneConfig], lines: Mapping[str, LineConfig], before: _Place | None) -> _Place:
    """A place to be measured by its next picture; of the one before it, what lies where it lay counts on."""
    before = before or _Place({}, {})
    old_zones = {name: zone for name, zone in before.zones.items() if zone.config == zones.get(name)}
    old_lines = {name: line for name, line in before.lines.items() if line.config == lines.get(name)}
    return _Place(
        {name: old_zones.get(name, _Zone(zone)) for name, zone in zones.items()},
        {name: old_lines.get(name, _Line(line)) for name, line in lines.items()},
        last_seen_s=before.last_seen_s,
    )


def _cross(start: PointXy, end: PointXy, point: PointXy) -> float:
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])
