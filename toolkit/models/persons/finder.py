"""Pictures in, bodies out: YOLOX as a live run sees it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from toolkit.errors import ConfigError, ShapeError
from toolkit.models.catalogue import find_model
from toolkit.models.detector.boxes import keep_best
from toolkit.models.persons.runtimes import STRIDES_PX, open_yolox
from toolkit.models.runtimes.base import Runtime
from toolkit.models.runtimes.by_size import MOST_SIZES, RuntimesBySize
from toolkit.records import Detection

LONGEST_SIDE_PX = 416
"""What the network was trained for."""

_GREY = 114
"""Fills up what a picture lacks to a multiple of 32, as in its training."""

_OBJECT, _PERSON = 4, 5
"""Places of two probabilities in an answer: that something is there, and that it then is a person."""


class PersonFinder:
    """Finds people as whole figures, from all sides; any thread may call it.

    A picture is shrunk, or grown, to ``longest_side_px`` and filled up at the right and below. A network is
    opened for each size that this gives.

    Args:
        model: YOLOX's ONNX file.
        longest_side_px: of the pictures that are searched, a multiple of 32: it sets both the cost and the
            smallest figure that is found.
        score_threshold: least score of a body, 0..1.
        nms_threshold: of two boxes that overlap by more than this (IoU), the better stays.
        threads: None takes as many as this process may use cores.
        runtime: one of :data:`toolkit.models.persons.runtimes.RUNTIMES`.

    Attributes:
        name: for tables and records.

    Raises:
        ConfigError: a threshold is not between 0 and 1, or the side no multiple of 32.

    Source: Ge, Liu, Wang, Li, Sun: YOLOX: Exceeding YOLO Series in 2021, arXiv 2107.08430; its decoding as in
    section 2.1 there.
    """

    name = "yolox"

    def __init__(
        self,
        model: Path,
        longest_side_px: int = LONGEST_SIDE_PX,
        score_threshold: float = 0.3,
        nms_threshold: float = 0.45,
        threads: int | None = None,
        runtime: str = "auto",
    ) -> None:
        for name, value in (("score_threshold", score_threshold), ("nms_threshold", nms_threshold)):
            if not 0 < value < 1:
                raise ConfigError(f"{name} must lie between 0 and 1, got {value}")
        if longest_side_px < STRIDES_PX[-1] or longest_side_px % STRIDES_PX[-1]:
            raise ConfigError(
                f"longest_side_px must be a multiple of {STRIDES_PX[-1]}, got {longest_side_px}"
            )
        self.longest_side_px = longest_side_px
        self._model = model
        self._thresholds = score_threshold, nms_threshold
        self._threads = threads
        self._runtime = runtime
        self._runtimes = RuntimesBySize(self._opened)

    @classmethod
    def load(cls, **settings: object) -> PersonFinder:
        """The one of the catalogue; settings as above.

        Raises:
            ModelError: its file cannot be had.
        """
        return cls(find_model("yolox"), **settings)  # type: ignore[arg-type]

    def __call__(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        """The bodies of every image, best first.

        Args:
            images: (H, W, 3), uint8, BGR, of any sizes; boxes are in pixels of the picture as given.

        Raises:
            ShapeError: an image is no such picture.
        """
        return [self._search(image) for image in images]

    def runtime_for(self, size_hw: tuple[int, int]) -> Runtime:
        """What runs the network for searched pictures of that height and width."""
        return self._runtimes(size_hw)

    def _opened(self, size_hw: tuple[int, int], name: str | None) -> Runtime:
        return open_yolox(self._model, size_hw, name or self._runtime, self._threads)

    def _search(self, image: np.ndarray) -> list[Detection]:
        filled, scale = letterboxed(image, self.longest_side_px)
        size_hw = filled.shape[0], filled.shape[1]
        [answers] = self.runtime_for(size_hw)(filled[None])
        boxes, scores = read_answers(answers[0], size_hw, *self._thresholds)
        height, width = image.shape[:2]
        whole = np.clip(boxes / scale, 0, (width, height, width, height))
        return [
            Detection((left, top, right, bottom), score, "body")
            for (left, top, right, bottom), score in zip(whole.tolist(), scores.tolist(), strict=True)
            if right > left and bottom > top
        ]


def letterboxed(image: np.ndarray, longest_side_px: int) -> tuple[np.ndarray, float]:
    """The picture in the size that is searched, and the scale that was applied.

    Returns:
        (H, W, 3), uint8, BGR, both sides multiples of 32: the picture at the left and the top.

    Raises:
        ShapeError: it is no picture.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ShapeError(f"an image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")
    height, width = image.shape[:2]
    scale = longest_side_px / max(height, width)
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    step = STRIDES_PX[-1]
    filled = np.full((-(-down // step) * step, -(-across // step) * step, 3), _GREY, np.uint8)
    cv2.resize(image, (across, down), dst=filled[:down, :across], interpolation=cv2.INTER_LINEAR)
    return filled, scale


def read_answers(
    answers: np.ndarray, size_hw: tuple[int, int], score_threshold: float, nms_threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and scores of the people in one picture, best first.

    Args:
        answers: (P, 85): offset of the middle from its place in the grid and logarithm of the sides, in
            strides; probability that something is there; probabilities of 80 classes, "person" first.
        size_hw: of the searched picture.
        score_threshold: least product of the two probabilities.
        nms_threshold: of two boxes that overlap by more than this (IoU), the better stays.

    Returns:
        (K, 4) float32, pixels of the searched picture, and (K,) float32.
    """
    scores = answers[:, _OBJECT] * answers[:, _PERSON]
    chosen = np.flatnonzero(scores >= score_threshold)
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
    corners, strides = _places(size_hw)
    told, step = answers[chosen, :4], strides[chosen, None]
    middle = (corners[chosen] + told[:, :2]) * step
    half = np.exp(told[:, 2:]) * step / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    kept = keep_best(boxes, nms_threshold)
    return boxes[kept], scores[chosen[kept]]


@lru_cache(MOST_SIZES)
def _places(size_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Of each answer: its place in its grid (P, 2), x and y, and the grid's stride (P,)."""
    places, strides = [], []
    for stride in STRIDES_PX:
        rows, columns = size_hw[0] // stride, size_hw[1] // stride
        y, x = np.divmod(np.arange(rows * columns), columns)
        places.append(np.stack([x, y], axis=1))
        strides.append(np.full(len(x), stride))
    return np.concatenate(places).astype(np.float32), np.concatenate(strides).astype(np.float32)
