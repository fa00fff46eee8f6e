"""What one training is made of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from toolkit.errors import ConfigError, did_you_mean
from toolkit.models.preprocess import MOST_IMAGE_PX

_MORE_THAN_0 = ("image_px", "epochs", "batch_size", "learning_rate", "loader_threads")
_MORE_THAN_0_OR_NONE = ("start_px", "minutes", "threads", "patience")
_NOT_BELOW_0 = ("weight_decay", "age_weight", "seed")
_SHARES = ("warmup_share", "drop_rate", "ema_decay")

MOST_SEED = 2**64 - 1
"""torch takes no larger one."""


@dataclass(frozen=True)
class TrainConfig:
    """What one training is made of.

    Attributes:
        data: a face pack by name or path; its splits ``train`` and ``val`` are used.
        backbone: name of a timm model.
        init: a checkpoint to start from, "shipped" or a path; None starts from chance.
        image_px: side of the network's input.
        start_px: side of the first epochs' pictures; it grows to ``image_px`` in the first
            ``toolkit.training.schedule.GROWTH_SHARE`` of the training. None: ``image_px`` from the start.
        epochs: passes over the training split.
        minutes: a budget; where it would run out first, the learning rate falls in step with the time
            instead of the steps, and training ends with it. None: as long as the epochs take.
        patience: end early after so many epochs without a better one; None never does.
        batch_size: faces per step.
        balance: 0 shows every face once an epoch, 1 every gender by age group equally often.
        optimiser: ``muon``, ``adamw``, or the name of another one of timm, such as ``nadamw``.
        learning_rate: the highest one, after the warm-up.
        weight_decay: on weights only, not on biases and norms.
        warmup_share: share of the training in which the learning rate rises from zero.
        ema_decay: how much of the running mean of the weights, which is what is validated and kept, stays
            at each step; 0 keeps the weights themselves.
        age_loss: how an age is learned; see ``toolkit.training.losses.AGE_LOSSES``.
        age_weight: weight of the age loss; the gender loss has 1. At 0.5 both pull alike at the features they
            share: their gradients there are equal at 0.24 to 0.33 before the first step and at 0.39 to 1.10
            in a trained network, over all age losses (``experiments/loss_scales.py``).
        drop_rate: dropout before the heads.
        seed: of the network's start, the order and the variation of the pictures.
        threads: shares of a batch that are worked out side by side on the CPU; None is one for each core that
            may be used, of 32 faces or more, and one on a GPU. What is learned depends on it a little.
        loader_threads: threads that make batches of pictures.
        precision: ``fp32``, ``bf16`` for products in half the bits, or ``auto``: what is faster here, see
            ``toolkit.training.precision``. What is learned depends on it a little.
        vary_on: where pictures are varied: ``cpu``, one at a time, ``device``, a batch at a time where the
            network learns, or ``auto``: the device where that is an Nvidia GPU. What is learned depends on
            it a little.
        device: ``auto`` or a torch device.
        licence: of the training data, with attribution; goes on the model card.
        out_dir: folder for the checkpoint, and for what a stopped training goes on from.
    """

    data: str = "fairface_train_112"
    backbone: str = "mobilenetv4_conv_small"
    init: str | None = None
    image_px: int = 112
    start_px: int | None = None
    epochs: int = 30
    minutes: float | None = None
    patience: int | None = None
    batch_size: int = 128
    balance: float = 0.0
    optimiser: str = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup_share: float = 0.05
    ema_decay: float = 0.998
    age_loss: Literal["distribution", "expectation", "ordinal", "regression"] = "distribution"
    age_weight: float = 0.5
    drop_rate: float = 0.1
    seed: int = 7
    threads: int | None = None
    loader_threads: int = 1
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    vary_on: Literal["auto", "cpu", "device"] = "auto"
    device: str = "auto"
    licence: str = ""
    out_dir: str = "runs/train"

    def __post_init__(self) -> None:
        for name in _MORE_THAN_0:
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be more than 0, got {getattr(self, name)}")
        for name in _MORE_THAN_0_OR_NONE:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} must be more than 0 or left out, got {value}")
        for name in _NOT_BELOW_0:
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must be at least 0, got {getattr(self, name)}")
        for name in _SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must lie in 0..1, below 1, got {getattr(self, name)}")
        if self.seed > MOST_SEED:
            raise ConfigError(f"seed must be at most {MOST_SEED} (2**64 - 1), got {self.seed}")
        if not 0 <= self.balance <= 1:
            raise ConfigError(f"balance must lie in 0..1, got {self.balance}")
        if self.image_px > MOST_IMAGE_PX:
            raise ConfigError(f"image_px must be at most {MOST_IMAGE_PX}, got {self.image_px}")
        if self.start_px is not None and self.start_px > self.image_px:
            raise ConfigError(f"start_px must not exceed image_px, got {self.start_px} and {self.image_px}")


@dataclass(frozen=True)
class SweepConfig:
    """Many trainings: every combination of some settings.

    Attributes:
        grid: setting of a training to the values it takes in turn, such as ``image_px: [64, 96]``.
    """

    grid: dict[str, list[Any]]

    def __post_init__(self) -> None:
        known = {f.name for f in fields(TrainConfig)} - {"out_dir"}
        if not self.grid:
            raise ConfigError("a sweep needs a grid: {image_px: [64, 96], backbone: [...]}")
        for name, values in self.grid.items():
            if name not in known:
                raise ConfigError(f"a sweep's grid knows no setting {name!r}; {did_you_mean(name, known)}")
            if not values:
                raise ConfigError(f"the sweep's grid has no value for {name}")
