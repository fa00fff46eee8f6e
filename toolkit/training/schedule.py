"""How far a training is, and what that means for learning rate and picture size."""

from __future__ import annotations

import math

from toolkit.training.config import TrainConfig

GROWTH_SHARE = 0.7
"""Share of the training in which the pictures grow; the rest is learned at the size that is used."""

STEP_PX = 16
"""Pictures grow by this much at a time: a half pixel of the last feature map of most networks."""


def learning_rate(config: TrainConfig, progress: float) -> float:
    """Linear warm-up, then half a cosine down to zero.

    Args:
        config: the highest rate, and how long the warm-up takes.
        progress: 0..1.

    Source: Loshchilov and Hutter, "SGDR", ICLR 2017.
    """
    progress, warmup = min(progress, 1.0), config.warmup_share
    if progress < warmup:
        return config.learning_rate * progress / warmup
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def picture_px(config: TrainConfig, progress: float) -> int:
    """Side of the pictures at that point: small ones teach the coarse things at a fraction of the cost.

    Source: Tan and Le, "EfficientNetV2: smaller models and faster training", ICML 2021, section 4.
    """
    if config.start_px is None:
        return config.image_px
    steps = math.ceil((config.image_px - config.start_px) / STEP_PX)
    left = steps - math.floor((steps + 1) * min(1.0, progress / GROWTH_SHARE))
    return config.image_px - STEP_PX * max(left, 0) if left < steps else config.start_px


def smoothing(config: TrainConfig, step: int) -> float:
    """Decay of the mean of the weights at a step: short at first, when the weights are still chance."""
    return min(config.ema_decay, (1 + step) / (10 + step))
