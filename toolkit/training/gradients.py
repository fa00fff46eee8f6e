"""Gradients of a batch, its shares worked out side by side."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn

from toolkit.models.network import FaceNetwork
from toolkit.models.runtimes.base import usable_threads
from toolkit.training.batches import FaceBatch
from toolkit.training.config import TrainConfig
from toolkit.training.losses import face_losses
from toolkit.training.precision import learns_in_bf16

SMALLEST_SHARE = 32
"""Faces: batch normalisation sees one share at a time, and learns little from fewer."""


def shares(config: TrainConfig, device: torch.device) -> int:
    """Into how many shares a batch is cut: as many as asked for, else one per core on a CPU, one on a GPU."""
    if config.threads is not None:
        return config.threads
    if device.type != "cpu":
        return 1
    return max(1, min(usable_threads(), config.batch_size // SMALLEST_SHARE))


class SeededDropout(nn.Module):
    """Dropout whose chance is a number, so that threads and a resumed training repeat it.

    Args:
        rate: share of the features that is set to zero while training.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.seed = 0

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The features, some of them zero, the others grown to make up for it."""
        if not self.training or self.rate == 0:
            return features
        # Of a training's seed, its step and its share, it may have more bits than torch takes.
        generator = torch.Generator(features.device).manual_seed(self.seed % 2**64)
        keep = torch.empty_like(features).bernoulli_(1 - self.rate, generator=generator)
        return features * keep / (1 - self.rate)


class ShardedGradients:
    """Works out the gradients of a batch in threads, one share each; use it in a ``with``.

    On CPUs this beats letting torch spread each operation over the cores: those threads meet after every
    operation, and where another program holds one core, all wait for it a hundred times a step. On a
    busy machine, two threads with a share each gave 340 pictures a second, three of torch's 117.

    Each share has a copy of the network that shares its weights, so that batch normalisation sees one share
    at a time and threads do not write to the same running statistics: those of the first share are kept, and
    the same batches give the same weights.

    Args:
        network: whose gradients; they are left in ``.grad`` of its parameters. Its dropout is replaced by one
            that repeats.
        config: the losses and the number of threads, as :func:`shares` reads it.
    """

    def __init__(self, network: FaceNetwork, config: TrainConfig) -> None:
        self._config = config
        device = next(network.parameters()).device
        self._bf16 = learns_in_bf16(network, config)
        self._is_in_caller = config.threads is None and device.type != "cpu"
        network.dropout = SeededDropout(config.drop_rate)  # type: ignore[assignment]
        self._networks = [network, *(_twin(network) for _ in range(shares(config, device) - 1))]
        # torch's number of threads belongs to the thread that sets it.
        self._pool = ThreadPoolExecutor(
            len(self._networks), "face-gradients", initializer=torch.set_num_threads, initargs=(1,)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def compute(self, batch: FaceBatch, seed: int) -> dict[str, float]:
        """Set the gradients of the batch's mean loss; gives the loss and its parts.

        Args:
            batch: on the network's device.
            seed: of the dropout.
        """
        # As even as can be: batch normalisation cannot learn from a share of a single small picture.
        number_of_shares = min(len(self._networks), len(batch.genders))
        shares = list(zip(*(tensor.tensor_split(number_of_shares) for tensor in batch), strict=True))
        weights = [len(share[0]) / len(batch.genders) for share in shares]
        for number, network in enumerate(self._networks):
            network.train(self._networks[0].training)
            network.dropout.seed = seed * len(self._networks) + number  # type: ignore[assignment]
        gradients, values = zip(*self.spread(self._of_share, self._networks, shares, weights), strict=True)
        for parameter, *parts in zip(self._networks[0].parameters(), *gradients, strict=True):
            parameter.grad = sum(parts[1:], start=parts[0])
        return {name: sum(part[name] for part in values) for name in values[0]}

    def spread(self, function: Callable[..., Any], *columns: Iterable[Any]) -> Iterable[Any]:
        """``map``, in the threads that work out gradients; in the caller's if there are none."""
        return (map if self._is_in_caller else self._pool.map)(function, *columns)

    def _of_share(
        self, network: FaceNetwork, share: tuple[torch.Tensor, ...], weight: float
    ) -> tuple[tuple[torch.Tensor, ...], dict[str, float]]:
        images, genders, ages_lo, ages_hi = share
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._bf16):
            outputs = network(images)
        losses = face_losses(outputs, genders, ages_lo, ages_hi, self._config.age_loss)
        loss = losses.gender + self._config.age_weight * losses.age
        # Not backward(): that adds into .grad, which the threads share.
        gradients = torch.autograd.grad(weight * loss, list(network.parameters()))
        values = {"train/loss": loss, "train/gender_loss": losses.gender, "train/age_loss": losses.age}
        return gradients, {name: weight * value.item() for name, value in values.items()}


def _twin(network: FaceNetwork) -> FaceNetwork:
    """A copy with the same weights in the same memory, and running statistics of its own."""
    twin = copy.deepcopy(network)
    shared = dict(_named_weights(network))
    twin.load_state_dict(twin.state_dict() | shared, assign=True)
    return twin


def _named_weights(network: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    return ((name, parameter.detach()) for name, parameter in network.named_parameters())
