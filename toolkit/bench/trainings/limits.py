"""The model alone, as torch itself spreads it over the cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from toolkit.bench.trainings.measure import Meter
from toolkit.bench.trainings.ours import as_training, one_batch
from toolkit.memory import keep_freed_memory
from toolkit.training.beginning import first_network, make_optimiser
from toolkit.training.losses import face_losses
from toolkit.training.precision import learns_in_bf16


class TorchOnly:
    """Forward, backward and step on one batch in memory, channels-last, with torch's own threads.

    Args:
        settings: of the bench.
        pack: is not read.
    """

    def __init__(self, settings: dict[str, Any], pack: Path) -> None:
        keep_freed_memory()
        torch.set_num_threads(settings["threads"])
        config = as_training(settings, pack)
        self._network = first_network(config).to(settings["device"]).to(memory_format=torch.channels_last)
        self._optimiser = make_optimiser(self._network, config, map)
        self._bf16 = learns_in_bf16(self._network, config)
        self._batch = one_batch(settings)

    def run(self, meter: Meter) -> None:
        """Learn until the meter has enough."""
        self._network.train()
        while True:
            with torch.autocast(self._batch.images_nhwc.device.type, torch.bfloat16, enabled=self._bf16):
                outputs = self._network(self._batch.images_nhwc)
            losses = face_losses(outputs, *self._batch[1:])
            self._optimiser.zero_grad()
            (losses.gender + 0.5 * losses.age).backward()
            self._optimiser.step()
            meter.step(len(self._batch.genders))
