"""The running mean of a network's weights: steadier than the weights, and what is validated and kept."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class MeanWeights(Generic[Network]):
    """Follows a network while it learns.

    Running statistics of batch normalisation are averaged along with the weights they belong to.

    Args:
        network: what is followed.

    Attributes:
        network: the mean, a network of its own, ready to predict.

    Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992; with decay as
        in Tarvainen and Valpola, "Mean teachers are better role models", NeurIPS 2017.
    """

    def __init__(self, network: Network) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._followed = _floats(network)
        self._means = _floats(self.network)

    @torch.no_grad()
    def update(self, decay: float) -> None:
        """Go a step of 1 - ``decay`` towards the network; with 0 the mean becomes the network itself."""
        torch._foreach_lerp_(self._means, self._followed, 1 - decay)


@torch.no_grad()
def average_into(network: nn.Module, networks: Sequence[nn.Module]) -> None:
    """Give a network the mean of the weights and running statistics of others like it.

    Of trainings that began from the same weights the mean is better than each, as a rule, and costs nothing
    more to run. Where they lie far apart, its running statistics are to be measured anew afterwards
    (``torch.optim.swa_utils.update_bn``): the mean of theirs is not that of the mean.

    Source: Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy
        without increasing inference time", ICML 2022.
    """
    for mean, *each in zip(_floats(network), *map(_floats, networks), strict=True):
        mean.copy_(torch.stack(each).mean(dim=0))


def _floats(network: nn.Module) -> list[torch.Tensor]:
    """All weights and statistics; counters of batches seen, which are whole numbers, are not averaged."""
    tensors = [*network.parameters(), *network.buffers()]
    return [tensor.detach() for tensor in tensors if tensor.is_floating_point()]
