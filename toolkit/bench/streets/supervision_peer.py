"""supervision: a generator of frames for each video, joined by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import supervision

from toolkit.bench.streets.contender import ThreadedStreet
from toolkit.bench.streets.model import by_hand


class Generators(ThreadedStreet):
    """``get_video_frames_generator`` of each video, one call of the model for a frame of each."""

    def loops(self) -> list[Callable[[], None]]:
        self._predict = by_hand(self.task.model, self.task.size_px)
        return [self._run]

    def _run(self) -> None:
        for frames in zip(*map(self._frames, self.task.videos), strict=False):
            self._predict(frames)
            self.counts[0] += len(frames)

    def _frames(self, video: str) -> Iterator[np.ndarray]:
        while not self.is_over.is_set():
            for frame in supervision.get_video_frames_generator(video):
                if self.is_over.is_set():
                    return
                yield frame
