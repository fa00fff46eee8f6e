"""The settings of a detector's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from toolkit.errors import ConfigError
from toolkit.training.config import MOST_SEED


@dataclass(frozen=True)
class DetectorTrainConfig:
    """What to train, on what, for how long.

    Attributes:
        data: a face pack by name or path, aligned as FairFace's pictures are; its splits train and val.
        stills: a film without faces, by path, whose pictures are some of the backgrounds.
        bodies: heads seen from behind in that film, by number of the frame: left, top, right and height of
            the chin, pixels; these people get faces.
        turned: boxes of faces seen from one side, by path of a JSON file: the picture's name to left, top,
            right and bottom as shares of its sides; other faces lie where the pack's pictures are aligned to.
        init: weights to begin with, by path; None begins with chance.
        out_dir: where the weights go.
        minutes: how long it learns; the rate of learning falls to zero by then.
        steps: learn so many steps instead, which takes as long as it takes.
        image_px: side of the made pictures.
        batch_size: pictures per step.
        learning_rate: the highest, for Muon.
        weight_decay: how much weights shrink, as a share of the rate.
        warmup_share: the rate rises from zero in this share of the time.
        ema_decay: how slowly the mean of the weights, which is what is kept, follows them.
        validate_every_steps: between two looks at held-back pictures.
        stock: made pictures to draw batches from.
        threads: that learn, each from a share of the batch; one more makes the pictures.
        seed: of all chance.
        licence: of the data, with its attribution; becomes part of the card.
    """

    data: str = "fairface_train_112"
    stills: str | None = None
    bodies: Mapping[int, tuple[float, float, float, float]] = field(default_factory=dict)
    turned: str | None = None
    init: str | None = None
    out_dir: str = "runs/detector"
    minutes: float = 60.0
    steps: int | None = None
    image_px: int = 256
    batch_size: int = 32
    learning_rate: float = 0.01
    weight_decay: float = 0.01
    warmup_share: float = 0.02
    ema_decay: float = 0.999
    validate_every_steps: int = 500
    stock: int = 3000
    threads: int = 1
    seed: int = 0
    licence: str = ""

    def __post_init__(self) -> None:
        if self.image_px < 64 or self.image_px % 32:
            raise ConfigError(f"image_px must be a multiple of 32 from 64, got {self.image_px}")
        for name in ("minutes", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be more than 0, got {getattr(self, name)}")
        for name in ("batch_size", "validate_every_steps", "stock", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.steps is not None and self.steps < 1:
            raise ConfigError(f"steps must be at least 1, got {self.steps}")
        if self.seed < 0:
            raise ConfigError(f"seed must be at least 0, got {self.seed}")
        if self.seed > MOST_SEED:
            raise ConfigError(f"seed must be at most {MOST_SEED} (2**64 - 1), got {self.seed}")
        for name in ("warmup_share", "ema_decay", "weight_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must lie in 0..1, got {getattr(self, name)}")
