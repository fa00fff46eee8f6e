"""Our street: whole frames through the pipeline, with the runtime it finds quickest, or with torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from toolkit.bench.streets.contender import Street, Task
from toolkit.bench.streets.model import SEED
from toolkit.live.camera import CameraConfig
from toolkit.live.detect import WholeFrame
from toolkit.live.pipeline import LivePipeline
from toolkit.models.network import Classifier
from toolkit.models.preprocess import make_batch
from toolkit.models.runtime import Runtime, open_runtime
from toolkit.models.runtimes.base import height_width
from toolkit.records import FrameResult

BATCH_SIZE = 32


def auto_runtime(name: str, size_px: int) -> Runtime:
    """What ``auto`` chooses on this machine."""
    torch.manual_seed(SEED)
    return warm(open_runtime(Classifier(name), size_px))


def torch_runtime(name: str, size_px: int) -> Runtime:
    """Torch, operation by operation."""
    torch.manual_seed(SEED)
    return warm(open_runtime(Classifier(name), size_px, "torch"))


def warm(runtime: Runtime) -> Runtime:
    """The same, after a call for each of the sizes it may meet."""
    for size in (BATCH_SIZE, 3, 1):
        runtime(np.zeros((size, *height_width(runtime.size_px), 3), np.uint8))
    return runtime


class WholeFrameModel:
    """A classifier of whole frames, as the street calls it.

    Attributes:
        runtime: what runs it.
    """

    def __init__(self, runtime: Runtime, size_px: int) -> None:
        self.runtime = runtime
        self._size_px = size_px

    def __call__(self, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The logits of each frame (H, W, 3), uint8, BGR."""
        return list(self.runtime(make_batch(frames, self._size_px))[0])


class Auto(Street):
    """The runtime is ours to choose."""

    make_runtime = staticmethod(auto_runtime)

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        runtime = self.make_runtime(task.model, task.size_px)
        self.runtime = str(runtime)
        self._street = LivePipeline(
            {f"camera-{number}": video for number, video in enumerate(task.videos)},
            WholeFrame(task.size_px),
            WholeFrameModel(runtime, task.size_px),
            camera_config=CameraConfig(realtime=task.realtime, loop=True),
            listeners=[self._count],
        )

    @property
    def dropped(self) -> int:
        return sum(c["skipped"] + c["failed"] for c in self._street.statistics()["cameras"].values())

    def start(self) -> None:
        self._street.start()

    def stop(self) -> None:
        self._street.stop()

    def _count(self, result: FrameResult) -> None:
        self.counts[0] += 1
        self.latencies_s.append(result.latency_s)


class Torch(Auto):
    """Torch, as the peers use it."""

    make_runtime = staticmethod(torch_runtime)
