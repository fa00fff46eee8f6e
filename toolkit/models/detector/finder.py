"""Pictures in, faces out: our detector as a live run sees it, in any of the runtimes."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from toolkit.errors import ConfigError, ShapeError
from toolkit.models.checkpoint import SHIPPED
from toolkit.models.detector.boxes import read_answers
from toolkit.models.detector.checkpoint import DetectorCheckpoint, weights_path
from toolkit.models.detector.int8 import RUNTIME, DetectorInt8Runtime, can_run, int8_beside
from toolkit.models.predictor import pick_device
from toolkit.models.runtime import Runtime, open_runtime
from toolkit.models.runtimes.base import usable_threads
from toolkit.models.runtimes.by_size import RuntimesBySize
from toolkit.records import Detection

_logger = logging.getLogger(__name__)

SMALLEST_SIDE_PX = 32


class FaceFinder:
    """Finds faces with a network of ours; any thread may call it.

    A network is opened for each size of picture that comes, which takes a second the first time; pictures of
    one size go through it together.

    Args:
        checkpoint: network and card.
        longest_side_px: larger pictures are shrunk to this before the search: it sets both the cost and the
            smallest face that is found, about 10 px after shrinking. None looks at the whole.
        score_threshold: least score of a face, 0..1: about the probability that it is one.
        nms_threshold: of two boxes that overlap by more than this (IoU), the better stays.
        batch_size: pictures that go through the network at once.
        threads: on the CPU; None takes as many as this process may use cores.
        runtime: what runs the network, see :func:`toolkit.models.runtime.open_runtime`; ``"openvino-int8"``
            runs it in eight bits, and ``"auto"`` takes that on a CPU where it is there.
        device: ``"auto"`` takes a GPU where there is one.
        face_odds: odds of a face where the pictures come from, by those in the made pictures it learned from;
            scores move with them (Saerens et al., Neural Computation 2002).
        int8: the network in eight bits, see :mod:`toolkit.models.detector.int8`; :meth:`load` finds it.

    Attributes:
        name: for tables and records.
        card: what is known of the weights.

    Raises:
        ConfigError: a threshold is not between 0 and 1, odds are not above 0, or there is no such device.
    """

    name = "ours"

    def __init__(
        self,
        checkpoint: DetectorCheckpoint,
        longest_side_px: int | None = 640,
        score_threshold: float = 0.5,
        nms_threshold: float = 0.4,
        batch_size: int = 16,
        threads: int | None = None,
        runtime: str = "auto",
        device: str = "auto",
        face_odds: float = 1.0,
        int8: Path | None = None,
    ) -> None:
        for name, value in (("score_threshold", score_threshold), ("nms_threshold", nms_threshold)):
            if not 0 < value < 1:
                raise ConfigError(f"{name} must lie between 0 and 1, got {value}")
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
        if face_odds <= 0:
            raise ConfigError(f"face_odds must be above 0, got {face_odds}")
        slope, offset = checkpoint.card.probability_line
        self._line = slope, offset + math.log(face_odds)
        self.card = checkpoint.card
        self.longest_side_px = longest_side_px
        self._network = checkpoint.network
        self._thresholds = score_threshold, nms_threshold
        self._batch_size = batch_size
        self._threads = threads
        self._runtime = runtime
        self._device = str(pick_device(device))
        self._int8 = self._eight_bits(int8)
        self._runtimes = RuntimesBySize(self._opened)

    @classmethod
    def load(cls, path: str | Path = SHIPPED, **settings: object) -> FaceFinder:
        """The detector that comes along, or one from a file; settings as above.

        Raises:
            ModelError: the weights are missing, damaged, or not a detector's.
        """
        checkpoint = DetectorCheckpoint.load(path)
        int8 = int8_beside(weights_path(path), checkpoint.card)
        return cls(checkpoint, int8=int8, **settings)  # type: ignore[arg-type]

    def __call__(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        """The faces of every image, best first.

        Args:
            images: (H, W, 3), uint8, BGR, of any sizes; boxes are in pixels of the picture as given.

        Raises:
            ShapeError: an image is no such picture.
        """
        found: list[list[Detection]] = [[] for _ in images]
        looked_at = [_shrunk(image, self.longest_side_px) for image in images]
        by_size: dict[tuple[int, int], list[int]] = {}
        for number, (image, _) in enumerate(looked_at):
            by_size.setdefault(image.shape[:2], []).append(number)
        for size_hw, numbers in by_size.items():
            for start in range(0, len(numbers), self._batch_size):
                part = numbers[start : start + self._batch_size]
                faces = self._search(np.stack([looked_at[number][0] for number in part]), size_hw)
                for number, (boxes, scores) in zip(part, faces, strict=True):
                    found[number] = _as_detections(boxes, scores, looked_at[number][1])
        return found

    def runtime_for(self, size_hw: tuple[int, int]) -> Runtime:
        """What runs the network for pictures of that height and width."""
        return self._runtimes(size_hw)

    def _eight_bits(self, int8: Path | None) -> Path | None:
        """The eight bits, if it is they that run."""
        if self._runtime == RUNTIME and (int8 is None or self._device != "cpu"):
            raise ConfigError(
                f"runtime {self._runtime!r} runs on the CPU with a file made beside the weights "
                "(experiments/quantize_detector.py); use 'auto'"
            )
        is_meant = self._runtime == RUNTIME or (
            self._runtime == "auto" and self._device == "cpu" and can_run()
        )
        return int8 if is_meant else None

    def _opened(self, size_hw: tuple[int, int], name: str | None) -> Runtime:
        if self._int8 is not None:
            return DetectorInt8Runtime(self._int8, size_hw, usable_threads(self._threads))
        return open_runtime(self._network, size_hw, name or self._runtime, self._threads, self._device)

    def _search(
        self, images_nhwc: np.ndarray, size_hw: tuple[int, int]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        score_logits, told = self.runtime_for(size_hw)(images_nhwc)
        return read_answers(score_logits, told, size_hw, *self._thresholds, self._line)


def _shrunk(image: np.ndarray, longest_side_px: int | None) -> tuple[np.ndarray, tuple[float, float]]:
    """The picture as it is searched, and pixels of the original per pixel of it, across and down."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ShapeError(f"an image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")
    height, width = image.shape[:2]
    scale = 1.0 if longest_side_px is None else min(1.0, longest_side_px / max(height, width))
    # A sliver still gets one place of the coarsest grid.
    wanted = max(SMALLEST_SIDE_PX, round(width * scale)), max(SMALLEST_SIDE_PX, round(height * scale))
    if wanted == (width, height):
        return image, (1.0, 1.0)
    return cv2.resize(image, wanted, interpolation=cv2.INTER_LINEAR), (width / wanted[0], height / wanted[1])


def _as_detections(boxes: np.ndarray, scores: np.ndarray, factors: tuple[float, float]) -> list[Detection]:
    across, down = factors
    whole = boxes * np.array([across, down, across, down], np.float32)
    return [
        Detection((left, top, right, bottom), score)
        for (left, top, right, bottom), score in zip(whole.tolist(), scores.tolist(), strict=True)
        if right > left and bottom > top
    ]
