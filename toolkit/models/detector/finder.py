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
from toolkit.models.detector.boxes import keep_best, read_answers
from toolkit.models.detector.checkpoint import DetectorCheckpoint, weights_path
from toolkit.models.detector.int8 import RUNTIME, DetectorInt8Runtime, can_run, int8_beside
from toolkit.models.detector.second_look import FROM_LOGIT, SIDE_PX, draw_close, tell_again
from toolkit.models.predictor import pick_device
from toolkit.models.runtime import Runtime, open_runtime
from toolkit.models.runtimes.base import Outputs, usable_threads
from toolkit.models.runtimes.by_size import RuntimesBySize
from toolkit.records import Detection, Pixels

_logger = logging.getLogger(__name__)

SMALLEST_SIDE_PX = 32

_SQUARES_A_PICTURE = 16

_Candidates = tuple[np.ndarray, np.ndarray]
"""(K, 4) float32, boxes in pixels of what is looked at; (K,), logits of their probability."""


class FaceFinder:
    """Finds faces with a network of ours; any thread may call it.

    A network is opened for each size of picture that comes, which takes a second the first time; pictures of
    one size go through it together, and so do all candidates of all pictures when they are looked at again.

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
        looks_twice: what may be a face is drawn, from the picture before shrinking, in the size at which the
            network tells faces best, and it is asked again; the score is the mean of both, in logits, and the
            box the second one. It finds more with fewer false alarms, and takes longer where there are more
            candidates: ``experiments/compare_detectors.py`` prints what is found, with ``--rates`` how fast,
            with ``--once`` both of one look.

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
        looks_twice: bool = True,
    ) -> None:
        for name, value in (("score_threshold", score_threshold), ("nms_threshold", nms_threshold)):
            if not 0 < value < 1:
                raise ConfigError(f"{name} must lie between 0 and 1, got {value}")
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
        if face_odds <= 0:
            raise ConfigError(f"face_odds must be above 0, got {face_odds}")
        self._slope, self._offset = checkpoint.card.probability_line
        self._log_odds = math.log(face_odds)
        self.card = checkpoint.card
        self.longest_side_px = longest_side_px
        self._network = checkpoint.network.folded()
        self._least_logit = math.log(score_threshold / (1 - score_threshold)) - self._log_odds
        self._nms_threshold = nms_threshold
        self._looks_twice = looks_twice
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
        return self.look_closer(images)

    def look_closer(
        self, images: Sequence[np.ndarray], pictures: Sequence[Pixels] | None = None
    ) -> list[list[Detection]]:
        """The same, of images that were shrunk already.

        Args:
            images: as above; boxes are in pixels of these.
            pictures: the same as they were filmed, of which small candidates are cut for the second look.

        Raises:
            ShapeError: as above.
        """
        looked_at = [_shrunk(image, self.longest_side_px) for image in images]
        found = self._first_look(looked_at)
        if self._looks_twice:
            found = self._second_look(looked_at, images if pictures is None else pictures, found)
        return [
            self._as_detections(_in_pixels_of(image, small, boxes), logits)
            for image, small, (boxes, logits) in zip(images, looked_at, found, strict=True)
        ]

    def runtime_for(self, size_hw: tuple[int, int]) -> Runtime:
        """What runs the network for pictures of that height and width."""
        return self._runtimes(size_hw)

    def prepare(self, size_hw: tuple[int, int]) -> None:
        """Open the network for both looks at pictures of that height and width, after shrinking."""
        for size in (size_hw, (SIDE_PX, SIDE_PX)) if self._looks_twice else (size_hw,):
            self.runtime_for(size)

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

    def _first_look(self, images: Sequence[np.ndarray]) -> list[_Candidates]:
        """What may be a face of each picture, best first."""
        found = [(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))] * len(images)
        least = min(self._least_logit, FROM_LOGIT) if self._looks_twice else self._least_logit
        by_size: dict[tuple[int, int], list[int]] = {}
        for number, image in enumerate(images):
            by_size.setdefault(image.shape[:2], []).append(number)
        for size_hw, numbers in by_size.items():
            for start in range(0, len(numbers), self._batch_size):
                part = numbers[start : start + self._batch_size]
                logits, told = self.runtime_for(size_hw)(np.stack([images[number] for number in part]))
                faces = read_answers(self._calibrated(logits), told, size_hw, least, self._nms_threshold)
                for number, (boxes, of_boxes) in zip(part, faces, strict=True):
                    found[number] = boxes, of_boxes
        return found

    def _second_look(
        self,
        images: Sequence[np.ndarray],
        pictures: Sequence[np.ndarray] | Sequence[Pixels],
        found: Sequence[_Candidates],
    ) -> list[_Candidates]:
        """The same, of those that were worth it with what both looks say."""
        counts = [int((logits >= FROM_LOGIT).sum()) for _, logits in found]
        if not any(counts):
            return list(found)
        worth_it = [boxes[:count] for (boxes, _), count in zip(found, counts, strict=True)]
        close = draw_close(images, pictures, worth_it)
        logits, told = self._asked_again(close.drawn)
        again, boxes_again = tell_again(self._calibrated(logits), told, close)
        ends = np.cumsum(counts)[:-1]
        told_again = zip(found, np.split(boxes_again, ends), np.split(again, ends), strict=True)
        return [self._joined(*of_picture) for of_picture in told_again]

    def _asked_again(self, drawn: np.ndarray) -> Outputs:
        """The network's answers, in batches of as many pixels as those of the first look, about."""
        run, size = self.runtime_for((SIDE_PX, SIDE_PX)), self._batch_size * _SQUARES_A_PICTURE
        answers = [run(drawn[start : start + size]) for start in range(0, len(drawn), size)]
        return tuple(np.concatenate(column) for column in zip(*answers, strict=True))

    def _joined(self, first: _Candidates, boxes_again: np.ndarray, again: np.ndarray) -> _Candidates:
        boxes, logits = first
        both = np.concatenate([(logits[: len(again)] + again) / 2, logits[len(again) :]])
        order = np.argsort(-both, kind="stable")
        boxes = np.concatenate([boxes_again, boxes[len(again) :]])[order]
        # Two that were beside each other may have become one.
        kept = keep_best(boxes, self._nms_threshold)
        return boxes[kept], both[order[kept]]

    def _calibrated(self, logits: np.ndarray) -> np.ndarray:
        calibrated: np.ndarray = self._slope * logits + self._offset
        return calibrated

    def _as_detections(self, boxes_xyxy: np.ndarray, logits: np.ndarray) -> list[Detection]:
        are_sure = logits >= self._least_logit
        scores = 1.0 / (1.0 + np.exp(-logits[are_sure] - self._log_odds))
        return [
            Detection((left, top, right, bottom), score)
            for (left, top, right, bottom), score in zip(
                boxes_xyxy[are_sure].tolist(), scores.tolist(), strict=True
            )
            if right > left and bottom > top
        ]


def _shrunk(image: np.ndarray, longest_side_px: int | None) -> np.ndarray:
    """The picture as it is searched."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ShapeError(
            f"an image must be (H, W, 3) uint8 with some pixels, got {image.shape} {image.dtype}"
        )
    height, width = image.shape[:2]
    scale = 1.0 if longest_side_px is None else min(1.0, longest_side_px / max(height, width))
    # A sliver still gets one place of the coarsest grid.
    wanted = max(SMALLEST_SIDE_PX, round(width * scale)), max(SMALLEST_SIDE_PX, round(height * scale))
    return image if wanted == (width, height) else cv2.resize(image, wanted, interpolation=cv2.INTER_LINEAR)


def _in_pixels_of(image: np.ndarray, small: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """Boxes in a shrunk picture as boxes in the picture, clipped to it."""
    ends = np.array(image.shape[1::-1] * 2, np.float32)
    return np.clip(boxes_xyxy * (ends / np.array(small.shape[1::-1] * 2, np.float32)), 0, ends)
