"""What every runtime is: a network that takes bytes and gives its raw outputs."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

import numpy as np

from toolkit.errors import ConfigError, ShapeError

Outputs = tuple[np.ndarray, ...]
"""One array (N, ...) float32 per output of the network, in its order."""


class Runtime(ABC):
    """A network made ready to run; any thread may call it.

    Attributes:
        name: what runs it, such as ``openvino``.
        size_px: side of the pictures it takes.
        threads: how many it may keep busy on the CPU.
        device: ``cpu`` or a torch device.
        reason: why this runtime, in words; for logs and records.
    """

    name: str

    def __init__(self, size_px: int, threads: int, device: str = "cpu") -> None:
        self.size_px = size_px
        self.threads = threads
        self.device = device
        self.reason = "asked for by name"

    def __call__(self, images_nhwc: np.ndarray) -> Outputs:
        """The network's raw outputs for a batch of any size from 1.

        Args:
            images_nhwc: (N, S, S, 3), uint8, BGR; S is ``size_px``.

        Raises:
            ShapeError: it is not such a batch.
        """
        expected = (self.size_px, self.size_px, 3)
        if images_nhwc.dtype != np.uint8 or images_nhwc.ndim != 4 or images_nhwc.shape[1:] != expected:
            raise ShapeError(
                f"a batch must be (N, {', '.join(map(str, expected))}) uint8, "
                f"got {images_nhwc.shape} {images_nhwc.dtype}; make_batch() makes one of pictures of any size"
            )
        if not len(images_nhwc):
            raise ShapeError("a batch must hold at least one picture, got none")
        return self._run(images_nhwc)

    @abstractmethod
    def _run(self, images_nhwc: np.ndarray) -> Outputs: ...

    def __str__(self) -> str:
        return f"{self.name}, {self.threads} thread{'s' * (self.threads != 1)}, {self.device}"


def usable_threads(threads: int | None = None) -> int:
    """So many threads as asked for, or as this process may use cores.

    Raises:
        ConfigError: fewer than one is asked for.
    """
    if threads is None:
        # The machine may have more cores than a container or taskset leaves to us.
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads < 1:
        raise ConfigError(f"threads must be at least 1, got {threads}")
    return threads
