"""Train a face network: epochs of steps, a look at validation, the best checkpoint kept."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from toolkit.data.faces import load_faces
from toolkit.data.lookalikes import without_lookalikes
from toolkit.data.store import decoded_pictures
from toolkit.errors import ConfigError, ModelError
from toolkit.evaluation.faces import evaluate_faces
from toolkit.memory import keep_freed_memory
from toolkit.models.checkpoint import Checkpoint, ModelCard
from toolkit.models.predictor import Predictor, pick_device
from toolkit.training.augment_batch import vary_batch
from toolkit.training.average import MeanWeights
from toolkit.training.batches import BatchLoader, FaceBatch
from toolkit.training.beginning import (
    check_it_fills_a_batch,
    check_it_learns,
    first_network,
    make_optimiser,
)
from toolkit.training.config import TrainConfig
from toolkit.training.gradients import ShardedGradients, shares
from toolkit.training.ranks import Ranks
from toolkit.training.schedule import learning_rate, picture_px, smoothing
from toolkit.training.state import TrainingState, optimiser_tensors, restore_optimiser, settings_of

_logger = logging.getLogger(__name__)

MAX_GRADIENT_NORM = 5.0
"""One bad batch early on must not throw the weights far off."""

BEST_FILE = "best.safetensors"

STORED_SHARE = 4 / 3
"""Most that decoded pictures may be larger than the network's: beyond it a single resampling aliases."""

OnProgress = Callable[[int, int, dict[str, float]], None]
"""Called after each step: step from 1, steps in all as far as a budget lets one know, values of that step."""

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
        lookalikes_left_out: faces of train or val that look like one of val or test, and were not used.
        was_interrupted: Ctrl-C ended it early.
    """

    checkpoint: Path | None = None
    best_epoch: int = 0
    epochs: list[dict[str, float]] = field(default_factory=list)
    steps: int = 0
    images: int = 0
    seconds: float = 0.0
    data_sha256: str = ""
    lookalikes_left_out: int = 0
    was_interrupted: bool = False


def train(
    config: TrainConfig,
    on_progress: OnProgress | None = None,
    on_epoch: OnEpoch | None = None,
    resume: bool = False,
) -> TrainResult:
    """Train; the epoch that does best on validation is kept.

    Ctrl-C ends the training and still returns what there is. After every epoch all that is needed to go on
    lies in ``config.out_dir``: a training that was ended at any moment, even by ``kill -9``, and resumed
    gives what it would have given in one go; bit for bit on a CPU, unless minutes are its measure.

    Args:
        config: what to train.
        on_progress: called after each step.
        on_epoch: called after each epoch.
        resume: go on from what lies in ``config.out_dir``.

    Raises:
        DataError: the pack is missing or a row of it cannot be used.
        ModelError: timm has no such backbone or optimiser, or the loss is no longer a number.
        ConfigError: the training split is smaller than one batch, the backbone cannot learn from pictures of
            that size or from so few at a time, or there is nothing to resume.
    """
    torch_threads = torch.get_num_threads()
    try:
        if config.threads is not None or pick_device(config.device).type == "cpu":
            torch.set_num_threads(1)
        with Ranks() as ranks:
            training = Training(config, ranks=ranks)
            if resume:
                training.resume()
            try:
                training.run(on_progress, on_epoch)
            except KeyboardInterrupt:
                training.result.was_interrupted = True
                _logger.warning("training interrupted after step %d", training.result.steps)
            return training.result
    finally:
        torch.set_num_threads(torch_threads)


class Training:
    """One training in progress: what :func:`train` drives from the first step to the last."""

    def __init__(
        self,
        config: TrainConfig,
        clock: Callable[[], float] = time.monotonic,
        ranks: Ranks | None = None,
    ) -> None:
        self._clock = clock
        self._ranks = ranks or Ranks()
        self.config = config
        self.folder = Path(config.out_dir)
        self.result = TrainResult()
        keep_freed_memory()
        torch.manual_seed(config.seed)

        pack = load_faces(config.data)
        faces = without_lookalikes(pack)
        self.faces, self.validation_faces = faces.split("train"), faces.split("val")
        self.result.data_sha256 = pack.sha256
        self.result.lookalikes_left_out = len(pack) - len(faces)
        if left_out := self.result.lookalikes_left_out:
            _logger.warning(
                "%s: %d face%s left out of train and val for looking like one of val or test",
                pack.name,
                left_out,
                "s"[: left_out > 1],
            )
        check_it_fills_a_batch(config, len(self.faces))
        self.steps_per_epoch = len(self.faces) // config.batch_size
        if config.batch_size < self._ranks.count:
            raise ConfigError(
                f"{self._ranks.count} processes share every batch: batch_size must be at least that, got "
                f"{config.batch_size}"
            )

        self.device = self._ranks.device(pick_device(config.device))
        on_gpu = config.vary_on == "auto" and self.device.type == "cuda"
        self.varies_on_device = config.vary_on == "device" or on_gpu
        network = first_network(config)
        own = max(1, config.batch_size // self._ranks.count)
        check_it_learns(network, config, fewest=own // min(own, shares(config, self.device)))
        self.network = network.to(self.device).to(memory_format=torch.channels_last)
        self.gradients = ShardedGradients(self.network, config)
        self.mean = MeanWeights(self.network)
        self.optimiser = make_optimiser(self.network, config, self.gradients.spread)
        self.best_score = -math.inf
        self.started_at = self._clock()

    def run(self, on_progress: OnProgress | None = None, on_epoch: OnEpoch | None = None) -> None:
        """All epochs that are left, or as many as budget and patience allow."""
        config = self.config
        pictures = decoded_pictures(self.faces, round(config.image_px * STORED_SHARE))
        share = (self._ranks.rank, self._ranks.count)
        # Reading and decoding count as well as learning, but not what came before a resumed training.
        with (
            BatchLoader(
                self.faces,
                pictures,
                config.batch_size,
                config.seed,
                config.loader_threads,
                config.balance,
                share,
                varies=not self.varies_on_device,
            ) as loader,
            self.gradients,
        ):
            while not self._is_done():
                epoch = len(self.result.epochs) + 1
                metrics = self._learn(loader, epoch, on_progress)
                metrics |= self._validate()
                is_best = self._is_best(metrics)
                self.result.epochs.append(metrics)
                self.result.seconds = self._clock() - self.started_at
                if self._ranks.is_first:
                    # In this order: of a process killed in between, the state brings the checkpoint back.
                    self._state().save(self.folder)
                    if is_best:
                        self._save_best()
                if on_epoch:
                    on_epoch(epoch, metrics)

    def resume(self) -> None:
        """Go on after the last epoch that was completed.

        Raises:
            ConfigError: there is no state in the folder, or it is one of other settings or other data.
        """
        state = TrainingState.load(self.folder, self._settings())
        if state.values["result"]["data_sha256"] != self.result.data_sha256:
            raise ConfigError(f"{self.folder} was trained on other data than {self.config.data} is now")
        self.network.load_state_dict(_part(state.tensors, "network."))
        self.mean.network.load_state_dict(_part(state.tensors, "mean."))
        restore_optimiser(self.optimiser, state.tensors, state.values["optimiser"])
        self.best_score = state.values["best_score"]
        result = state.values["result"]
        checkpoint = self.folder / BEST_FILE if result["best_epoch"] else None
        self.result = TrainResult(**(result | {"checkpoint": checkpoint}))
        if self._ranks.is_first and self.result.best_epoch == len(self.result.epochs):
            self._save_best()
        self.started_at = self._clock() - self.result.seconds

    def _is_done(self) -> bool:
        patience, ended = self.config.patience, len(self.result.epochs)
        gave_up = patience is not None and ended - self.result.best_epoch >= patience
        done = float(ended > 0 and (gave_up or self._progress() >= 1))
        # One process decides: clocks differ, and one that stops alone leaves the others waiting.
        return bool(self._ranks.from_first([done], self.device)[0])

    def _learn(self, loader: BatchLoader, epoch: int, on_progress: OnProgress | None) -> dict[str, float]:
        """One pass over the training faces; mean losses and the rate."""
        sums: dict[str, float] = {}
        started_at, steps = self._clock(), 0
        image_px = picture_px(self.config, self._shared_progress())
        self.network.train()
        for batch in loader.epoch(epoch, image_px):
            progress = self._shared_progress()
            if steps and progress >= 1:
                break
            rate = learning_rate(self.config, progress)
            values = self._step(batch, rate, image_px)
            steps += 1
            sums = {name: sums.get(name, 0.0) + value for name, value in values.items()}
            if on_progress:
                total = max(self.result.steps, round(self.result.steps / max(self._progress(), 1e-9)))
                on_progress(self.result.steps, total, values | {"train/learning_rate": rate})
        per_s = steps * self.config.batch_size / max(self._clock() - started_at, 1e-9)
        means = {name: value / steps for name, value in sums.items()}
        return means | {"train/images_per_s": per_s, "train/image_px": float(image_px)}

    def _step(self, batch: FaceBatch, rate: float, image_px: int) -> dict[str, float]:
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        on_device = FaceBatch(*(tensor.to(self.device, non_blocking=True) for tensor in batch))
        if self.varies_on_device:
            rng = np.random.default_rng((self.config.seed, self.result.steps, self._ranks.rank))
            varied = vary_batch(on_device.images_nhwc, image_px, rng)
            on_device = on_device._replace(images_nhwc=varied)
        seed = (self.config.seed * 1_000_003 + self.result.steps) * self._ranks.count + self._ranks.rank
        values = self.gradients.compute(on_device, seed)
        if not math.isfinite(values["train/loss"]):
            raise ModelError(
                f"the loss is {values['train/loss']} at step {self.result.steps + 1}; "
                f"try a learning_rate below {self.config.learning_rate}"
            )
        self._ranks.average(self.network.parameters(), len(batch.genders) / self.config.batch_size)
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        self.optimiser.step()
        self.mean.update(smoothing(self.config, self.result.steps))
        self.result.steps += 1
        self.result.images += self.config.batch_size
        return values

    def _progress(self) -> float:
        """How much of the training is done, 0..1, by steps or by time, whichever is further."""
        by_steps = self.result.steps / (self.steps_per_epoch * self.config.epochs)
        if self.config.minutes is None:
            return by_steps
        return max(by_steps, (self._clock() - self.started_at) / (60 * self.config.minutes))

    def _shared_progress(self) -> float:
        if self.config.minutes is None:
            return self._progress()
        return self._ranks.from_first([self._progress()], self.device)[0]

    def _validate(self) -> dict[str, float]:
        """Scores of the mean weights; only the first process has them."""
        if not self._ranks.is_first:
            return {}
        predictor = Predictor(self._checkpoint({}), str(self.device))
        scores = evaluate_faces(predictor, self.validation_faces)
        return {f"val/{name}": value for name, value in scores.items() if isinstance(value, float)}

    def _is_best(self, metrics: dict[str, float]) -> bool:
        """Whether this epoch, the next to be noted, is better than all before; all processes know it."""
        score = metrics.get("val/gender_accuracy", 0.0) + metrics.get("val/age_group_accuracy", 0.0)
        score = self._ranks.from_first([score], self.device)[0]
        if score <= self.best_score:
            return False
        self.best_score = score
        self.result.best_epoch = len(self.result.epochs) + 1
        return True

    def _save_best(self) -> None:
        """Keep the weights of the epoch that was noted last."""
        checkpoint = self._checkpoint({"epoch": self.result.best_epoch, **self.result.epochs[-1]})
        self.result.checkpoint = checkpoint.save(self.folder / BEST_FILE)

    def _checkpoint(self, metrics: dict[str, float]) -> Checkpoint:
        card = ModelCard(
            backbone=self.config.backbone,
            image_px=self.config.image_px,
            training_data=self.config.data,
            training_data_sha256=self.result.data_sha256,
            licence=self.config.licence,
            metrics=metrics,
        )
        return Checkpoint(self.mean.network, card)

    def _state(self) -> TrainingState:
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"mean.{name}": tensor for name, tensor in self.mean.network.state_dict().items()}
        memory, numbers = optimiser_tensors(self.optimiser)
        result: dict[str, Any] = asdict(self.result) | {"checkpoint": None}
        values = {"best_score": self.best_score, "optimiser": numbers, "result": result}
        return TrainingState(tensors | memory, values, self._settings())

    def _settings(self) -> dict[str, Any]:
        return settings_of(self.config, shares(self.config, self.device))


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
