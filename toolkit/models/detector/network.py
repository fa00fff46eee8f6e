"""A small one-stage network: at every place of three grids, is a face here, where, and how large?"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np
import timm
import torch
from timm.layers import ConvNormAct
from timm.models import reparameterize_model
from timm.models.byobnet import ByoBlockCfg
from torch import nn
from torch.nn import functional as F

from toolkit.models.network import PictureNetwork

STRIDES = (8, 16, 32)
"""Pixels from one place to the next, of each grid."""

_PATCH, _STEM, _WIDTHS = 4, 32, (48, 64, 96)
_BLOCKS = (3, 4, 3)
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
    """Anchor-free, on a small RepVGG of timm's: dense convolutions on coarse grids, which CPUs like best.

    Pictures may have any size from 32 x 32; up to three rows and columns at the far edges are not looked at.
    To ask it, :meth:`folded`; as it is made, it learns.

    Source: one box per place: Tian et al., "FCOS: Fully convolutional one-stage object detection", ICCV 2019;
        the backbone: Ding et al., "RepVGG: Making VGG-style ConvNets great again", CVPR 2021; grids that tell
        each other what they saw: Lin et al., "Feature pyramid networks", CVPR 2017.
    """

    takes_any_size = True

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _backbone()
        neck = _WIDTHS[0]
        self.lateral = nn.ModuleList(nn.Conv2d(width, neck, 1) for width in _WIDTHS)
        self.smooth = nn.ModuleList(_Separable(neck) for _ in _WIDTHS)
        self.heads = nn.ModuleList(_head(neck) for _ in _WIDTHS)

    def of_rgb(self, images_nchw: torch.Tensor) -> DetectorOutputs:
        features = self.backbone(images_nchw)
        seen = [lateral(grid) for lateral, grid in zip(self.lateral, features, strict=True)]
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

    def folded(self) -> DetectorNetwork:
        """A copy that answers the same sooner: each block's branches as the one convolution they make."""
        return cast(DetectorNetwork, reparameterize_model(self)).eval()


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


def _backbone() -> nn.Module:
    """timm's RepVGG, narrow and short; (N, C, H, W) features of every grid, finest first."""
    backbone = timm.create_model(
        "repvgg_a0",
        pretrained=False,
        features_only=True,
        out_indices=(1, 2, 3),
        stem_chs=_STEM,
        blocks=tuple(
            ByoBlockCfg(type="rep", d=depth, c=width, s=2, gs=0)
            for depth, width in zip(_BLOCKS, _WIDTHS, strict=True)
        ),
    )
    # Patches without overlap halve the cost of the finest grids.
    backbone.stem = ConvNormAct(3, _STEM, kernel_size=_PATCH, stride=_PATCH, padding=0)
    return backbone


def _head(width: int) -> nn.Conv2d:
    """The score's logit and the box of every place."""
    head = nn.Conv2d(width, 5, 1)
    nn.init.normal_(head.weight, std=0.01)
    logit = math.log(_FIRST_PROBABILITY / (1 - _FIRST_PROBABILITY))
    head.bias = nn.Parameter(torch.tensor([logit, 0.0, 0.0, 0.0, 0.0]))
    return head


class _Separable(nn.Sequential):
    """Each channel's surroundings, then all channels of a place."""

    def __init__(self, width: int) -> None:
        around = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        super().__init__(around, nn.BatchNorm2d(width), ConvNormAct(width, width, 1))
