"""Gradients of a batch of made pictures, its shares worked out side by side."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import torch

from toolkit.models.detector.network import DetectorNetwork, DetectorOutputs
from toolkit.training.detector_batches import DetectorBatch
from toolkit.training.detector_losses import detector_losses


class DetectorGradients:
    """Works out a batch's gradients in threads, one share each; use it in a ``with``.

    Why not in torch's own threads, and what that means for batch normalisation, is told in
    :class:`toolkit.training.gradients.ShardedGradients`.

    Args:
        network: whose gradients; they are left in ``.grad`` of its parameters.
        side_px: of the pictures.
        threads: how many, each with one of torch's.
    """

    def __init__(self, network: DetectorNetwork, side_px: int, threads: int) -> None:
        self._side_px = side_px
        self._networks = [network, *(_twin(network) for _ in range(threads - 1))]
        # torch's number of threads belongs to the thread that sets it.
        self._pool = ThreadPoolExecutor(
            threads, "detector-gradients", initializer=torch.set_num_threads, initargs=(1,)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def compute(self, batch: DetectorBatch) -> dict[str, float]:
        """Set the gradients of the batch's mean loss; gives the loss and its parts."""
        count = min(len(self._networks), len(batch.images_nhwc))
        shares = zip(*(tensor.tensor_split(count) for tensor in batch), strict=True)
        answers = list(self._pool.map(self._of_share, self._networks, map(DetectorBatch._make, shares)))
        for parameter, *parts in zip(
            self._networks[0].parameters(), *(gradients for gradients, _ in answers), strict=True
        ):
            parameter.grad = torch.stack(parts).mean(dim=0)
        return {name: sum(values[name] for _, values in answers) / count for name in answers[0][1]}

    def _of_share(
        self, network: DetectorNetwork, share: DetectorBatch
    ) -> tuple[tuple[torch.Tensor, ...], dict[str, float]]:
        network.train()
        outputs = DetectorOutputs(*network(share.images_nhwc))
        losses = detector_losses(outputs, share.boxes_xyxy, share.is_asked, self._side_px)
        # Not backward(): that adds into .grad, which the threads share.
        gradients = torch.autograd.grad(losses["loss"], list(network.parameters()))
        return gradients, {f"train/{name}": value.item() for name, value in losses.items()}


def _twin(network: DetectorNetwork) -> DetectorNetwork:
    """A copy with the same weights in the same memory, and running statistics of its own."""
    twin = copy.deepcopy(network)
    for own, shared in zip(twin.parameters(), network.parameters(), strict=True):
        own.data = shared.data
    return twin
