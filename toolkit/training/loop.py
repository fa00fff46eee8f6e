"""Train a face network: epochs of steps, a look at validation, the best checkpoint kept."""

from __future__ import annotations

import ctypes
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from toolkit.data.faces import load_faces
from toolkit.errors import ConfigError
from toolkit.evaluation.faces import evaluate_faces
from toolkit.models.checkpoint import Checkpoint, ModelCard
from toolkit.models.network import FaceNetwork
from toolkit.models.predictor import Predictor, pick_device
from toolkit.training.batches import BatchLoader, FaceBatch
from toolkit.training.config import TrainConfig
from toolkit.training.gradients import ShardedGradients

_logger = logging.getLogger(__name__)

OnProgress = Callable[[int, int, dict[str, float]], None]
"""Called after each step: step from 1, steps in all, values of that step."""

OnEpoch = Callable[[int, dict[str, float]], None]
"""Called after each epoch: epoch from 1, its metrics."""


@dataclass
class TrainResult:
    """What a training left behind; filled while it runs.

    Attributes:
        checkpoint: the best epoch's weights, its card beside them; None before the first epoch ended.
        best_epoch: from 1; 0 before the first.
        epochs: metrics of every epoch, by names such as ``train/loss`` and ``val/gender_accuracy``.
        steps: training steps done.
        images: pictures learned from, repeats counted.
        seconds: wall time, validation included.
        data_sha256: digest of the pack.
        was_interrupted: Ctrl-C ended it early.
    """

    checkpoint: Path | None = None
    best_epoch: int = 0
    epochs: list[dict[str, float]] = field(default_factory=list)
    steps: int = 0
    images: int = 0
    seconds: float = 0.0
    data_sha256: str = ""
    was_interrupted: bool = False


def train(
    config: TrainConfig, on_progress: OnProgress | None = None, on_epoch: OnEpoch | None = None
) -> TrainResult:
    """Train from scratch; the epoch that does best on validation is kept.

    Ctrl-C ends the training and still returns what there is.

    Raises:
        DataError: the pack is missing or a row of it cannot be used.
        ModelError: timm has no such backbone.
        ConfigError: the training split is smaller than one batch.
    """
    training = Training(config)
    torch_threads = torch.get_num_threads()
    try:
        if config.threads is not None:
            torch.set_num_threads(1)
        training.run(on_progress, on_epoch)
    except KeyboardInterrupt:
        training.result.was_interrupted = True
        _logger.warning("training interrupted after step %d", training.result.steps)
    finally:
        torch.set_num_threads(torch_threads)
    return training.result


class Training:
    """One training in progress: what :func:`train` drives from the first step to the last."""

    def __init__(self, config: TrainConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.config = config
        self.result = TrainResult()
        keep_freed_memory()
        torch.manual_seed(config.seed)

        faces = load_faces(config.data)
        self.faces, self.validation_faces = faces.split("train"), faces.split("val")
        self.result.data_sha256 = faces.sha256
        self.steps_per_epoch = len(self.faces) // config.batch_size
        if self.steps_per_epoch == 0:
            raise ConfigError(f"{len(self.faces)} faces do not fill a batch of {config.batch_size}")

        self.device = pick_device(config.device)
        self.network = FaceNetwork(config.backbone, config.drop_rate).to(self.device)
        self.network.to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.AdamW(
            _parameter_groups(self.network, config.weight_decay), lr=config.learning_rate, fused=True
        )
        self.best_score = -math.inf
        self.started_at = self._clock()

    def run(self, on_progress: OnProgress | None, on_epoch: OnEpoch | None) -> None:
        """All epochs, or as many as the budget allows."""
        config = self.config
        with (
            BatchLoader(
                self.faces, config.image_px, config.batch_size, config.seed, config.loader_threads
            ) as loader,
            ShardedGradients(self.network, config.age_weight, config.threads) as self.gradients,
        ):
            for epoch in range(1, config.epochs + 1):
                metrics = self._learn(loader, epoch, on_progress)
                metrics |= self._validate()
                self._keep_if_best(epoch, metrics)
                self.result.epochs.append(metrics)
                self.result.seconds = self._clock() - self.started_at
                if on_epoch:
                    on_epoch(epoch, metrics)
                if self._progress() >= 1:
                    break

    def _learn(self, loader: BatchLoader, epoch: int, on_progress: OnProgress | None) -> dict[str, float]:
        """One pass over the training faces; mean losses and the rate."""
        total_steps = self.steps_per_epoch * self.config.epochs
        sums: dict[str, float] = {}
        started_at, steps = self._clock(), 0
        self.network.train()
        for batch in loader.epoch(epoch):
            learning_rate = self._set_learning_rate()
            values = self._step(batch)
            steps += 1
            self.result.steps += 1
            self.result.images += len(batch.genders)
            sums = {name: sums.get(name, 0.0) + value for name, value in values.items()}
            if on_progress:
                on_progress(self.result.steps, total_steps, values | {"train/learning_rate": learning_rate})
            if self._progress() >= 1:
                break
        rate = steps * self.config.batch_size / (self._clock() - started_at)
        return {name: value / steps for name, value in sums.items()} | {"train/images_per_s": rate}

    def _step(self, batch: FaceBatch) -> dict[str, float]:
        values = self.gradients.compute(FaceBatch(*(tensor.to(self.device) for tensor in batch)))
        # One bad batch early on must not throw the weights far off.
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        return values

    def _progress(self) -> float:
        """How much of the training is done, 0..1, by steps or by time, whichever is further."""
        by_steps = self.result.steps / (self.steps_per_epoch * self.config.epochs)
        if self.config.minutes is None:
            return by_steps
        return max(by_steps, (self._clock() - self.started_at) / (60 * self.config.minutes))

    def _set_learning_rate(self) -> float:
        """Linear warm-up, then half a cosine down to zero (Loshchilov and Hutter, SGDR, ICLR 2017)."""
        progress, warmup = min(self._progress(), 1.0), self.config.warmup_share
        if progress < warmup:
            share = progress / warmup
        else:
            share = 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * share
        return self.config.learning_rate * share

    def _validate(self) -> dict[str, float]:
        scores = evaluate_faces(Predictor(self._checkpoint({}), self.config.device), self.validation_faces)
        return {f"val/{name}": value for name, value in scores.items() if isinstance(value, float)}

    def _keep_if_best(self, epoch: int, metrics: dict[str, float]) -> None:
        score = metrics["val/gender_accuracy"] + metrics["val/age_group_accuracy"]
        if score > self.best_score:
            self.best_score = score
            self.result.best_epoch = epoch
            self.result.checkpoint = self._checkpoint({"epoch": epoch, **metrics}).save(
                Path(self.config.out_dir) / "best.safetensors"
            )

    def _checkpoint(self, metrics: dict[str, float]) -> Checkpoint:
        card = ModelCard(
            backbone=self.config.backbone,
            image_px=self.config.image_px,
            training_data=self.config.data,
            training_data_sha256=self.result.data_sha256,
            licence=self.config.licence,
            metrics=metrics,
        )
        return Checkpoint(self.network, card)


def keep_freed_memory() -> None:
    """Let the C library keep memory it was given back, where it is glibc.

    Every step frees and asks for the same large blocks again; returning them to the kernel in between cost
    a fifth of the training rate in page faults.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        trim_threshold, mmap_max = -1, -4
        mallopt(trim_threshold, -1)
        mallopt(mmap_max, 0)


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    weights = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
