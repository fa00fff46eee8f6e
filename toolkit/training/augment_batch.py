"""Training pictures varied a batch at a time, on the device that learns from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F

from toolkit.training import augment
from toolkit.training.jpeg_batch import compressed

_SMALL_STEP_PX = 8
"""Small faces come in sizes this far apart, and those of one size are shrunk together."""

_GREY_OF_BGR = (0.114, 0.587, 0.299)


def vary_batch(images_nhwc: torch.Tensor, side_px: int, rng: np.random.Generator) -> torch.Tensor:
    """Random variants of a batch, in kinds, shares and strengths like :func:`toolkit.training.augment.vary`.

    Chance is drawn on the CPU, so that nobody waits for the device to say which pictures are blurred; only
    the noise of noisy pictures is drawn on the device.

    Args:
        images_nhwc: (B, S, S, 3), uint8, BGR; at most about 1.5 times ``side_px``, or they alias.
        side_px: side of the variants.
        rng: where chance comes from.

    Returns:
        (B, side_px, side_px, 3), uint8, BGR, on the same device.
    """
    occurs = rng.random((len(images_nhwc), 10), dtype=np.float32)
    normal = rng.standard_normal((len(images_nhwc), 9), dtype=np.float32)
    images = images_nhwc.permute(0, 3, 1, 2).float() / 255
    images = _reframed(images, side_px, occurs[:, 0] < 0.5, occurs[:, 1], normal[:, :3])
    images = _toned(images, normal[:, 3:])
    _change(images, occurs[:, 2] < augment.GREY_SHARE, _grey)

    is_small = occurs[:, 3] < augment.SMALL_SHARE
    for small_px, chosen in _by_size(_between(augment.SMALL_FACE_PX, occurs[:, 4]), is_small, side_px):
        _change(images, chosen, _SeenFromAfar(small_px))
    is_blurred = ~is_small & (occurs[:, 3] < augment.SMALL_SHARE + augment.BLUR_SHARE)
    sigmas_px = _between(augment.BLUR_SIGMA, occurs[is_blurred, 4]) * side_px
    _change(images, is_blurred, lambda some: _blurred(some, sigmas_px))

    _change(images, occurs[:, 5] < augment.ERASED_SHARE, lambda some: _erased(some, rng))
    is_noisy = occurs[:, 6] < augment.NOISE_SHARE
    sigmas = _between(augment.NOISE_SIGMA, occurs[is_noisy, 7]) / 255
    _change(images, is_noisy, lambda some: _noisy(some, sigmas, rng))
    is_saved = occurs[:, 8] < augment.JPEG_SHARE
    qualities = _between(augment.JPEG_QUALITY, occurs[is_saved, 9])
    _change(images, is_saved, lambda some: compressed(some, _each(qualities, some)))
    return (images * 255).round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).contiguous()


def _change(images: torch.Tensor, chosen: np.ndarray, how: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Put changed pictures in the place of the chosen ones, (B,) bool."""
    if chosen.any():
        rows = torch.from_numpy(np.flatnonzero(chosen)).to(images.device)
        images[rows] = how(images[rows])


def _between(limits: tuple[float, float], shares: np.ndarray) -> np.ndarray:
    return limits[0] + (limits[1] - limits[0]) * shares


def _each(values: np.ndarray, images: torch.Tensor) -> torch.Tensor:
    """A number for every picture, in the shape that meets all its pixels: (N, 1, 1, 1)."""
    return torch.from_numpy(values).to(images.device, images.dtype).view(-1, 1, 1, 1)


def _reframed(
    images: torch.Tensor, side_px: int, is_mirrored: np.ndarray, turn: np.ndarray, normal: np.ndarray
) -> torch.Tensor:
    """Turned, shifted, scaled, perhaps mirrored, in the new size."""
    angle = np.radians((2 * turn - 1) * augment.ROTATION_DEGREES)
    scale = np.exp(augment.SCALE_SIGMA * normal[:, 0])
    across, down, mirror = scale * np.cos(angle), scale * np.sin(angle), np.where(is_mirrored, -1.0, 1.0)
    # A picture reaches from -1 to 1: a share of its side is twice as much here.
    right = 2 * augment.SHIFT_SIGMA * normal[:, 1]
    below = 2 * (augment.SHIFT_SIGMA * normal[:, 2] - augment.UPWARD_SHIFT)
    to_source = np.stack([mirror * across, -down, right, mirror * down, across, below], axis=1)
    theta = torch.from_numpy(to_source).to(images.device, images.dtype).view(-1, 2, 3)
    grid = F.affine_grid(theta, [len(images), 3, side_px, side_px], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _toned(images: torch.Tensor, normal: np.ndarray) -> torch.Tensor:
    """Gamma, contrast, brightness and the colour of the light."""
    gamma, contrast = _each(np.exp(0.2 * normal[:, 0]), images), _each(np.exp(0.15 * normal[:, 1]), images)
    gains = 1.0 + 0.04 * _each(normal[:, 3:6].reshape(-1), images).view(-1, 3, 1, 1)
    lighter = 0.05 * _each(normal[:, 2].copy(), images)
    return (((images**gamma - 0.5) * contrast + 0.5 + lighter) * gains).clamp_(0, 1)


def _grey(images: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor(_GREY_OF_BGR, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True).expand_as(images)


def _by_size(small_px: np.ndarray, is_small: np.ndarray, side_px: int) -> Iterator[tuple[int, np.ndarray]]:
    """Sizes of small faces, each with the pictures that become as small, (B,) bool."""
    rounded = (np.round(small_px / _SMALL_STEP_PX) * _SMALL_STEP_PX).astype(int)
    for size_px in np.unique(rounded[is_small]).tolist():
        if size_px < side_px:
            yield size_px, is_small & (rounded == size_px)


class _SeenFromAfar:
    """Shrinks pictures to what a face far from the camera has in pixels, and grows them again."""

    def __init__(self, small_px: int) -> None:
        self._small_px = small_px

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        small = F.interpolate(images, size=(self._small_px, self._small_px), mode="area")
        return F.interpolate(small, size=images.shape[2:], mode="bilinear", align_corners=False)


def _blurred(images: torch.Tensor, sigmas_px: np.ndarray) -> torch.Tensor:
    """Each with a Gaussian of its own, across and then down."""
    reach = math.ceil(3 * float(sigmas_px.max()))
    steps = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernels = torch.softmax(-0.5 * (steps / _each(sigmas_px, images).view(-1, 1)) ** 2, dim=1)
    kernels = kernels.repeat_interleave(3, dim=0)[:, None, None]
    # Every channel of every picture is a group of one convolution.
    planes = images.reshape(1, -1, *images.shape[2:])
    planes = F.conv2d(F.pad(planes, (reach, reach, 0, 0), "replicate"), kernels, groups=len(kernels))
    kernels = kernels.mT
    planes = F.conv2d(F.pad(planes, (0, 0, reach, reach), "replicate"), kernels, groups=len(kernels))
    return planes.view_as(images)


def _erased(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """One rectangle of one colour in each: a hand, a mask, another head."""
    side_px = images.shape[2]
    sizes = (rng.uniform(0.1, 0.4, (2, len(images))) * side_px).astype(int)
    begins = rng.integers(0, side_px - sizes + 1)
    colours = torch.from_numpy(rng.random((len(images), 3), dtype=np.float32)).to(images.device)
    places = torch.arange(side_px, device=images.device)
    down, across = (
        (places >= torch.from_numpy(begin).to(images.device)[:, None])
        & (places < torch.from_numpy(begin + size).to(images.device)[:, None])
        for begin, size in zip(begins, sizes, strict=True)
    )
    covered = down[:, None, :, None] & across[:, None, None, :]
    return torch.where(covered, colours[:, :, None, None], images)


def _noisy(images: torch.Tensor, sigmas: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    generator = torch.Generator(images.device).manual_seed(int(rng.integers(2**62)))
    noise = torch.empty_like(images).normal_(generator=generator)
    return (images + noise * _each(sigmas, images)).clamp_(0, 1)
