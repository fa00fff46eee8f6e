"""A loop put together of timm's parts, as its training script does it, which is not in the package."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from timm.data.transforms_factory import create_transform
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3
from torch import nn
from torch.utils.data import DataLoader, Dataset

from toolkit.bench.trainings.measure import Meter
from toolkit.bench.trainings.ours import as_training
from toolkit.data.faces import FaceTable, load_faces
from toolkit.training.precision import learns_in_bf16

WORKERS = 1
"""Processes that make pictures: our loop has one thread for it."""


class TimmParts:
    """timm's transforms (crop, mirror, colour, erasing) in torch's DataLoader, its model, mean and AdamW.

    Args:
        settings: of the bench.
        pack: what is learned: gender alone, as a classification into two.
    """

    def __init__(self, settings: dict[str, Any], pack: Path) -> None:
        torch.set_num_threads(settings["threads"])
        transform = create_transform(
            settings["image_px"], is_training=True, color_jitter=0.2, re_prob=0.2, scale=(0.7, 1.0)
        )
        self._loader = DataLoader(
            _Pictures(load_faces(pack, "train"), transform),
            settings["batch_size"],
            shuffle=True,
            num_workers=WORKERS,
            drop_last=True,
            persistent_workers=True,
        )
        self._device = torch.device(settings["device"])
        model = timm.create_model(settings["backbone"], num_classes=2)
        self._model = model.to(self._device).to(memory_format=torch.channels_last)
        # What its script does when it is asked for half precision (--amp, --amp-dtype bfloat16).
        self._bf16 = learns_in_bf16(self._model, as_training(settings, pack))
        name = "adamw" if settings["optimiser"] == "muon" else settings["optimiser"]
        self._optimiser = create_optimizer_v2(self._model, name, lr=1e-3, weight_decay=0.05)
        self._mean = ModelEmaV3(self._model, decay=0.998)

    def run(self, meter: Meter) -> None:
        """Learn until the meter has enough."""
        criterion = nn.CrossEntropyLoss()
        self._model.train()
        while True:
            for images, labels in self._loader:
                images = images.to(self._device).to(memory_format=torch.channels_last)
                self._optimiser.zero_grad()
                with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
                    loss = criterion(self._model(images), labels.to(self._device))
                loss.backward()
                self._optimiser.step()
                self._mean.update(self._model)
                meter.step(len(labels))


class _Pictures(Dataset[tuple[torch.Tensor, int]]):
    def __init__(self, faces: FaceTable, transform: Any) -> None:
        self._jpegs = faces.rows["image"].tolist()
        self._labels: np.ndarray = faces.genders
        self._transform = transform

    def __len__(self) -> int:
        return len(self._jpegs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        picture = Image.open(io.BytesIO(self._jpegs[index])).convert("RGB")
        return self._transform(picture), int(self._labels[index])
