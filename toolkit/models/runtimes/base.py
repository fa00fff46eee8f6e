"""What every runtime is: a network that takes bytes and gives its raw outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.cores import Cores, usable_cores
from toolkit.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    import torch

Size = int | tuple[int, int]
"""Of the pictures a network takes, in pixels: the side of a square, or height and width."""

Outputs = tuple[np.ndarray, ...]
"""One array (N, ...) float32 per output of the network, in its order."""


class Runtime(ABC):
    """A network made ready to run; any thread may call it.

    Attributes:
        name: what runs it, such as ``openvino``.
        size_px: of the pictures it takes.
        threads: how many it may keep busy on the CPU.
        device: ``cpu`` or a torch device.
        reason: why this runtime, in words; for logs and records.
    """

    name: str

    def __init__(self, size_px: Size, threads: int, device: str = "cpu") -> None:
        self.size_px = size_px
        self.threads = threads
        self.device = device
        self.reason = "asked for by name"
        self._cores = Cores(threads)

    def __call__(self, images_nhwc: np.ndarray) -> Outputs:
        """The network's raw outputs for a batch of any size from 1.

        Args:
            images_nhwc: (N, H, W, 3), uint8, BGR, of the size ``size_px``.

        Raises:
            ShapeError: it is not such a batch.
        """
        expected = (*height_width(self.size_px), 3)
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

    def described(self) -> dict[str, Any]:
        """``name``, ``threads``, ``device`` and ``reason``, for statistics and records."""
        return {"name": self.name, "threads": self.threads, "device": self.device, "reason": self.reason}

    def __str__(self) -> str:
        return f"{self.name}, {self.threads} thread{'s' * (self.threads != 1)}, {self.device}"


def side_by_side(run: Callable[[np.ndarray], Outputs], images_nhwc: np.ndarray, cores: Cores) -> Outputs:
    """Cut a batch into even parts, run each in a thread of its own, and join their outputs.

    Parts that know nothing of each other never wait for each other. The threads of a pool that share every
    single layer do, and where other work takes a core from one of them, all the others spin at the barrier:
    with two busy neighbours on two cores torch's own pool falls to a fiftieth.
    """
    with cores.take(len(images_nhwc)) as share:
        if share == 1:
            return run(images_nhwc)
        parts = np.array_split(images_nhwc, share)
        # Made anew for each batch, for a tenth of a millisecond: nobody has to remember to end it.
        with ThreadPoolExecutor(share - 1) as helpers:
            others = [helpers.submit(run, part) for part in parts[1:]]
            answers = [run(parts[0]), *(other.result() for other in others)]
    return tuple(np.concatenate(column) for column in zip(*answers, strict=True))


def as_arrays(answer: torch.Tensor | tuple[torch.Tensor, ...]) -> Outputs:
    """A torch network's answer, one tensor or several, as float32 arrays."""
    tensors = answer if isinstance(answer, tuple) else (answer,)
    return tuple(tensor.float().cpu().numpy() for tensor in tensors)


def difference(outputs: Outputs, reference: Outputs) -> float:
    """How far answers are from those of a reference, as a share of their size; the worst of the outputs.

    Root mean square of what differs, by that of what should be: 0.01 is one per cent.

    Raises:
        ShapeError: they are not of the same shapes.
    """
    shapes, expected = ([array.shape for array in arrays] for arrays in (outputs, reference))
    if shapes != expected:
        raise ShapeError(f"outputs of shapes {expected} were expected, got {shapes}")
    return max(
        _rms(one - other) / max(_rms(other), 1e-30) for one, other in zip(outputs, reference, strict=True)
    )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def height_width(size_px: Size) -> tuple[int, int]:
    """A size as height and width."""
    return (size_px, size_px) if isinstance(size_px, int) else size_px


def usable_threads(threads: int | None = None) -> int:
    """So many threads as asked for, or as this process may use cores.

    Raises:
        ConfigError: fewer than one is asked for.
    """
    if threads is None:
        return usable_cores()
    if threads < 1:
        raise ConfigError(f"threads must be at least 1, got {threads}")
    return threads
