"""The parts alone: nothing but decoding and drawing, nothing but the model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import av
import numpy as np

from toolkit.bench.streets.contender import ThreadedStreet
from toolkit.bench.streets.ours import BATCH_SIZE, auto_runtime, torch_runtime
from toolkit.cores import one_core, usable_cores
from toolkit.live.pixels import Converter, YuvPixels
from toolkit.models.runtime import Runtime


def _whole(frame: av.VideoFrame) -> np.ndarray:
    return frame.to_ndarray(format="bgr24")


class DecodeOnly(ThreadedStreet):
    """A thread for each video, decoded by one thread of FFmpeg's; every frame drawn to the model's size."""

    def loops(self) -> list[Callable[[], None]]:
        return [partial(self._decode, video, number) for number, video in enumerate(self.task.videos)]

    def _decode(self, video: str, number: int) -> None:
        size_wh, shrink = (self.task.size_px, self.task.size_px), Converter()
        while not self.is_over.is_set():
            with av.open(video) as container:
                stream = container.streams.video[0]
                stream.codec_context.thread_count = 1
                for frame in container.decode(stream):
                    YuvPixels(frame, _whole, shrink).shrunk(size_wh)
                    self.counts[number] += 1
                    if self.is_over.is_set():
                        break


class ModelOnly(ThreadedStreet):
    """The runtime that ours has, full batches of frames that lie ready, as many calls at a time as cores."""

    make_runtime = staticmethod(auto_runtime)

    def loops(self) -> list[Callable[[], None]]:
        runtime = self.make_runtime(self.task.model, self.task.size_px)
        self.runtime = str(runtime)
        calls = usable_cores()
        self.counts = [0] * calls
        return [partial(self._answer, runtime, number) for number in range(calls)]

    def _answer(self, runtime: Runtime, number: int) -> None:
        side_px = self.task.size_px
        batch = np.random.default_rng(number).integers(0, 256, (BATCH_SIZE, side_px, side_px, 3), np.uint8)
        # Each on a core of its own, as the street calls it: one that took both would leave the other waiting.
        with one_core():
            while not self.is_over.is_set():
                runtime(batch)
                self.counts[number] += BATCH_SIZE


class ModelOnlyTorch(ModelOnly):
    """The same with torch."""

    make_runtime = staticmethod(torch_runtime)
