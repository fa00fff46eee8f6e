"""Normalisation folded away: what is left between bytes and the first convolution is one subtraction."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from toolkit.models.network import PictureNetwork
from toolkit.models.runtimes.base import Size, as_arrays, difference, height_width

_SAME = 1e-3


class FoldedNetwork(nn.Module):
    """A copy of a network whose first convolutions take BGR, unscaled, as it lies in memory.

    Colour order and scale become part of their weights. The mean has to stay: their zero padding means
    "average", and would mean "black" without it. It pays in OpenVINO, which with fixed batches is then about
    as quick as on floats that are there already (``toolkit bench model``: openvino against network-alone).

    Args:
        network: is left as it is.
    """

    mean_bgr: torch.Tensor

    def __init__(self, network: PictureNetwork) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval()
        self.register_buffer("mean_bgr", self.network.mean.flip(1).view(1, 1, 1, 3))
        for stem in _stems(self.network):
            stem.weight.data = (stem.weight.data / self.network.std).flip(1)

    def forward(self, images_nhwc: torch.Tensor) -> Any:
        """As the network's own."""
        return self.network.of_rgb((images_nhwc - self.mean_bgr).permute(0, 3, 1, 2))


def fold(network: PictureNetwork, size_px: Size) -> nn.Module:
    """A folded copy, or a plain one where folding would change the answers (a first layer unlike others)."""
    folded = FoldedNetwork(network)
    plain = copy.deepcopy(network).eval()
    device = network.mean.device
    images = torch.randint(0, 256, (2, *height_width(size_px), 3), dtype=torch.uint8, device=device)
    with torch.inference_mode():
        is_same = difference(as_arrays(folded(images)), as_arrays(plain(images))) < _SAME
    return folded if is_same else plain


def _stems(network: nn.Module) -> list[nn.Conv2d]:
    """The convolutions that see the picture: those of three channels, of which only pictures have so few."""
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    return [c for c in convolutions if c.in_channels == 3 and c.groups == 1]
