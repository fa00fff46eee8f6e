"""A checkpoint as an MLflow model: with its signature, an example of its input, and nothing pickled."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toolkit.models.predictor import Predictor

WEIGHTS = "model.safetensors"
CONFIG = {"runtime": "torch"}
COLUMNS = ("female_probability", "age_years", "age_spread_years")
_PACKAGES = ("numpy", "safetensors", "timm", "torch")


class FacePredictor:
    """What ``mlflow.pyfunc.load_model`` gives to call ``predict`` of.

    Args:
        predictor: the model.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, images: np.ndarray) -> pd.DataFrame:
        """One row per picture, with :data:`COLUMNS`.

        Args:
            images: (N, S, S, 3), uint8, BGR.
        """
        arrays = self._predictor.predict_arrays(list(images))
        return pd.DataFrame({name: getattr(arrays, name) for name in COLUMNS})


def save_mlflow_model(checkpoint: Path, folder: Path, example: np.ndarray) -> None:
    """Write a folder that ``mlflow.pyfunc.load_model`` takes where this package is installed.

    It runs in torch; ``load_model(folder, model_config={"runtime": "auto"})`` takes what is quickest instead.

    Args:
        checkpoint: the .safetensors file, its card beside it.
        folder: to write; it must not exist.
        example: (S, S, 3), uint8, BGR: a picture of what it is used on.
    """
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    side_px = example.shape[0]
    signature = ModelSignature(
        Schema([TensorSpec(np.dtype(np.uint8), (-1, side_px, side_px, 3))]),
        Schema([ColSpec(DataType.float, name) for name in COLUMNS]),
    )
    data = folder.with_name(f"{folder.name}-data")
    data.mkdir(parents=True)
    shutil.copy(checkpoint, data / WEIGHTS)
    shutil.copy(checkpoint.with_suffix(".json"), (data / WEIGHTS).with_suffix(".json"))
    mlflow.pyfunc.save_model(
        folder,
        loader_module=__name__,
        data_path=str(data),
        signature=signature,
        model_config=CONFIG,
        input_example=example[None],
        # Named, for MLflow would load the model a second time to find them out.
        pip_requirements=[f"{name}=={version(name)}" for name in _PACKAGES],
    )
    shutil.rmtree(data)


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> FacePredictor:
    """Called by MLflow with the folder of the weights, and the settings of whoever loads them."""
    # Torch, unless asked otherwise: what was recorded says the same on every machine.
    runtime = (model_config or CONFIG)["runtime"]
    return FacePredictor(Predictor.load(Path(path) / WEIGHTS, runtime=runtime))
