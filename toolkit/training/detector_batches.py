"""Batches of made pictures: a thread goes on making new ones, each is shown a few times."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import NamedTuple, Self

import cv2
import numpy as np
import torch

from toolkit.training.detector_pictures import FacePicture, PictureMaker


class DetectorBatch(NamedTuple):
    """One training batch.

    Attributes:
        images_nhwc: (N, S, S, 3), uint8, BGR.
        boxes_xyxy: (N, M, 4), float32, pixels; M is the largest number of faces in one of the pictures.
        is_asked: (N, M), bool.
    """

    images_nhwc: torch.Tensor
    boxes_xyxy: torch.Tensor
    is_asked: torch.Tensor


SHOWN_EACH = 8
"""So often a picture is shown, on average."""

_FIRST_PICTURES = 200


class PictureMill:
    """Keeps a stock of made pictures, the oldest replaced by new ones; use it in a ``with``.

    Making one takes longer than learning from it, so each is shown eight times before another takes its
    place, mirrored or in other colours. Learning never waits once there are two batches.

    Args:
        maker: makes the pictures, in a thread of the mill.
        stock: so many are kept.
        seed: of what is drawn from the stock.
    """

    def __init__(self, maker: PictureMaker, stock: int, seed: int) -> None:
        self._maker = maker
        self._stock: list[FacePicture] = []
        self._size = stock
        self._rng = np.random.default_rng(seed)
        self._changed = threading.Condition()
        self._is_stopping = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="picture-mill", daemon=True)
        self.made = self._shown = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._thread.join()

    def batch(self, size: int) -> DetectorBatch:
        """So many pictures by chance; waits until there are twice as many.

        Raises:
            Exception: whatever the maker raised.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._error or len(self._stock) >= min(2 * size, self._size))
            if self._error:
                raise self._error
            chosen = [self._stock[i] for i in self._rng.integers(len(self._stock), size=size)]
            self._shown += size
            self._changed.notify_all()
        return as_batch([_varied(picture, self._rng) for picture in chosen])

    def _work(self) -> None:
        try:
            while True:
                picture = self._maker.make()
                with self._changed:
                    self._changed.wait_for(self._wants_more)
                    if self._is_stopping:
                        return
                    if len(self._stock) < self._size:
                        self._stock.append(picture)
                    else:
                        self._stock[self.made % self._size] = picture
                    self.made += 1
                    self._changed.notify_all()
        except Exception as error:  # noqa: BLE001 - the learner raises it
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _wants_more(self) -> bool:
        return self._is_stopping or self.made < max(_FIRST_PICTURES, self._shown / SHOWN_EACH)


def as_batch(pictures: list[FacePicture]) -> DetectorBatch:
    """Pictures of one size as tensors."""
    most = max(1, *(len(picture.is_asked) for picture in pictures))
    boxes, asked = np.zeros((len(pictures), most, 4), np.float32), np.zeros((len(pictures), most), bool)
    for row, picture in enumerate(pictures):
        boxes[row, : len(picture.is_asked)] = picture.boxes_xyxy
        asked[row, : len(picture.is_asked)] = picture.is_asked
    images = np.stack([picture.image for picture in pictures])
    return DetectorBatch(*(torch.from_numpy(array) for array in (images, boxes, asked)))


def _varied(picture: FacePicture, rng: np.random.Generator) -> FacePicture:
    image, boxes = picture.image, picture.boxes_xyxy
    if rng.random() < 0.5:
        image, boxes = image[:, ::-1], boxes.copy()
        boxes[:, [0, 2]] = image.shape[1] - boxes[:, [2, 0]]
    if rng.random() < 0.5:
        gain, shift = rng.uniform(0.75, 1.25) * rng.uniform(0.9, 1.1, 3), rng.uniform(-20, 20)
        table = np.clip(np.arange(256)[:, None] * gain + shift, 0, 255).astype(np.uint8)[None]
        image = cv2.LUT(np.ascontiguousarray(image), table)
    return FacePicture(image, boxes, picture.is_asked)
