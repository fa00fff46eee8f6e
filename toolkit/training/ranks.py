"""Several processes that train one network, as ``torchrun`` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import torch
from torch import distributed, nn


class Ranks:
    """This process among those that train together; alone without ``torchrun``. Use it in a ``with``.

    Each process works on its part of every batch, and all take the step with the mean of the gradients of
    all its faces, so that a batch is the same whatever the number of processes.

    Attributes:
        rank: of this process; 0 validates, keeps checkpoints and speaks to the user.
        count: of all processes.
        local_rank: of this process on its machine: the number of its GPU.
    """

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that validates and writes."""
        return self.rank == 0

    def device(self, device: torch.device) -> torch.device:
        """The device of this process: with several GPUs on a machine, one each."""
        if device.type == "cuda" and self.count > 1:
            torch.cuda.set_device(self.local_rank)
            return torch.device("cuda", self.local_rank)
        return device

    def __enter__(self) -> Self:
        if self.count > 1:
            distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.count > 1:
            distributed.destroy_process_group()

    def average(self, parameters: Iterable[nn.Parameter], share: float) -> None:
        """Make every gradient that of the whole batch, in one message.

        Args:
            parameters: with the gradients of the mean loss over this process's faces.
            share: of the batch's faces that are this process's; the last processes may have one face less.
        """
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        together = share * torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(together)
        for gradient, part in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def from_first(self, values: list[float], device: torch.device) -> list[float]:
        """The first process's numbers, in every process."""
        if self.count == 1:
            return values
        sent = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.broadcast(sent, 0)
        return sent.tolist()
