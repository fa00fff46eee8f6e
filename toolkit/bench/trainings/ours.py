"""Our training loop, and its model alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from toolkit.bench.trainings.measure import Meter
from toolkit.memory import keep_freed_memory
from toolkit.models.predictor import pick_device
from toolkit.training.batches import FaceBatch
from toolkit.training.beginning import first_network, make_optimiser
from toolkit.training.config import TrainConfig
from toolkit.training.gradients import ShardedGradients
from toolkit.training.loop import Training

_FOR_EVER = 1_000_000


def as_training(settings: dict[str, Any], pack: Path) -> TrainConfig:
    """The training a bench's settings stand for."""
    shared = ("backbone", "image_px", "batch_size", "threads", "precision", "optimiser", "device")
    return TrainConfig(
        data=str(pack),
        epochs=_FOR_EVER,
        out_dir=settings["folder"],
        **{name: settings[name] for name in shared},
    )


def check_can_train(settings: dict[str, Any]) -> None:
    """Refuse a backbone, an optimiser or a device that is not there, before anything is measured.

    Raises:
        ModelError: timm has no such backbone or optimiser.
        ConfigError: there is no such device here.
    """
    config = as_training(settings | {"folder": ""}, Path())
    make_optimiser(first_network(config).to(pick_device(config.device)), config, map)


class Loop:
    """``toolkit train`` without its record.

    Args:
        settings: of the bench.
        pack: what is learned.
    """

    def __init__(self, settings: dict[str, Any], pack: Path) -> None:
        # The decoded pictures are the bench's, not the user's.
        os.environ["XDG_CACHE_HOME"] = settings["folder"]
        torch.set_num_threads(1)
        self._training = Training(as_training(settings, pack))

    def run(self, meter: Meter) -> None:
        """Learn until the meter has enough; what an epoch ends with counts too."""
        batch_size = self._training.config.batch_size
        self._training.run(lambda step, total, values: meter.step(batch_size))


class ModelOnly:
    """The same network, gradients and optimiser on one batch that lies in memory: no picture is made.

    Args:
        settings: of the bench.
        pack: is not read.
    """

    def __init__(self, settings: dict[str, Any], pack: Path) -> None:
        keep_freed_memory()
        torch.set_num_threads(1)
        config = as_training(settings, pack)
        self._network = first_network(config).to(settings["device"]).to(memory_format=torch.channels_last)
        self._gradients = ShardedGradients(self._network, config)
        self._optimiser = make_optimiser(self._network, config, self._gradients.spread)
        self._batch = one_batch(settings)

    def run(self, meter: Meter) -> None:
        """Learn until the meter has enough."""
        self._network.train()
        with self._gradients:
            while True:
                self._gradients.compute(self._batch, seed=0)
                self._optimiser.step()
                meter.step(len(self._batch.genders))


def one_batch(settings: dict[str, Any]) -> FaceBatch:
    """Noise with labels, on the bench's device."""
    count, side_px = settings["batch_size"], settings["image_px"]
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, side_px, side_px, 3), dtype=torch.uint8, generator=generator)
    ages = torch.randint(0, 90, (count,), generator=generator)
    batch = FaceBatch(images, ages % 2, ages, ages)
    return FaceBatch(*(tensor.to(settings["device"]) for tensor in batch))
