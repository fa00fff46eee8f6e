"""A small one-stage network: at every place of three grids, is a face here, where, and how large?"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from toolkit.models.network import PictureNetwork

STRIDES = (8, 16, 32)
"""Pixels from one place to the next, of each grid."""

_PATCH, _STEM, _WIDTHS = 4, 32, (48, 64, 96)
_BLOCKS = (2, 3, 2)
# Few of a thousand places hold a face: a network that says so from the start need not learn it first.
_FIRST_PROBABILITY = 0.01


class DetectorOutputs(NamedTuple):
    """What the network says of a batch, for all places of all grids, finest first, row by row.

    Attributes:
        score_logits: (N, P).
        boxes: (N, P, 4): how far right of the place and below it the middle of the face is, in strides, and
            the natural logarithms of its width and height in strides. Small numbers, which bfloat16 can hold.
    """

    score_logits: torch.Tensor
    boxes: torch.Tensor


class DetectorNetwork(PictureNetwork):
    """Anchor-free, 0.4 M parameters, dense convolutions on coarse grids, which CPUs like best.

    Pictures may have any size from 32 x 32; up to three rows and columns at the far edges are not looked at.

    Source: one box per place: Tian et al., "FCOS: Fully convolutional one-stage object detection", ICCV 2019;
        grids that tell each other what they saw: Lin et al., "Feature pyramid networks", CVPR 2017; the
        first layer as patches: ours, to halve the cost of the finest grids.
    """

    takes_any_size = True

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, _STEM, size=_PATCH, stride=_PATCH, padding=0)
        inputs = (_STEM, *_WIDTHS)
        self.stages = nn.ModuleList(
            nn.Sequential(_convolution(narrow, wide, stride=2), *(_Residual(wide) for _ in range(blocks)))
            for narrow, wide, blocks in zip(inputs, _WIDTHS, _BLOCKS, strict=False)
        )
        neck = _WIDTHS[0]
        self.lateral = nn.ModuleList(nn.Conv2d(width, neck, 1) for width in _WIDTHS)
        self.smooth = nn.ModuleList(_Separable(neck) for _ in _WIDTHS)
        self.heads = nn.ModuleList(_head(neck) for _ in _WIDTHS)

    def of_rgb(self, images_nchw: torch.Tensor) -> DetectorOutputs:
        features, seen = self.stem(images_nchw), []
        for stage, lateral in zip(self.stages, self.lateral, strict=True):
            features = stage(features)
            seen.append(lateral(features))
        answers: list[torch.Tensor] = []
        coarser: torch.Tensor | None = None
        for grid, smooth, head in zip(
            reversed(seen), reversed(self.smooth), reversed(self.heads), strict=True
        ):
            if coarser is not None:
                twice = F.interpolate(coarser, scale_factor=2.0)
                grid = grid + twice[:, :, : grid.shape[2], : grid.shape[3]]
            coarser = smooth(grid)
            answers.insert(0, head(coarser).flatten(2))
        joined = torch.cat(answers, dim=2).transpose(1, 2)
        return DetectorOutputs(joined[:, :, 0], joined[:, :, 1:])


@lru_cache(maxsize=64)
def places(height_px: int, width_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the network's places are in a picture of that size, in the order of its answers.

    Each is the middle of what it sees: strided convolutions begin at the corner's patch.

    Returns:
        (P, 2) float32, x and y in pixels; (P,) float32, the stride of each.
    """
    rows, columns = height_px // _PATCH, width_px // _PATCH
    centres, strides = [], []
    for stride in STRIDES:
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
        y, x = np.mgrid[:rows, :columns]
        centres.append(np.stack([x, y], axis=-1).reshape(-1, 2) * stride + _PATCH / 2)
        strides.append(np.full(rows * columns, stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _head(width: int) -> nn.Conv2d:
    """The score's logit and the box of every place."""
    head = nn.Conv2d(width, 5, 1)
    nn.init.normal_(head.weight, std=0.01)
    logit = math.log(_FIRST_PROBABILITY / (1 - _FIRST_PROBABILITY))
    head.bias = nn.Parameter(torch.tensor([logit, 0.0, 0.0, 0.0, 0.0]))
    return head


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return F.relu(features + self.norm(self.convolution(features)))


class _Separable(nn.Sequential):
    """Each channel's surroundings, then all channels of a place."""

    def __init__(self, width: int) -> None:
        around = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        super().__init__(around, nn.BatchNorm2d(width), *_convolution(width, width, size=1, padding=0))


def _convolution(narrow: int, wide: int, size: int = 3, stride: int = 1, padding: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(narrow, wide, size, stride, padding, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(wide), nn.ReLU())
