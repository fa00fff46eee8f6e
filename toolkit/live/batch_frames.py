"""Batches of frames with what is known about each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from toolkit.errors import ShapeError
from toolkit.live.batch import BatchProcessor
from toolkit.live.batch_books import one_each


class FrameBatchProcessor(BatchProcessor):
    """One call for many pictures; see :class:`BatchProcessor`.

    Args:
        batch_size: most frames in a batch.
        timeout: longest wait of a frame for others, in seconds.
        process_fn: takes ``frames`` (N, H, W, 3) uint8 and ``metadata``, a list of N; returns N results.
            Frames of different sizes in one batch are stacked, and passed on, size by size. Without one, the
            result of a frame is ``{"frame": frame, "metadata": metadata}``: a full batch comes back as it is.
    """

    def __init__(
        self,
        batch_size: int = 10,
        timeout: float = 1.0,
        process_fn: Callable[[np.ndarray, list[Any]], Sequence[Any]] | None = None,
    ) -> None:
        self._process_frames = process_fn
        super().__init__(batch_size, timeout, self._process_pairs if process_fn else _as_they_are)

    def add_frame(self, frame: np.ndarray, metadata: Any = None) -> list[Any] | None:
        """Add one frame, (H, W, 3) uint8; returns as :meth:`add_item` does.

        Raises:
            ShapeError: ``frame`` is not a picture.
        """
        if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.dtype != np.uint8:
            raise ShapeError(f"frame must be (H, W, 3) uint8, got {_describe(frame)}")
        return self.add_item((frame, metadata))

    def _process_pairs(self, pairs: list[tuple[np.ndarray, Any]]) -> list[Any]:
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for number, (frame, _) in enumerate(pairs):
            by_shape.setdefault(frame.shape, []).append(number)
        results: list[Any] = [None] * len(pairs)
        for numbers in by_shape.values():
            frames = np.stack([pairs[n][0] for n in numbers])
            answers = self._process_frames(frames, [pairs[n][1] for n in numbers])  # type: ignore[misc]
            for n, answer in zip(numbers, one_each(len(numbers), answers), strict=True):
                results[n] = answer
        return results


def _as_they_are(pairs: list[tuple[np.ndarray, Any]]) -> list[dict[str, Any]]:
    return [{"frame": frame, "metadata": metadata} for frame, metadata in pairs]


def _describe(value: Any) -> str:
    return f"{value.shape} {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
