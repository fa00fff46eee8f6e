"""Truths made by hand, and the answers of somebody who knows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from toolkit.evaluation.streaming.answers import Answer, ShownFace
from toolkit.truth import TrueFace, Truth

Faces = Callable[[int], Sequence[TrueFace]]


def standing(person: int, gender: str = "female", age: float = 30.0, **more) -> TrueFace:
    """Somebody who stands still, a place for each person."""
    return TrueFace(person, (100.0 * person, 0.0, 100.0 * person + 40.0, 40.0), gender, age, **more)


def truth_of(faces: Faces, frames: int = 40, fps: float = 10.0, camera: str = "door", **more) -> Truth:
    """What ``faces(frame)`` says of each frame."""
    times_s = np.arange(frames) / fps
    return Truth(camera, (640, 480), times_s, tuple(tuple(faces(n)) for n in range(frames)), **more)


def oracle(truth: Truth, latency_s: float = 0.0, from_frame: int = 0) -> list[Answer]:
    """Answers that are right, and so late; a track has the number of its person plus 1."""
    return [
        Answer(
            truth.camera,
            float(at_s),
            float(at_s) + latency_s,
            tuple(
                ShownFace(f.person + 1, f.box_xyxy, f.gender, None if f.gender is None else 0.9, f.age_years)
                for f in faces
            ),
        )
        for at_s, faces in list(zip(truth.frame_times_s, truth.faces, strict=True))[from_frame:]
    ]
