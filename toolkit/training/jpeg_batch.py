"""What JPEG does to pictures, a batch at a time, on any device: the loss without the bytes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

_BLOCK_PX = 8

_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Steps of the brightness coefficients at quality 50: ITU-T T.81, table K.1."""

_CHROMA = ((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99))
"""The same for colours, K.2; all that is not written here is 99."""

_YCC_OF_BGR = ((0.114, 0.587, 0.299), (0.5, -0.331264, -0.168736), (-0.081312, -0.418688, 0.5))
"""JFIF 1.02, without the 128 that colours are moved by: nothing here needs them above 0."""


def compressed(images: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """Pictures as they come back from a JPEG file with colours at half the size.

    Args:
        images: (N, 3, H, W), float, BGR, 0..1.
        quality: (N, 1, 1, 1), 1..100, as libjpeg counts it.

    Returns:
        Pictures of the same shape.

    Source: ITU-T T.81, annexes A and K; how quality scales the tables is libjpeg's ``jpeg_quality_scaling``.
    """
    height, width = images.shape[2:]
    # Whole blocks of the halved colours, and those are 16 pixels of the picture.
    to_full = (0, -width % (2 * _BLOCK_PX), 0, -height % (2 * _BLOCK_PX))
    padded = F.pad(images, to_full, "replicate") * 255
    to_ycc = torch.tensor(_YCC_OF_BGR, device=images.device)
    ycc = torch.einsum("yc,nchw->nyhw", to_ycc, padded)
    luma, chroma = ycc[:, :1] - 128, F.avg_pool2d(ycc[:, 1:], 2)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    luma = _rounded(luma, _steps(_LUMA, scale)) + 128
    chroma = _rounded(chroma, _steps(_CHROMA, scale))
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    bgr = torch.einsum("cy,nyhw->nchw", torch.linalg.inv(to_ycc), torch.cat([luma, chroma], dim=1))
    return (bgr[:, :, :height, :width] / 255).clamp(0, 1)


def _steps(table: tuple[tuple[int, ...], ...], scale: torch.Tensor) -> torch.Tensor:
    """(N, 1, 1, 1, 8, 8): what the coefficients of each picture are multiples of."""
    whole = torch.full((_BLOCK_PX, _BLOCK_PX), 99.0)
    whole[: len(table), : len(table)] = torch.tensor(table)
    return (whole.to(scale.device) * scale[..., None, None] + 0.5).floor().clamp(1, 255)


def _rounded(planes: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) with the coefficients of every block of 8 x 8 brought to multiples of their steps."""
    count, channels, height, width = planes.shape
    basis = _cosines(planes.device)
    split = planes.view(count, channels, height // _BLOCK_PX, _BLOCK_PX, width // _BLOCK_PX, _BLOCK_PX)
    blocks = split.transpose(3, 4)
    coefficients = basis @ blocks @ basis.T
    blocks = basis.T @ ((coefficients / steps).round() * steps) @ basis
    return blocks.transpose(3, 4).reshape(planes.shape)


def _cosines(device: torch.device) -> torch.Tensor:
    """(8, 8): the orthogonal cosine transform of T.81, A.3.3."""
    places = torch.arange(_BLOCK_PX, dtype=torch.float32, device=device)
    waves = torch.cos((2 * places[None] + 1) * places[:, None] * math.pi / (2 * _BLOCK_PX))
    waves[0] /= math.sqrt(2)
    return waves * math.sqrt(2 / _BLOCK_PX)
