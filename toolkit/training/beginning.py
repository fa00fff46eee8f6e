"""What a training begins with: a network, and an optimiser for it."""

from __future__ import annotations

from typing import Any

import timm.optim
import torch
from torch import nn

from toolkit.errors import ConfigError, ModelError, did_you_mean
from toolkit.models.checkpoint import Checkpoint
from toolkit.models.network import FaceNetwork
from toolkit.training.config import TrainConfig
from toolkit.training.muon import Muon, Spread


def first_network(config: TrainConfig) -> FaceNetwork:
    """The network before the first step: by chance, or a trained one.

    Raises:
        ModelError: timm has no such backbone, or ``init`` cannot be loaded.
        ConfigError: ``init`` has another backbone.
    """
    if config.init is None:
        return FaceNetwork(config.backbone, config.drop_rate)
    checkpoint = Checkpoint.load(config.init)
    if checkpoint.card.backbone != config.backbone:
        raise ConfigError(
            f"init {config.init} is a {checkpoint.card.backbone}, and backbone asks for {config.backbone}"
        )
    return checkpoint.network


def make_optimiser(network: nn.Module, config: TrainConfig, spread: Spread) -> torch.optim.Optimizer:
    """The optimiser an experiment names; biases and norms are not decayed.

    Args:
        network: whose parameters it changes.
        config: names it, with learning rate and weight decay.
        spread: how work is spread over threads, where the optimiser can.

    Raises:
        ModelError: timm has no such optimiser.
    """
    groups: list[dict[str, Any]] = [
        {"params": [p for p in network.parameters() if p.ndim > 1]},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimiser == "muon":
        return Muon(groups, rate, decay, spread)
    if config.optimiser == "adamw":
        return torch.optim.AdamW(groups, rate, weight_decay=decay, fused=True)
    try:
        return timm.optim.create_optimizer_v2(groups, config.optimiser, rate, decay)
    except ValueError as error:
        known = {"muon", *map(str, timm.optim.list_optimizers())}
        raise ModelError(
            f"timm has no optimiser {config.optimiser!r}; {did_you_mean(config.optimiser, known)}"
        ) from error
