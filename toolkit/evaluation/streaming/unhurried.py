"""The same street without a clock: each frame is looked at, answered and voted on before the next comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from toolkit.errors import DataError
from toolkit.evaluation.streaming.answers import Answer, shown
from toolkit.live.camera import Camera
from toolkit.live.detect import FaceDetector
from toolkit.live.inference import Predict
from toolkit.live.lane import Job, Lane
from toolkit.live.look import Look
from toolkit.live.pipeline_config import PipelineConfig
from toolkit.live.track import FaceTracker
from toolkit.records import Frame
from toolkit.stats import StageTimes


def unhurried(
    frames: Iterable[Frame],
    detect: FaceDetector,
    predict: Predict,
    config: PipelineConfig,
    predict_bodies: Predict | None = None,
) -> Iterator[Answer]:
    """What a machine that is never too slow says of each frame: the offline answers.

    Detector, tracker, the rule when to look again and the vote are those of a live run, at the frames' own
    times. What differs from a live run: no frame waits, so an answer is finished at its frame's time, and the
    model is asked for one frame at a time.

    Args:
        frames: of one camera, in order, each with its media time.
        detect: finds faces.
        predict: see :data:`toolkit.live.inference.Predict`.
        config: of the street.
        predict_bodies: see :class:`toolkit.live.pipeline.LivePipeline`.

    Raises:
        DataError: a frame has no media time.
    """
    look = Look(detect, config, StageTimes(), predict_bodies is not None)
    lane: Lane | None = None
    for frame in frames:
        if frame.media_time_s is None:
            raise DataError(f"frame {frame.index} of {frame.camera} has no time of its own; a recording has")
        # Only the tracker and the count of frames are used: this camera is never opened.
        lane = lane or Lane(Camera(frame.camera, frame.camera), FaceTracker(config.tracker))
        job = look(lane, replace(frame, captured_at=frame.media_time_s))
        if job.error is not None:
            raise job.error
        for track, prediction, part in zip(
            job.asked, _said(job, predict, predict_bodies), job.parts, strict=True
        ):
            lane.tracker.vote(track, prediction, part)
        faces = shown([lane.tracker.with_label(track) for track in job.tracks])
        yield Answer(frame.camera, frame.media_time_s, frame.media_time_s, faces)


def _said(job: Job, predict: Predict, predict_bodies: Predict | None) -> list[Any]:
    """A prediction for each crop: faces come first, bodies last."""
    faces = len(job.crops) - job.bodies
    of_faces = predict(job.crops[:faces]) if faces else ()
    of_bodies = predict_bodies(job.crops[faces:]) if predict_bodies and job.bodies else ()
    return [*of_faces, *of_bodies]
