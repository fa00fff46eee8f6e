"""Who comes when, and which way each of them goes through each camera's view."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from toolkit.data.scenes.config import SceneConfig

# A head from chin to hair line.
_FACE_M = 0.2

# A camera looks down on people from half a metre above them; its horizon lies high in the picture.
_HORIZON = 0.22
_BELOW_HORIZON_FACES = 2.4

# Focal length in picture widths: a lens that sees 60 degrees.
_FOCAL_WIDTHS = 0.87

# So long before the first frame people begin to come, so that the scene does not begin empty.
_BEFORE_S = 15.0

# Who appears far away or stands about is not there from one frame to the next.
_FADE_S = 0.4

_BOB_HZ = 1.9
_BESIDE_FACES = 0.9

# Each of a row stands a little farther away, and to the left: who comes next would soon be out of the view.
_MOST_BESIDE = 4


class Pose(NamedTuple):
    """How a person is seen at one moment.

    Attributes:
        centre_xy: middle of the face, in pixels.
        face_px: height of the face.
        turn_deg: of the head, about the vertical axis.
        tilt_deg: of the head, in the picture.
        speed_px_per_s: sideways, in the picture.
        cover: how much of the person is there already, 0..1.
    """

    centre_xy: tuple[float, float]
    face_px: float
    turn_deg: float
    tilt_deg: float
    speed_px_per_s: float
    cover: float


@dataclass(frozen=True)
class Visit:
    """One passage of a person through one camera's view.

    Attributes:
        person: who.
        number: which passage of this person, from 0.
        begins_s: when, on the scene's clock.
        ends_s: until when.
        pose_after: seconds since its beginning to the :class:`Pose`.
    """

    person: int
    number: int
    begins_s: float
    ends_s: float
    pose_after: Callable[[float], Pose]


class _Way(NamedTuple):
    """Where a person goes: seconds it takes, and (x, face_px) at a share of it."""

    lasts_s: float
    at: Callable[[float], tuple[float, float]]
    fades: bool


def plan_visits(config: SceneConfig) -> list[list[Visit]]:
    """For each camera of the scene, all visits in the order of their beginning.

    Entrances are a Poisson process. Whoever has been away longest comes; when all are in the view, nobody.
    """
    rng = np.random.default_rng((config.seed, 1))
    cameras: list[list[Visit]] = [[] for _ in range(config.cameras)]
    free_from_s = dict.fromkeys(range(config.persons), -math.inf)
    times_come = dict.fromkeys(range(config.persons), 0)
    last_sees_s = (config.cameras - 1) * config.camera_delay_s
    # Nor for a camera that sees everybody much later than the first one.
    entrance, time_s = 0, -_BEFORE_S - (last_sees_s if last_sees_s > _BEFORE_S else 0.0)
    ways: list[_Way] = []
    beside = 0
    while (
        config.persons and (time_s := time_s + rng.exponential(1 / config.entrances_per_s)) < config.seconds
    ):
        person = min(free_from_s, key=lambda p: free_from_s[p])
        if free_from_s[person] > time_s:
            continue
        is_beside = bool(ways) and rng.random() < config.crowding and beside < _MOST_BESIDE
        beside = beside + 1 if is_beside else 0
        ways = [
            _beside(ways[camera], config.face_px[0]) if is_beside else _choose_way(config, camera, entrance)
            for camera in range(config.cameras)
        ]
        for camera, way in enumerate(ways):
            begins_s = time_s + camera * config.camera_delay_s
            pose = _poses(config, way, np.random.default_rng((config.seed, 2, camera, entrance)))
            cameras[camera].append(Visit(person, times_come[person], begins_s, begins_s + way.lasts_s, pose))
        free_from_s[person] = max(visits[-1].ends_s for visits in cameras)
        times_come[person] += 1
        entrance += 1
    return cameras


def _choose_way(config: SceneConfig, camera: int, entrance: int) -> _Way:
    rng = np.random.default_rng((config.seed, 3, camera, entrance))
    kind = config.ways
    if kind == "mixed":
        kind = ("across", "towards", "stand")[int(rng.choice(3, p=(0.5, 0.35, 0.15)))]
    smallest, largest = config.face_px
    face_px = math.exp(rng.uniform(math.log(smallest), math.log(largest)))
    speed_m_per_s = config.speed_m_per_s * rng.uniform(0.75, 1.25)
    is_rightwards = rng.random() < 0.5
    if kind == "stand":
        x = config.width * rng.uniform(0.1, 0.9)
        return _Way(float(rng.uniform(4.0, 9.0)), lambda share: (x, face_px), fades=True)
    if kind == "towards" and config.face_px[1] > config.face_px[0]:
        return _towards(config, speed_m_per_s, is_rightwards)
    return _across(config, face_px, speed_m_per_s, is_rightwards)


def _across(config: SceneConfig, face_px: float, speed_m_per_s: float, is_rightwards: bool) -> _Way:
    """From one edge to the other, always as far away."""
    outside = 1.5 * face_px
    length_px = config.width + 2 * outside
    lasts_s = length_px / (speed_m_per_s * face_px / _FACE_M)

    def at(share: float) -> tuple[float, float]:
        x = -outside + length_px * share
        return (x if is_rightwards else config.width - x), face_px

    return _Way(lasts_s, at, fades=False)


def _towards(config: SceneConfig, speed_m_per_s: float, is_rightwards: bool) -> _Way:
    """Out of the distance, parallel to the lens's axis, until the nearest point lies outside the view."""
    smallest, largest = config.face_px
    focal_px = _FOCAL_WIDTHS * config.width
    far_m, near_m = focal_px * _FACE_M / smallest, focal_px * _FACE_M / largest
    beside_m = (config.width / 2 + 1.5 * largest) * near_m / focal_px

    def at(share: float) -> tuple[float, float]:
        away_m = far_m + (near_m - far_m) * share
        aside_px = focal_px * beside_m / away_m
        return config.width / 2 + (aside_px if is_rightwards else -aside_px), focal_px * _FACE_M / away_m

    return _Way((far_m - near_m) / speed_m_per_s, at, fades=True)


def _beside(way: _Way, smallest_px: float) -> _Way:
    """The way of somebody close beside, a little farther away, where that is not too far."""

    def at(share: float) -> tuple[float, float]:
        x, face_px = way.at(share)
        return x - _BESIDE_FACES * face_px, max(smallest_px, 0.94 * face_px)

    return way._replace(at=at)


def _poses(config: SceneConfig, way: _Way, rng: np.random.Generator) -> Callable[[float], Pose]:
    taller_faces, phase, turn_phase = rng.uniform(-0.35, 0.35), rng.uniform(0, 1), rng.uniform(0, 1)
    turn_s, tilt_deg = rng.uniform(2.0, 5.0), rng.uniform(-6, 6)
    step_s = 0.02

    def pose(after_s: float) -> Pose:
        x, face_px = way.at(after_s / way.lasts_s)
        is_walking = way.at(1.0) != way.at(0.0)
        bob = 0.06 * math.sin(2 * math.pi * (_BOB_HZ * after_s + phase)) if is_walking else 0.0
        y = _HORIZON * config.height + face_px * (_BELOW_HORIZON_FACES + taller_faces + bob)
        turn_deg = config.turning_deg * math.sin(2 * math.pi * (after_s / turn_s + turn_phase))
        speed = (way.at((after_s + step_s) / way.lasts_s)[0] - x) / step_s
        cover = min(1.0, after_s / _FADE_S, (way.lasts_s - after_s) / _FADE_S) if way.fades else 1.0
        return Pose((x, y), face_px, turn_deg, tilt_deg * (1 + 0.3 * bob), speed, max(0.0, cover))

    return pose
