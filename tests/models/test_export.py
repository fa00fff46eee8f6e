"""Exports: a folder that holds what its card says, and answers as torch does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from made_faces import draw_face

from toolkit.errors import ConfigError, ModelError
from toolkit.models.checkpoint import Checkpoint, ModelCard
from toolkit.models.export import CARD, export
from toolkit.models.network import FaceNetwork
from toolkit.models.predictor import Predictor

SIDE_PX = 32
CARD_OF_MODEL = ModelCard("test_resnet", SIDE_PX, licence="CC0", weights_sha256="ab12")


def faces(count: int) -> list[np.ndarray]:
    return [draw_face(i % 2, 10 * (i % 9), side_px=SIDE_PX, seed=i) for i in range(count)]


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    return Checkpoint(FaceNetwork("test_resnet").eval(), CARD_OF_MODEL)


@pytest.fixture(scope="module")
def exported(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of an export, made once."""
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind)
            export(checkpoint, kind, made[kind], np.stack(faces(24)) if kind.endswith("int8") else None)
        return made[kind]

    return get


@pytest.mark.parametrize(("kind", "years"), [("onnx", 1e-3), ("openvino", 1e-3), ("openvino-int8", 0.5)])
def test_an_exported_folder_predicts_as_the_checkpoint_does(
    kind: str, years: float, checkpoint: Checkpoint, exported: Callable[[str], Path]
) -> None:
    predictor = Predictor.load(exported(kind), threads=2)

    predictions = predictor(faces(11))

    for one, other in zip(predictions, Predictor(checkpoint, "cpu")(faces(11)), strict=True):
        assert one.female_probability == pytest.approx(other.female_probability, abs=years / 10)
        assert one.age_years == pytest.approx(other.age_years, abs=years)
    assert predictor.card == CARD_OF_MODEL
    assert predictor.runtime.reason == f"exported to {exported(kind)}"


def test_the_card_says_what_goes_in_and_how_far_off_it_is(exported: Callable[[str], Path]) -> None:
    card = json.loads((exported("openvino-int8") / CARD).read_text())

    assert card["input"] == {
        "name": "images_nhwc",
        "shape": ["n", SIDE_PX, SIDE_PX, 3],
        "dtype": "uint8",
        "colours": "BGR",
    }
    assert card["model"]["licence"] == "CC0"
    assert card["model"]["weights_sha256"] == "ab12"
    assert card["calibration_pictures"] == 24
    assert 0 < card["difference_from_torch"] < 0.2


def test_int8_holds_its_weights_in_a_quarter_of_the_bytes(exported: Callable[[str], Path]) -> None:
    whole, int8 = (exported(kind) / "model.bin" for kind in ("openvino", "openvino-int8"))

    assert int8.stat().st_size < 0.4 * whole.stat().st_size


def test_an_onnx_file_is_valid_and_tells_nothing_of_the_machine(exported: Callable[[str], Path]) -> None:
    path = exported("onnx") / "model.onnx"

    onnx.checker.check_model(path)

    assert str(Path(__file__).parent.parent.parent).encode() not in path.read_bytes()
    dimension = onnx.load(path).graph.input[0].type.tensor_type.shape.dim[0]
    assert not dimension.HasField("dim_value")


def test_a_changed_file_is_refused(
    checkpoint: Checkpoint, exported: Callable[[str], Path], tmp_path: Path
) -> None:
    for file in exported("openvino").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "model.bin").open("r+b") as weights:
        weights.write(b"other")

    with pytest.raises(ModelError, match="not the file its card describes"):
        Predictor.load(tmp_path)


def test_a_folder_without_a_card_is_no_export(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no folder written by toolkit export"):
        Predictor.load(tmp_path)


@pytest.mark.parametrize(
    ("kind", "pictures", "said"),
    [
        ("tflite", None, "no export 'tflite'"),
        ("openvino-int8", None, "needs calibration pictures"),
        ("onnx", np.zeros((1, SIDE_PX, SIDE_PX, 3), np.uint8), "nothing else takes any"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    kind: str, pictures: np.ndarray | None, said: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        export(checkpoint, kind, tmp_path, pictures)
