"""What a query of a scenario asks for: the faces of a frame, each with its label."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from toolkit.cores import usable_cores
from toolkit.live.detect import FaceDetector
from toolkit.live.inference import Predict
from toolkit.live.pixels import cut_faces
from toolkit.records import Frame


class FrameAnalysis:
    """Faces found and labelled, nobody followed; frames side by side, their crops in one call of the model.

    Args:
        detect: finds faces.
        predict: see :data:`toolkit.live.inference.Predict`.
        crop_margin: border around a face box.
    """

    def __init__(self, detect: FaceDetector, predict: Predict, crop_margin: float) -> None:
        self._detect, self._predict, self._crop_margin = detect, predict, crop_margin
        self._pool = ThreadPoolExecutor(usable_cores(), thread_name_prefix="analyse")

    def __call__(self, frames: Sequence[Frame]) -> Sequence[Any]:
        """Answer them."""
        each = map(self._crops, frames) if len(frames) == 1 else self._pool.map(self._crops, frames)
        crops = [crop for of_frame in each for crop in of_frame]
        return self._predict(crops) if crops else []

    def close(self) -> None:
        """End its threads."""
        self._pool.shutdown()

    def _crops(self, frame: Frame) -> list[np.ndarray]:
        [found] = self._detect([frame.image])
        faces = [detection for detection in found if detection.part == "face"]
        boxes_xyxy = np.array([face.box_xyxy for face in faces], np.float32).reshape(-1, 4)
        return [crop.image for crop in cut_faces(frame, boxes_xyxy, self._crop_margin)]
