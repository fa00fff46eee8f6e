"""What one training is made of."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.errors import ConfigError


@dataclass(frozen=True)
class TrainConfig:
    """What one training is made of.

    Attributes:
        data: a face pack by name or path; its splits ``train`` and ``val`` are used.
        backbone: name of a timm model.
        image_px: side of the network's input.
        epochs: passes over the training split.
        minutes: a budget; where it would run out first, the learning rate falls in step with the time
            instead of the steps, and training ends with it. None: as long as the epochs take.
        batch_size: faces per step.
        learning_rate: the highest one, after the warm-up.
        weight_decay: of AdamW, on weights only, not on biases and norms.
        warmup_share: share of the training in which the learning rate rises from zero.
        age_weight: weight of the age loss; the gender loss has 1.
        drop_rate: dropout before the heads.
        seed: of the network's start, the order and the variation of the pictures.
        threads: torch's threads; None leaves them as they are.
        loader_threads: threads that decode and vary pictures.
        device: ``auto`` or a torch device.
        licence: of the training data, with attribution; goes on the model card.
        out_dir: folder for the checkpoint.
    """

    data: str = "fairface_train_112"
    backbone: str = "mobilenetv4_conv_small"
    image_px: int = 112
    epochs: int = 30
    minutes: float | None = None
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup_share: float = 0.05
    age_weight: float = 0.5
    drop_rate: float = 0.1
    seed: int = 7
    threads: int | None = None
    loader_threads: int = 1
    device: str = "auto"
    licence: str = ""
    out_dir: str = "runs/train"

    def __post_init__(self) -> None:
        for name in ("image_px", "epochs", "batch_size", "learning_rate", "loader_threads"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be more than 0, got {getattr(self, name)}")
        for name in ("minutes", "threads"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"{name} must be more than 0 or left out, got {value}")
        if not 0 <= self.warmup_share < 1 or not 0 <= self.drop_rate < 1:
            raise ConfigError(
                "warmup_share and drop_rate must lie in 0..1, below 1, "
                f"got {self.warmup_share} and {self.drop_rate}"
            )
