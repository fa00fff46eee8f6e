"""Torch, compiled for this machine: up to minutes of waiting, for a network that runs for hours."""

from __future__ import annotations

import numpy as np
import torch

from toolkit.errors import ModelError
from toolkit.models.network import PictureNetwork
from toolkit.models.runtimes.base import Outputs, Size, height_width
from toolkit.models.runtimes.eager import EagerRuntime


class CompiledRuntime(EagerRuntime):
    """``torch.compile``, in single precision, once for all sizes of batches.

    Raises:
        ModelError: it cannot be compiled here, such as for want of a C++ compiler.
    """

    name = "torch-compiled"

    def __init__(self, network: PictureNetwork, size_px: Size, threads: int, device: str = "cpu") -> None:
        super().__init__(network, size_px, threads, device)
        # Freezing folds batch norms into convolutions: this copy does not learn any more.
        self._network = torch.compile(self._network, dynamic=True, options={"freezing": True})
        try:
            # One picture, by this thread alone: two would be compiled for by two threads at once.
            self._run(np.zeros((1, *height_width(size_px), 3), np.uint8))
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0]
            raise ModelError(
                f"torch cannot compile the network here ({reason}); use another runtime"
            ) from error

    def _answer(self, images_nhwc: np.ndarray) -> Outputs:
        count = len(images_nhwc)
        # Torch takes 1 for a constant and would compile for it again, in the middle of a run.
        images_nhwc = np.concatenate([images_nhwc, images_nhwc]) if count == 1 else images_nhwc
        return tuple(array[:count] for array in super()._answer(images_nhwc))
