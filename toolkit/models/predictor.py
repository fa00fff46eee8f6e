"""Crops in, predictions out: the network as the rest of the house sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from toolkit.errors import ConfigError
from toolkit.models.checkpoint import SHIPPED, Checkpoint
from toolkit.models.export import open_export
from toolkit.models.network import AGE_BINS, read_age
from toolkit.models.preprocess import make_batch
from toolkit.models.runtime import open_runtime
from toolkit.records import Crop, Prediction


class PredictionArrays(NamedTuple):
    """Predictions of N crops as arrays, for evaluation.

    Attributes:
        female_probability: (N,), float32.
        age_years: (N,), float32, expectation of the age distribution.
        age_spread_years: (N,), float32, its standard deviation.
        age_distribution: (N, 101), float32, one probability per year.
    """

    female_probability: np.ndarray
    age_years: np.ndarray
    age_spread_years: np.ndarray
    age_distribution: np.ndarray


class Predictor:
    """A trained network that takes crops; any thread may call it.

    Args:
        checkpoint: network and card. The network itself stays as it is, and may go on learning. Or a folder
            that ``toolkit export`` wrote; that runs as it was exported, on the CPU.
        device: ``"auto"`` takes a GPU where there is one; else a torch device such as ``"cpu"``.
        batch_size: crops that go through the network at once; more are cut into batches of this size.
        threads: on the CPU; None takes as many as this process may use cores.
        runtime: what runs the network, see :func:`toolkit.models.runtime.open_runtime`.

    Attributes:
        card: what is known of the weights.
        runtime: what runs them: its name, threads, and the reason it was chosen.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | Path,
        device: str = "auto",
        batch_size: int = 64,
        threads: int | None = None,
        runtime: str = "torch",
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
        self.batch_size = batch_size
        if isinstance(checkpoint, Path):
            self.runtime, self.card = open_export(checkpoint, threads)
            return
        self.card = checkpoint.card
        on = str(pick_device(device))
        self.runtime = open_runtime(checkpoint.network, self.card.image_px, runtime, threads, on)

    @classmethod
    def load(
        cls,
        path: str | Path = SHIPPED,
        device: str = "auto",
        batch_size: int = 64,
        threads: int | None = None,
        runtime: str = "auto",
    ) -> Predictor:
        """A predictor from a checkpoint on disk, from an exported folder, or the one that comes along.

        Raises:
            ModelError: the checkpoint is missing, damaged, or does not fit its network.
            ConfigError: there is no such runtime or device here.
        """
        exported = Path(path)
        if exported.is_dir():
            return cls(exported, device, batch_size, threads)
        return cls(Checkpoint.load(path), device, batch_size, threads, runtime)

    def __call__(self, crops: Sequence[np.ndarray | Crop]) -> list[Prediction]:
        """One prediction per crop, in order; none for none.

        Args:
            crops: pictures (H, W, 3), uint8, BGR, of any size.

        Raises:
            ShapeError: a crop is not such a picture; the text names its index.
        """
        arrays = self.predict_arrays(crops)
        columns = (column.tolist() for column in arrays[:3])
        return [_prediction(*values) for values in zip(*columns, strict=True)]

    def predict_arrays(self, crops: Sequence[np.ndarray | Crop]) -> PredictionArrays:
        """The same as a call, as arrays and with the whole age distribution."""
        images = make_batch(crops, self.card.image_px)
        parts = [self._run(images[i : i + self.batch_size]) for i in range(0, len(images), self.batch_size)]
        if not parts:
            empty = np.zeros(0, np.float32)
            return PredictionArrays(empty, empty, empty, np.zeros((0, AGE_BINS), np.float32))
        return PredictionArrays(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _run(self, images_nhwc: np.ndarray) -> PredictionArrays:
        gender_logits, age_logits = self.runtime(images_nhwc)
        # In double precision, in which 101 small numbers add up.
        female = 1.0 / (1.0 + np.exp(-gender_logits.astype(np.float64)))
        odds = np.exp(age_logits - age_logits.max(axis=1, keepdims=True), dtype=np.float64)
        distribution = odds / odds.sum(axis=1, keepdims=True)
        age, spread = read_age(distribution)
        return PredictionArrays(
            *(values.astype(np.float32) for values in (female, age, spread, distribution))
        )


def pick_device(name: str) -> torch.device:
    """The torch device of that name; ``"auto"`` is a GPU where there is one, else the CPU.

    Raises:
        ConfigError: torch knows no such device, or it is not on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"no device {name!r} here ({error}); use 'auto' or 'cpu'") from error


def _prediction(female_probability: float, age_years: float, spread_years: float) -> Prediction:
    if female_probability > 0.5:
        return Prediction("female", female_probability, age_years, spread_years)
    return Prediction("male", 1.0 - female_probability, age_years, spread_years)
