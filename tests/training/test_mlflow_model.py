"""A checkpoint goes through MLflow and comes back the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from made_faces import draw_face

from toolkit.errors import ConfigError
from toolkit.models.checkpoint import Checkpoint, ModelCard
from toolkit.models.network import FaceNetwork
from toolkit.models.predictor import Predictor
from toolkit.training.mlflow_model import save_mlflow_model

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    return Checkpoint(FaceNetwork("test_resnet").eval(), ModelCard("test_resnet", 32)).save(path)


@pytest.fixture(scope="module")
def folder(checkpoint: Path) -> Path:
    folder = checkpoint.parent / "mlflow"
    save_mlflow_model(checkpoint, folder, draw_face(1, 30, 32))
    return folder


@pytest.fixture(scope="module")
def loaded(folder: Path) -> PyFuncModel:
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(folder))


def test_the_loaded_model_says_what_the_checkpoint_says(checkpoint: Path, loaded: PyFuncModel) -> None:
    images = np.stack([draw_face(gender, 30 + gender, 32, gender) for gender in (0, 1)])

    told = loaded.predict(images)

    expected = Predictor.load(checkpoint, "cpu", runtime="torch").predict_arrays(list(images))
    assert told["female_probability"].tolist() == pytest.approx(expected.female_probability.tolist())
    assert told["age_years"].tolist() == pytest.approx(expected.age_years.tolist())


def test_signature_and_example_are_part_of_it(folder: Path) -> None:
    from mlflow.models import Model

    model = Model.load(str(folder))

    assert model.signature.inputs.inputs[0].shape == (-1, 32, 32, 3)
    assert model.signature.outputs.input_names()[0] == "female_probability"
    assert np.array_equal(model.load_input_example(str(folder)), draw_face(1, 30, 32)[None])


def test_pictures_of_another_size_are_refused_by_the_signature(loaded: PyFuncModel) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="32"):
        loaded.predict(np.zeros((1, 48, 48, 3), np.uint8))


def test_another_runtime_may_be_asked_for(folder: Path) -> None:
    from mlflow.pyfunc import load_model

    with pytest.raises(ConfigError, match="no runtime 'abacus'"):
        load_model(str(folder), model_config={"runtime": "abacus"})


def test_nothing_in_it_is_pickled(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]

    assert {path.suffix for path in files} <= {"", ".json", ".safetensors", ".txt", ".yaml"}
    assert all(json.loads(path.read_text()) for path in files if path.suffix == ".json")
