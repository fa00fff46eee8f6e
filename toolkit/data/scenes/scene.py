"""A scene: what each camera sees, frame by frame, and who that really is."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from toolkit.cores import usable_cores
from toolkit.data.scenes.arrival import arrival_delays_s
from toolkit.data.scenes.backdrop import paint_backdrop
from toolkit.data.scenes.compose import Composed, Placement, compose
from toolkit.data.scenes.config import SceneConfig
from toolkit.data.scenes.film import TRUTH_FILE, Progress, SceneFiles, write_film
from toolkit.data.scenes.people import Person, make_people
from toolkit.data.scenes.walks import Pose, Visit, plan_visits
from toolkit.errors import ConfigError
from toolkit.truth import TrueFace, Truth, save_truths
from toolkit.whole_files import whole_file

# Of a face of which less is to be seen nobody can say that it is one.
_LEAST_SEEN = 0.05

_NOISE_MARGIN_PX = 64


class Scene:
    """People, cameras and the ways between them; made by :func:`make_scene`.

    Nothing is composed before it is asked for, and the same frame always comes out the same.

    Attributes:
        config: what it was made of.
        composed: how many frames were composed so far.
    """

    def __init__(self, config: SceneConfig) -> None:
        self.config = config
        self.composed = 0
        self._visits = plan_visits(config)
        self._backdrops: dict[int, np.ndarray] = {}

    @property
    def cameras(self) -> range:
        """The numbers of its cameras, from 1."""
        return range(1, self.config.cameras + 1)

    @cached_property
    def people(self) -> list[Person]:
        """Who walks through it; ``TrueFace.person`` is the place in this list."""
        return make_people(self.config)

    def frame_times_s(self) -> np.ndarray:
        """(F,), float64: media time of each frame, in seconds since the scene began."""
        return np.arange(self.config.frames) / self.config.frames_per_s

    def frames(self, camera: int = 1) -> Iterator[tuple[int, float, np.ndarray]]:
        """Number, media time in seconds and picture (H, W, 3) uint8 BGR of each frame, before any codec.

        Raises:
            ConfigError: the scene has no such camera.
        """
        for index, time_s in enumerate(self.frame_times_s().tolist()):
            composed, _ = self._compose(camera, time_s)
            yield index, time_s, self._as_filmed(composed.image, camera, index, time_s)

    def labelled_frames(
        self, camera: int = 1
    ) -> Iterator[tuple[int, float, np.ndarray, tuple[TrueFace, ...]]]:
        """As :meth:`frames`, each with the faces in it: both in one pass."""
        for index, time_s in enumerate(self.frame_times_s().tolist()):
            composed, present = self._compose(camera, time_s)
            image = self._as_filmed(composed.image, camera, index, time_s)
            yield index, time_s, image, self._true_faces(composed, present)

    def truth(self, camera: int = 1) -> Truth:
        """Who is to be seen by a camera at every frame; composes all of them.

        Raises:
            ConfigError: the scene has no such camera.
        """
        times_s = self.frame_times_s()
        faces = tuple(self._true_faces(*self._compose(camera, time_s)) for time_s in times_s.tolist())
        return Truth(self.camera_name(camera), self.config.size_wh, times_s, faces)

    def camera_name(self, camera: int) -> str:
        """The name of a camera's truth and files.

        Raises:
            ConfigError: the scene has no such camera.
        """
        if camera not in self.cameras:
            raise ConfigError(f"the scene has the cameras 1 to {self.config.cameras}, got camera {camera}")
        return f"camera-{camera}"

    def delays_s(self, camera: int = 1) -> np.ndarray:
        """(F,), float64: how long each frame is on its way; see :func:`arrival_delays_s`."""
        self.camera_name(camera)
        return arrival_delays_s(self.config, camera)

    def write(self, folder: Path, on_progress: Progress = lambda done, total: None) -> SceneFiles:
        """Compose all frames of all cameras into files.

        Args:
            folder: where ``camera-1.mp4``, ... and ``truth.json`` go; made if missing.
            on_progress: see :data:`Progress`.

        Raises:
            ConfigError: without a codec, the pictures would take more than 4 GB.
        """
        folder.mkdir(parents=True, exist_ok=True)
        files = SceneFiles(folder, self.config)
        # That of an earlier scene would be believed if this one were broken off.
        (folder / TRUTH_FILE).unlink(missing_ok=True)
        done, counting, total = 0, threading.Lock(), self.config.frames * self.config.cameras
        given_up = threading.Event()

        def count() -> None:
            nonlocal done
            if given_up.is_set():
                raise CancelledError
            with counting:
                done += 1
                on_progress(done, total)

        def write(camera: int) -> tuple[str, Truth]:
            return self.camera_name(camera), self._write_camera(camera, files.film(camera), count)

        # Made before the threads that share them.
        _ = self.people, self._noise_sheet if self.config.night else None
        with ThreadPoolExecutor(min(len(self.cameras), usable_cores()), "scene") as pool:
            writing = [pool.submit(write, camera) for camera in self.cameras]
            try:
                wait(writing, return_when=FIRST_EXCEPTION)
            finally:
                # Nothing where all are done; else the pool would wait until the others end their films.
                given_up.set()
                pool.shutdown(wait=False, cancel_futures=True)
        failed = [error for one in writing if not one.cancelled() and (error := one.exception())]
        if failed:
            raise next((error for error in failed if not isinstance(error, CancelledError)), failed[0])
        save_truths(folder / TRUTH_FILE, dict(one.result() for one in writing), self.about())
        return files

    def _write_camera(self, camera: int, path: Path, count: Callable[[], None]) -> Truth:
        seen: list[tuple[TrueFace, ...]] = []

        def images() -> Iterator[np.ndarray]:
            for _, _, image, faces in self.labelled_frames(camera):
                seen.append(faces)
                yield image
                count()

        with whole_file(path) as part:
            write_film(part, images(), self.config)
        return Truth(self.camera_name(camera), self.config.size_wh, self.frame_times_s(), tuple(seen))

    def _compose(self, camera: int, time_s: float) -> tuple[Composed, list[tuple[Visit, Pose]]]:
        self.camera_name(camera)
        self.composed += 1
        present = [
            (visit, visit.pose_after(time_s - visit.begins_s))
            for visit in self._visits[camera - 1]
            if visit.begins_s <= time_s < visit.ends_s
        ]
        # The nearest last, in front of the others.
        present.sort(key=lambda pair: pair[1].face_px)
        placements = [self._placement(visit, pose) for visit, pose in present]
        return compose(self._backdrop(camera), placements, self._pillars(camera)), present

    def _placement(self, visit: Visit, pose: Pose) -> Placement:
        smear_px = abs(pose.speed_px_per_s) * self.config.exposure_s
        return Placement(
            self.people[visit.person].cutout,
            pose.centre_xy,
            pose.face_px,
            pose.turn_deg,
            pose.tilt_deg,
            smear_px=smear_px,
            cover=pose.cover,
        )

    def _true_faces(self, composed: Composed, present: list[tuple[Visit, Pose]]) -> tuple[TrueFace, ...]:
        faces = []
        for (visit, _), box, occluded in zip(present, composed.boxes_xyxy, composed.occluded, strict=True):
            left, top, right, bottom = (round(side, 2) for side in box.tolist())
            if 1 - occluded < _LEAST_SEEN or right - left < 1 or bottom - top < 1:
                continue
            person = self.people[visit.person]
            faces.append(
                TrueFace(
                    visit.person,
                    (left, top, right, bottom),
                    person.gender,
                    person.age_years,
                    round(float(occluded), 3),
                    person.age_within_years,
                    visit.number,
                )
            )
        return tuple(faces)

    def _backdrop(self, camera: int) -> np.ndarray:
        if camera not in self._backdrops:
            self._backdrops[camera] = paint_backdrop(self.config, camera - 1)
        return self._backdrops[camera]

    def _pillars(self, camera: int) -> list[tuple[np.ndarray, tuple[int, int]]]:
        """What stands in front of everybody, over so much of the view's width."""
        config = self.config
        if not config.occlusion:
            return []
        wide = max(2, round(1.2 * config.face_px[1]))
        count = max(1, round(config.occlusion * config.width / wide))
        wide = max(2, round(config.occlusion * config.width / count))
        shade = 95 - 45 * np.cos(np.linspace(0, 2 * np.pi, wide))
        pillar = np.empty((config.height, wide, 4), np.uint8)
        pillar[..., :3] = shade[None, :, None]
        pillar[..., 3] = 255
        offset = np.random.default_rng((config.seed, 8, camera)).uniform(0.2, 0.8)
        return [(pillar, (round((n + offset) * config.width / count - wide / 2), 0)) for n in range(count)]

    def _as_filmed(self, image: np.ndarray, camera: int, index: int, time_s: float) -> np.ndarray:
        """Light and sensor: brightness that swings, the grain and greyness of night."""
        config = self.config
        gain = config.light * (1 + config.light_swing * math.sin(2 * math.pi * time_s / 6.0 + camera))
        if gain != 1.0:
            image = cv2.convertScaleAbs(image, alpha=max(0.0, gain))
        if config.night:
            grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
            colourless = min(0.85, config.night / 20)
            image = cv2.addWeighted(grey, colourless, image, 1 - colourless, 0)
            image = cv2.add(image, self._noise(camera, index), dtype=cv2.CV_8U)
        return image

    def _noise(self, camera: int, index: int) -> np.ndarray:
        """(H, W, 3), int16: a part of one large sheet, because fresh noise costs more than all the rest."""
        height, width = self.config.height, self.config.width
        rng = np.random.default_rng((self.config.seed, 9, camera, index))
        top, left = rng.integers(_NOISE_MARGIN_PX, size=2)
        return self._noise_sheet[top : top + height, left : left + width]

    @cached_property
    def _noise_sheet(self) -> np.ndarray:
        shape = (self.config.height + _NOISE_MARGIN_PX, self.config.width + _NOISE_MARGIN_PX, 3)
        rng = np.random.default_rng((self.config.seed, 10))
        return np.rint(rng.normal(0, self.config.night, shape)).astype(np.int16)

    def about(self) -> dict[str, Any]:
        """Its settings as plain values."""
        values = dataclasses.asdict(self.config)
        return {name: str(v) if isinstance(v, Path) else v for name, v in values.items()}


def make_scene(config: SceneConfig | None = None) -> Scene:
    """A scene of these settings; the same settings always make the same one."""
    return Scene(config or SceneConfig())
