"""A look at a frame: all that is done with it before the model is asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from toolkit.live.detect import FaceDetector, WholeFrame, find_in
from toolkit.live.lane import Job, Lane
from toolkit.live.pipeline_config import PipelineConfig
from toolkit.live.pixels import cut_bodies, cut_faces, look_at, pixels_of
from toolkit.records import Detection, Frame, Track
from toolkit.stats import StageTimes


class Look:
    """Finds the faces of a frame, and bodies where that is asked for; follows them, cuts whose analysis pays.

    Several threads may look at once, but only one at frames of the same lane.

    Args:
        detect: finds faces, or :class:`WholeFrame`.
        config: see :class:`PipelineConfig`.
        stages: is told how long each part took.
        asks_bodies: whether there is a model for bodies, which is asked for people without a label of the
            face.
    """

    def __init__(
        self,
        detect: FaceDetector | WholeFrame,
        config: PipelineConfig,
        stages: StageTimes,
        asks_bodies: bool = False,
    ) -> None:
        self._detect = detect
        self._asks_bodies = asks_bodies
        self._config = config
        self._stages = stages

    def change(self, config: PipelineConfig) -> None:
        """Look so from the next frame on."""
        self._config = config

    def __call__(self, lane: Lane, frame: Frame) -> Job:
        """The frame with what was found in it, or with the error."""
        started = time.monotonic()
        self._stages.add("arrive", started - frame.captured_at)
        try:
            if isinstance(self._detect, WholeFrame):
                job = self._whole(lane, frame, self._detect.size_px)
            elif self._passes_unsearched(lane, frame):
                job = Job(lane, frame, tracks=lane.tracker.predict(frame.taken_at_s))
            else:
                job = self._searched(lane, frame, self._detect)
        except BaseException as error:  # noqa: BLE001 - whatever the detector raises fails this frame alone
            job = Job(lane, frame, error=error)
        job.looked_at = time.monotonic()
        return job

    def _whole(self, lane: Lane, frame: Frame, side_px: int) -> Job:
        started = time.monotonic()
        crop = pixels_of(frame).shrunk((side_px, side_px))
        self._stages.add("convert", time.monotonic() - started)
        return Job(lane, frame, [crop])

    def _passes_unsearched(self, lane: Lane, frame: Frame) -> bool:
        """Whether to save the search in this frame: as was asked for, or because others were skipped."""
        is_gap, lane.last_index = frame.index > lane.last_index + 1, frame.index
        if lane.unsearched:
            lane.unsearched -= 1
            return True
        every = max(self._config.search_every, self._config.detect_every if is_gap else 1)
        lane.unsearched = every - 1
        return False

    def _searched(self, lane: Lane, frame: Frame, detect: FaceDetector) -> Job:
        started = time.monotonic()
        pixels = pixels_of(frame)
        image, scale = look_at(pixels, getattr(detect, "longest_side_px", None))
        converted = time.monotonic()
        [found] = find_in(detect, [image], [pixels])
        detected = time.monotonic()
        # By the frame's own time, so that a recording is analysed alike at any pace.
        at_s = frame.taken_at_s
        tracks = lane.tracker.update([_scaled(face, 1 / scale) for face in found], at_s)
        wanted = [t for t in tracks if self._is_large(t) and lane.tracker.wants_analysis(t, at_s)]
        bodies = self._bodies_wanted(lane, tracks, wanted, at_s)
        followed = time.monotonic()
        boxes_xyxy = np.array([track.box_xyxy for track in wanted], dtype=np.float32)
        crops = cut_faces(frame, boxes_xyxy, self._config.crop_margin)
        body_crops = cut_bodies(frame, [track.body_xyxy for track in bodies if track.body_xyxy])
        cut = time.monotonic()
        self._stages.add("convert", converted - started)
        self._stages.add("detect", detected - converted)
        self._stages.add("track", followed - detected)
        self._stages.add("cut", cut - followed)
        return Job(
            lane,
            frame,
            crops=[crop.image for crop in (*crops, *body_crops)],
            tracks=tracks,
            asked=[wanted[crop.index] for crop in crops] + [bodies[crop.index] for crop in body_crops],
            bodies=len(body_crops),
        )

    def _bodies_wanted(
        self, lane: Lane, tracks: Sequence[Track], wanted: Sequence[Track], at_s: float
    ) -> list[Track]:
        """Whose body is to be analysed: of people whose face is not just now, and never was."""
        if not self._asks_bodies:
            return []
        faces = {track.track_id for track in wanted}
        others = [track for track in tracks if track.track_id not in faces]
        return [track for track in others if lane.tracker.wants_analysis(track, at_s, "body")]

    def _is_large(self, track: Track) -> bool:
        left, top, right, bottom = track.box_xyxy
        return max(right - left, bottom - top) >= self._config.smallest_face_px


def _scaled(face: Detection, factor: float) -> Detection:
    if factor == 1.0:
        return face
    left, top, right, bottom = face.box_xyxy
    return replace(face, box_xyxy=(left * factor, top * factor, right * factor, bottom * factor))
