"""The detector in eight bits: nearly the same answers, and only with the weights it was made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from toolkit.errors import ConfigError, ModelError
from toolkit.models.detector.checkpoint import DetectorCard, DetectorCheckpoint
from toolkit.models.detector.finder import FaceFinder
from toolkit.models.detector.int8 import RUNTIME, _OfBytes, add_int8, int8_path, write_int8
from toolkit.models.detector.network import DetectorNetwork
from toolkit.models.runtimes.base import as_arrays, difference
from toolkit.models.runtimes.openvino_runtime import openvino_core


def pictures(count: int, height: int = 96, width: int = 130) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector by chance with its eight bits beside it."""
    pytest.importorskip("nncf")
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("int8") / "face_detector.safetensors"
    DetectorCheckpoint(DetectorNetwork().eval(), DetectorCard()).save(path)
    add_int8(DetectorCheckpoint.load(path), pictures(4), path)
    return path


def test_a_first_layer_of_bytes_gives_the_same_answers() -> None:
    torch.manual_seed(0)
    network, images = DetectorNetwork().eval(), torch.from_numpy(pictures(2))

    with torch.inference_mode():
        answers, expected = as_arrays(_OfBytes(network)(images)), as_arrays(network(images))

    assert difference(answers, expected) < 1e-4


def test_eight_bits_are_taken_by_themselves_and_answer_nearly_as_the_weights_do(weights: Path) -> None:
    size_hw = (100, 131)
    images = pictures(3, *size_hw)

    eight = FaceFinder.load(weights, device="cpu", threads=1).runtime_for(size_hw)
    exact = FaceFinder.load(weights, device="cpu", threads=1, runtime="torch").runtime_for(size_hw)

    assert (eight.name, exact.name) == (RUNTIME, "torch")
    assert difference(eight(images)[:1], exact(images)[:1]) < 0.1


def test_bytes_brighter_than_any_it_was_made_from_are_told_apart(tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    network = DetectorNetwork().eval()

    path = write_int8(network, pictures(4) // 4, tmp_path / "int8.xml")

    layers = openvino_core().read_model(path).get_ordered_ops()
    of_input = next(layer for layer in layers if layer.get_type_name() == "FakeQuantize")
    assert (
        of_input.input_value(0).get_node().get_type_name() == "Convert"
    )  # from bytes: no layer lies between
    assert [of_input.input_value(end).get_node().data.item() for end in range(1, 5)] == [0, 255, 0, 255]


def test_eight_bits_of_other_weights_are_refused(weights: Path, tmp_path: Path) -> None:
    for file in weights.parent.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    int8_path(tmp_path / weights.name).with_suffix(".bin").write_bytes(b"others")

    with pytest.raises(ModelError, match=r"int8\.xml"):
        FaceFinder.load(tmp_path / weights.name)


def test_new_weights_have_no_eight_bits(weights: Path, tmp_path: Path) -> None:
    path = DetectorCheckpoint.load(weights).save(tmp_path / "new.safetensors")

    assert DetectorCheckpoint.load(path).card.int8_sha256 == ""
    with pytest.raises(ConfigError, match="quantize_detector"):
        FaceFinder.load(path, runtime=RUNTIME)
