"""Train our face detector: made pictures in, weights and their card out."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from toolkit.data.faces import FaceTable, load_faces
from toolkit.data.store import decoded_pictures
from toolkit.errors import ConfigError, ModelError
from toolkit.memory import keep_freed_memory
from toolkit.models.detector.checkpoint import DetectorCard, DetectorCheckpoint
from toolkit.models.detector.network import DetectorNetwork, DetectorOutputs
from toolkit.records import BoxXyxy
from toolkit.training.average import MeanWeights, average_into
from toolkit.training.detector_backgrounds import read_stills
from toolkit.training.detector_batches import DetectorBatch, PictureMill, as_batch
from toolkit.training.detector_bodies import read_bodies
from toolkit.training.detector_config import DetectorTrainConfig
from toolkit.training.detector_gradients import DetectorGradients
from toolkit.training.detector_losses import detector_losses
from toolkit.training.detector_pictures import PictureMaker
from toolkit.training.detector_scores import score_held_back
from toolkit.training.detector_sheet import PICTURE_PX
from toolkit.training.muon import Muon

_logger = logging.getLogger(__name__)

MAX_GRADIENT_NORM = 10.0

VALIDATION_PICTURES = 256

OnProgress = Callable[[float, dict[str, float]], None]
"""Called after each step: how much of the time is over, 0..1, and the values of that step."""

OnValidation = Callable[[int, dict[str, float]], None]
"""Called after each look at held-back pictures: the step, and the values."""


@dataclass
class DetectorTrainResult:
    """What a training left behind.

    Attributes:
        checkpoint: the weights, once they have been saved.
        steps: steps done.
        validations: values of every look at held-back pictures.
        was_interrupted: Ctrl-C ended it early.
    """

    checkpoint: Path | None = None
    steps: int = 0
    validations: list[dict[str, float]] = field(default_factory=list)
    was_interrupted: bool = False


def train_detector(
    config: DetectorTrainConfig,
    on_progress: OnProgress | None = None,
    on_validation: OnValidation | None = None,
) -> DetectorTrainResult:
    """Learn from made pictures until time or steps are over; Ctrl-C keeps what there is.

    Raises:
        DataError: the pack or the stills cannot be read.
        ModelError: the loss is no longer a number.
    """
    torch_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        training = DetectorTraining(config)
        try:
            training.run(on_progress, on_validation)
        except KeyboardInterrupt:
            training.result.was_interrupted = True
            _logger.warning("training interrupted after step %d", training.result.steps)
            training.save({})
        return training.result
    finally:
        torch.set_num_threads(torch_threads)


def average_detectors(
    config: DetectorTrainConfig, checkpoints: Sequence[str | Path], on_validation: OnValidation | None = None
) -> DetectorTrainResult:
    """Keep the mean of the weights of several trainings, judged on held-back pictures as each of them was.

    Args:
        config: of the trainings; says where the mean goes.
        checkpoints: weights that began from the same ones.
        on_validation: told how good the mean is.

    Returns:
        ``steps`` are those of all trainings together.

    Raises:
        ConfigError: there are fewer than two checkpoints.
        ModelError: one of them is missing, damaged, or not a detector's.
    """
    if len(checkpoints) < 2:
        raise ConfigError(f"a mean is one of several checkpoints, got {len(checkpoints)}")
    loaded = [DetectorCheckpoint.load(path) for path in checkpoints]
    training = DetectorTraining(config)
    average_into(training.mean.network, [each.network for each in loaded])
    training.result.steps = sum(int(each.card.metrics.get("steps", 0)) for each in loaded)
    training.validate(on_validation)
    return training.result


class DetectorTraining:
    """One training in progress."""

    def __init__(self, config: DetectorTrainConfig, clock: Callable[[], float] = time.monotonic) -> None:
        keep_freed_memory()
        torch.manual_seed(config.seed)
        self.config = config
        self.result = DetectorTrainResult()
        self._clock = clock
        faces = load_faces(config.data)
        self._sha256 = faces.sha256
        self._stills = read_stills(config.stills) if config.stills else None
        self._bodies = read_bodies(config.stills, config.bodies) if config.stills else []
        self._pictures = _pictures(faces.split("train"))
        self._turned = _turned(config.turned, faces.split("train")) if config.turned else {}
        self._held_back = self._make_validation(_pictures(faces.split("val")))
        first = DetectorNetwork() if config.init is None else DetectorCheckpoint.load(config.init).network
        self.network = first.to(memory_format=torch.channels_last)
        self._gradients = DetectorGradients(self.network, config.image_px, config.threads)
        self.mean = MeanWeights(self.network)
        vectors = [p for p in self.network.parameters() if p.ndim < 2]
        matrices = [p for p in self.network.parameters() if p.ndim >= 2]
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        self._optimiser = Muon(groups, config.learning_rate, config.weight_decay)
        self._started_at = self._clock()

    def run(self, on_progress: OnProgress | None = None, on_validation: OnValidation | None = None) -> None:
        """Learn until time or steps are over."""
        config = self.config
        maker = PictureMaker(
            self._pictures,
            config.image_px,
            (config.seed, 1),
            self._stills,
            bodies=self._bodies,
            turned=self._turned,
        )
        with PictureMill(maker, config.stock, config.seed) as mill, self._gradients:
            self._started_at = self._clock()
            while (progress := self._progress()) < 1:
                values = self._step(mill.batch(config.batch_size), progress)
                if on_progress:
                    on_progress(progress, values | {"pictures_made": float(mill.made)})
                if self.result.steps % config.validate_every_steps == 0:
                    self.validate(on_validation)
        self.validate(on_validation)

    def save(self, metrics: dict[str, float], probability_line: tuple[float, float] = (1.0, 0.0)) -> None:
        """Keep the mean of the weights as it is now."""
        card = DetectorCard(
            probability_line=probability_line,
            training_data=self.config.data,
            training_data_sha256=self._sha256,
            licence=self.config.licence,
            metrics={"steps": self.result.steps, **metrics},
        )
        path = Path(self.config.out_dir, "face_detector.safetensors")
        self.result.checkpoint = DetectorCheckpoint(self.mean.network, card).save(path)

    def _step(self, batch: DetectorBatch, progress: float) -> dict[str, float]:
        rate = _rate(self.config, progress)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        values = self._gradients.compute(batch)
        if not math.isfinite(values["train/loss"]):
            raise ModelError(
                f"the loss is {values['train/loss']} at step {self.result.steps + 1}; "
                f"try a learning_rate below {self.config.learning_rate}"
            )
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        self._optimiser.step()
        # Short at first, when the weights are still chance.
        self.mean.update(min(self.config.ema_decay, (1 + self.result.steps) / (10 + self.result.steps)))
        self.result.steps += 1
        return values | {"train/learning_rate": rate}

    def validate(self, on_validation: OnValidation | None) -> None:
        """Judge the mean of the weights as it is now on held-back pictures, and keep it."""
        scores, line = score_held_back(self.mean.network, self._held_back)
        values = self._held_back_losses() | scores
        self.result.validations.append(values)
        self.save(values, line)
        if on_validation:
            on_validation(self.result.steps, values)

    @torch.inference_mode()
    def _held_back_losses(self) -> dict[str, float]:
        sums: dict[str, float] = {}
        for batch in self._held_back:
            for name, value in _losses(self.mean.network, batch, self.config.image_px).items():
                sums[f"val/{name}"] = sums.get(f"val/{name}", 0.0) + value.item()
        return {name: value / len(self._held_back) for name, value in sums.items()}

    def _make_validation(self, pictures: np.ndarray) -> list[DetectorBatch]:
        maker = PictureMaker(
            pictures, self.config.image_px, (self.config.seed, 2), self._stills, 100, self._bodies
        )
        made = [maker.make() for _ in range(VALIDATION_PICTURES)]
        size = self.config.batch_size
        return [as_batch(made[start : start + size]) for start in range(0, len(made), size)]

    def _progress(self) -> float:
        if self.config.steps is not None:
            return self.result.steps / self.config.steps
        return (self._clock() - self._started_at) / (60 * self.config.minutes)


def _losses(network: DetectorNetwork, batch: DetectorBatch, side_px: int) -> dict[str, torch.Tensor]:
    outputs = DetectorOutputs(*network(batch.images_nhwc))
    return detector_losses(outputs, batch.boxes_xyxy, batch.is_asked, side_px)


def _rate(config: DetectorTrainConfig, progress: float) -> float:
    """Up in a line, then half a cosine down to zero, as in :mod:`toolkit.training.schedule`."""
    if progress < config.warmup_share:
        return config.learning_rate * progress / config.warmup_share
    after = (progress - config.warmup_share) / (1 - config.warmup_share)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, after)))


def _turned(path: str, faces: FaceTable) -> dict[int, BoxXyxy]:
    """By number in the table, the boxes of the faces that are seen from one side."""
    try:
        boxes = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"turned: cannot read the boxes in {path}: {error}") from error
    numbers = {name: number for number, name in enumerate(faces.rows["file"])}
    found: dict[int, BoxXyxy] = {
        numbers[name]: (left, top, right, bottom)
        for name, (left, top, right, bottom) in boxes.items()
        if name in numbers
    }
    if not found:
        raise ConfigError(f"turned: {path} names no picture of {faces.name}; leave turned out for this pack")
    return found


def _pictures(faces: FaceTable) -> np.ndarray:
    return decoded_pictures(faces, PICTURE_PX)
