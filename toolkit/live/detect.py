"""Find faces in pictures: YuNet, or OpenCV's Haar cascade where its file is not to be had."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from toolkit.errors import ConfigError, ModelError, ShapeError
from toolkit.records import Detection, Pixels

_CASCADE = str(Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml")


class FaceDetector(Protocol):
    """Pictures in, faces out: ``detector(images)`` gives one list of detections per image, in order.

    ``images`` are (H, W, 3), uint8, BGR, of any sizes; boxes are in pixels of the picture as given. Several
    threads may use a detector at once.

    Attributes:
        name: for tables and records.
        longest_side_px: it looks at no more than that, so nobody needs to make a larger picture for it; None
            for the whole.
    """

    name: str

    @property
    def longest_side_px(self) -> int | None:
        """The longest side it looks at."""

    def __call__(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Find the faces of every image."""
        ...


@runtime_checkable
class CloserDetector(Protocol):
    """A detector that looks at parts of a picture again, as they were filmed."""

    def look_closer(
        self, images: Sequence[np.ndarray], pictures: Sequence[Pixels] | None = None
    ) -> list[list[Detection]]:
        """As a call with ``images``, of pictures that may have more pixels than these."""
        ...


def find_in(
    detect: FaceDetector, images: Sequence[np.ndarray], pictures: Sequence[Pixels]
) -> list[list[Detection]]:
    """What a detector finds in images, with the pictures they were shrunk from if it wants them."""
    return detect.look_closer(images, pictures) if isinstance(detect, CloserDetector) else detect(images)


@dataclass(frozen=True)
class WholeFrame:
    """In a detector's place: no faces are looked for, every frame goes to the model as it is.

    Attributes:
        size_px: side of the square that the frame is drawn to, whatever its proportions.
    """

    size_px: int = 224

    @property
    def name(self) -> str:
        """For tables and records."""
        return "whole-frame"

    def __post_init__(self) -> None:
        if self.size_px < 1:
            raise ConfigError(f"size_px must be at least 1, got {self.size_px}")


class FacesAndBodies:
    """Two detectors as one: the faces of a picture, and the bodies.

    Args:
        faces: finds faces; says in which size a picture is made for both.
        bodies: finds bodies.
    """

    def __init__(self, faces: FaceDetector, bodies: FaceDetector) -> None:
        self.name = f"{faces.name}+{bodies.name}"
        self.longest_side_px = faces.longest_side_px
        self._detectors = faces, bodies

    def __call__(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Find the faces and the bodies of every image."""
        return self._joined([detect(images) for detect in self._detectors])

    def look_closer(
        self, images: Sequence[np.ndarray], pictures: Sequence[Pixels] | None = None
    ) -> list[list[Detection]]:
        """See :class:`CloserDetector`."""
        if pictures is None:
            return self(images)
        return self._joined([find_in(detect, images, pictures) for detect in self._detectors])

    def _joined(self, found: Sequence[list[list[Detection]]]) -> list[list[Detection]]:
        return [[*faces, *bodies] for faces, bodies in zip(*found, strict=True)]


class YuNetDetector:
    """YuNet through OpenCV's FaceDetectorYN.

    Args:
        model_path: the ONNX file.
        longest_side_px: larger pictures are shrunk to this before the search: it sets both the cost and the
            smallest face that is found, about 10 px after shrinking.
        score_threshold: least score of a face, 0..1.
        nms_threshold: of two boxes that overlap by more than this (IoU), the better stays.

    Raises:
        ModelError: OpenCV cannot read the file.

    Source: Wu, Peng, Yu: YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 2023.
    """

    name = "yunet"

    def __init__(
        self,
        model_path: str | Path,
        longest_side_px: int = 640,
        score_threshold: float = 0.6,
        nms_threshold: float = 0.3,
    ) -> None:
        self.longest_side_px = longest_side_px
        self._settings = (str(model_path), "", (320, 320), score_threshold, nms_threshold, 200)
        # A net holds what it works on: each thread needs its own, of a few hundred kilobytes.
        self._own = threading.local()
        try:
            self._own.net = cv2.FaceDetectorYN.create(*self._settings)
        except cv2.error as error:
            raise ModelError(f"{model_path} is not a YuNet file that OpenCV can read: {error.err}") from error

    def __call__(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Find the faces of every image."""
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> list[Detection]:
        small, scale = shrink(image, self.longest_side_px)
        height, width = small.shape[:2]
        if not hasattr(self._own, "net"):
            self._own.net = cv2.FaceDetectorYN.create(*self._settings)
        self._own.net.setInputSize((width, height))
        _, rows = self._own.net.detect(small)
        if rows is None:
            return []
        # A row: left, top, width, height, five points (x, y), score.
        boxes = np.array(rows[:, :4], dtype=np.float32)
        boxes[:, 2:] += boxes[:, :2]
        return _as_detections(boxes / scale, rows[:, 14], image.shape)


class HaarDetector:
    """The frontal-face Haar cascade that comes inside OpenCV 4: needs no file, misses turned and small faces.

    Its score, 0.6..1, orders detections by the last stage's weight; it is not a probability. What a cascade
    accepts is a face to it: none is weak enough to be refused a track (``TrackerConfig.start_score``).

    Args:
        longest_side_px: larger pictures are shrunk to this before the search.
        smallest_face_px: least side of a face after shrinking.

    Source: Viola, Jones: Rapid Object Detection using a Boosted Cascade of Simple Features, CVPR 2001.
    """

    name = "haar"

    def __init__(self, longest_side_px: int = 640, smallest_face_px: int = 32) -> None:
        self.longest_side_px = longest_side_px
        self._smallest_face_px = smallest_face_px
        # A cascade holds what it works on: each thread needs its own.
        self._own = threading.local()

    def __call__(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Find the faces of every image."""
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> list[Detection]:
        small, scale = shrink(image, self.longest_side_px)
        if not hasattr(self._own, "cascade"):
            self._own.cascade = cv2.CascadeClassifier(_CASCADE)
        boxes_xywh, _, weights = self._own.cascade.detectMultiScale3(
            cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)),
            # Three times as fast as OpenCV's own 1.1 and 5, and it still found the demo's portrait in 98 % of
            # the frames, and nothing else in any.
            scaleFactor=1.2,
            minNeighbors=3,
            minSize=(self._smallest_face_px, self._smallest_face_px),
            outputRejectLevels=True,
        )
        if len(boxes_xywh) == 0:
            return []
        boxes = np.asarray(boxes_xywh, dtype=np.float32)
        boxes[:, 2:] += boxes[:, :2]
        scores = 0.6 + 0.4 / (1.0 + np.exp(-np.asarray(weights, dtype=np.float64).reshape(-1) / 2))
        return _as_detections(boxes / scale, scores, image.shape)


def shrink(image: np.ndarray, longest_side_px: int) -> tuple[np.ndarray, float]:
    """The picture with its longest side at most ``longest_side_px``, and the scale that was applied."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ShapeError(f"an image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")
    scale = longest_side_px / max(image.shape[:2])
    if scale >= 1.0:
        return image, 1.0
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR), scale


def _as_detections(boxes_xyxy: np.ndarray, scores: np.ndarray, shape: tuple[int, ...]) -> list[Detection]:
    """Boxes clipped to the picture; those outside it are left out."""
    height, width = shape[:2]
    clipped = np.clip(boxes_xyxy, 0, (width, height, width, height))
    return [
        Detection((left, top, right, bottom), float(score))
        for (left, top, right, bottom), score in zip(clipped.tolist(), scores, strict=True)
        if right > left and bottom > top
    ]
