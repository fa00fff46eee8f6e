"""What a training begins with: a network, and an optimiser for it."""

from __future__ import annotations

import copy
from typing import Any

import timm.data
import timm.optim
import torch
from torch import nn

from toolkit.errors import ConfigError, ModelError, did_you_mean
from toolkit.models.checkpoint import Checkpoint
from toolkit.models.network import FaceNetwork
from toolkit.models.predictor import pick_device
from toolkit.training.config import TrainConfig
from toolkit.training.muon import Muon, Spread
from toolkit.training.precision import learns_in_bf16

_UNFIT = {
    "adahessian": "it needs second derivatives, which are not worked out here",
    **dict.fromkeys(("kron", "kronc", "kronw"), "it compiles for minutes, and takes 100 GB for a layer"),
}
"""Optimisers of timm that no training of ours can use, and why."""


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


def check_it_begins(config: TrainConfig, faces: int) -> None:
    """Make what a training begins with, and leave it: a mistake in its settings is told long before its turn.

    Args:
        config: of the training.
        faces: that it learns from.

    Raises:
        ModelError, ConfigError: as :func:`check_it_fills_a_batch`, :func:`first_network`,
            :func:`check_it_learns`, :func:`make_optimiser`.
    """
    check_it_fills_a_batch(config, faces)
    network = first_network(config)
    check_it_learns(network, config, fewest=config.batch_size)
    # There, because what a network can learn in depends on it.
    make_optimiser(network.to(pick_device(config.device)), config, map)


def check_it_fills_a_batch(config: TrainConfig, faces: int) -> None:
    """Every step takes a whole batch: there must be one.

    Raises:
        ConfigError: there are fewer faces.
    """
    if faces < config.batch_size:
        raise ConfigError(f"{faces} faces do not fill a batch of {config.batch_size}")


def check_it_learns(network: FaceNetwork, config: TrainConfig, fewest: int) -> None:
    """Have a copy of the network look at blank pictures, so that what it cannot take is told before the work.

    Many transformers take one size alone, and batch normalisation cannot learn from one picture that has
    shrunk to a single pixel.

    Args:
        network: before the first step.
        config: names it, and the size of the pictures.
        fewest: pictures that it learns from at a time, at the least.

    Raises:
        ConfigError: it cannot learn from such pictures, or from so few.
    """
    trial = copy.deepcopy(network).train()
    for side_px in sorted({config.start_px or config.image_px, config.image_px}):
        if mistake := _mistake(trial, 2, side_px):
            made_for_px = timm.data.resolve_model_data_config(trial.backbone)["input_size"][-1]
            raise ConfigError(
                f"{config.backbone} takes no pictures of {side_px} px: {mistake}; set image_px to "
                f"{made_for_px}, which it was made for, without start_px, or name another backbone"
            )
        if fewest == 1 and (mistake := _mistake(trial, 1, side_px)):
            raise ConfigError(
                f"{config.backbone} cannot learn from one picture of {side_px} px at a time: {mistake}; "
                f"batch_size must be at least 2 for each of threads and processes, got {config.batch_size}"
            )


def _mistake(network: FaceNetwork, count: int, side_px: int) -> str:
    """What the network says of pictures it cannot take; nothing if it can."""
    # The chance of its own dropout must not move that of the training.
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            network(torch.zeros((count, side_px, side_px, 3), dtype=torch.uint8))
        except (AssertionError, RuntimeError, ValueError) as error:
            return str(error).rstrip(".") or type(error).__name__
    return ""


def make_optimiser(network: nn.Module, config: TrainConfig, spread: Spread) -> torch.optim.Optimizer:
    """The optimiser an experiment names; biases and norms are not decayed.

    Args:
        network: whose parameters it changes.
        config: names it, with learning rate and weight decay.
        spread: how work is spread over threads, where the optimiser can.

    Raises:
        ModelError: timm has no such optimiser, or it cannot be used here.
    """
    if reason := _UNFIT.get(config.optimiser.lower().removeprefix("lookahead_")):
        raise ModelError(f"optimiser {config.optimiser!r} does not fit: {reason}; use 'muon' or 'adamw'")
    groups: list[dict[str, Any]] = [
        {"params": [p for p in network.parameters() if p.ndim > 1]},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimiser == "muon":
        return Muon(groups, rate, decay, spread, learns_in_bf16(network, config))
    if config.optimiser == "adamw":
        return torch.optim.AdamW(groups, rate, weight_decay=decay, fused=True)
    try:
        return timm.optim.create_optimizer_v2(groups, config.optimiser, rate, decay)
    except ValueError as error:
        known = {"muon", *map(str, timm.optim.list_optimizers())}
        raise ModelError(
            f"timm has no optimiser {config.optimiser!r}; {did_you_mean(config.optimiser, known)}"
        ) from error
    except (AssertionError, ImportError) as error:
        # Those of APEX and bitsandbytes need a GPU, and their own package.
        raise ModelError(f"no optimiser {config.optimiser!r} here: {error}; use 'muon' or 'adamw'") from error
