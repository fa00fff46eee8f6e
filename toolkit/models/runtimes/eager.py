"""Torch, operation by operation: the reference all others are held against."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch

from toolkit.memory import keep_freed_memory
from toolkit.models.network import PictureNetwork
from toolkit.models.runtimes.base import Outputs, Runtime, Size, as_arrays, side_by_side
from toolkit.models.runtimes.folded import fold


class EagerRuntime(Runtime):
    """Torch's own kernels, channels-last, in single precision.

    On a CPU the parts of a batch run side by side, one thread each; torch's own number of threads is as it
    was when a call is over.
    """

    name = "torch"

    def __init__(self, network: PictureNetwork, size_px: Size, threads: int, device: str = "cpu") -> None:
        super().__init__(size_px, threads, device)
        if device == "cpu":
            keep_freed_memory()
        # Channels-last convolutions are 2.5 times quicker on CPUs at batch 32.
        self._network: Any = fold(network, size_px).to(device).to(memory_format=torch.channels_last)

    def _run(self, images_nhwc: np.ndarray) -> Outputs:
        if self.device != "cpu":
            return self._answer(images_nhwc)
        with _one_thread_each:
            return side_by_side(self._part, images_nhwc, self._cores)

    def _part(self, images_nhwc: np.ndarray) -> Outputs:
        # Torch keeps the number for each thread as well.
        torch.set_num_threads(1)
        return self._answer(images_nhwc)

    @torch.inference_mode()
    def _answer(self, images_nhwc: np.ndarray) -> Outputs:
        return as_arrays(self._network(torch.from_numpy(images_nhwc).to(self.device)))


class HalfRuntime(EagerRuntime):
    """The same in bfloat16 where torch thinks that safe: for GPUs, and CPUs with units for it."""

    name = "torch-bf16"

    def _answer(self, images_nhwc: np.ndarray) -> Outputs:
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16):
            return super()._answer(images_nhwc)


class _OneThreadEach:
    """While somebody is inside, torch has one thread; whoever leaves gives it its own number back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = 1

    def __enter__(self) -> None:
        with self._lock:
            # Of the first one alone: a thread that comes while others are inside would read their 1.
            if not self._inside:
                self._before = torch.get_num_threads()
            self._inside += 1

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._inside -= 1
            torch.set_num_threads(self._before)


_one_thread_each = _OneThreadEach()
