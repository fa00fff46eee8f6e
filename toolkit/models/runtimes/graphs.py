"""CUDA graphs: on a GPU, a small network waits for Python more than it computes, unless it is recorded."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import torch

from toolkit.errors import ConfigError
from toolkit.models.network import PictureNetwork
from toolkit.models.runtimes.base import Outputs, Size, as_arrays, height_width
from toolkit.models.runtimes.eager import HalfRuntime

LARGEST_BATCH = 64
"""Bigger ones are cut: by then the GPU is busy, and every recorded size holds memory of its own."""

# One recording at a time in a process, whichever model it is of.
_recording = threading.Lock()

_WARM_UP_RUNS = 3  # libraries choose their kernels in the first ones, which must not be recorded


@dataclass(frozen=True)
class _Recorded:
    """One size of batch: where its pictures go, and where its answer appears."""

    graph: torch.cuda.CUDAGraph
    images: torch.Tensor
    answer: torch.Tensor | tuple[torch.Tensor, ...]


class GraphRuntime(HalfRuntime):
    """bfloat16 on a GPU, recorded once per size of batch: 1, 2, 4, ... 64; others are filled up.

    Raises:
        ConfigError: ``device`` is no GPU.
    """

    name = "torch-graphs"

    def __init__(self, network: PictureNetwork, size_px: Size, threads: int, device: str = "cuda") -> None:
        if not device.startswith("cuda"):
            raise ConfigError(f"runtime {self.name!r} needs a GPU, got device {device!r}; use 'torch'")
        super().__init__(network, size_px, threads, device)
        self._recorded: dict[int, _Recorded] = {}
        # The pictures of a graph lie at one place: two callers would write over each other's.
        self._turn = threading.Lock()

    def _answer(self, images_nhwc: np.ndarray) -> Outputs:
        parts = [
            self._replay(images_nhwc[i : i + LARGEST_BATCH])
            for i in range(0, len(images_nhwc), LARGEST_BATCH)
        ]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    @torch.inference_mode()
    def _replay(self, images_nhwc: np.ndarray) -> Outputs:
        count = len(images_nhwc)
        size = 1 << (count - 1).bit_length()
        with self._turn, torch.cuda.device(self.device):
            if size not in self._recorded:
                with _recording:
                    self._recorded[size] = self._record(size)
            recorded = self._recorded[size]
            recorded.images[:count].copy_(torch.from_numpy(images_nhwc))
            recorded.graph.replay()
            return tuple(array[:count] for array in as_arrays(recorded.answer))

    def _record(self, size: int) -> _Recorded:
        images = torch.zeros((size, *height_width(self.size_px), 3), dtype=torch.uint8, device=self.device)
        # A cache of cast weights must not outlive the recording that filled it.
        with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UP_RUNS):
                    self._network(images)
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # By default, what another thread does on the GPU meanwhile ends the recording: a detector is one.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                answer = self._network(images)
        return _Recorded(graph, images, answer)
