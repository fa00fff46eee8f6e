"""``toolkit export``: from a checkpoint and a pack of faces to a folder with scores."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from made_faces import face_rows, write_pack

from toolkit.cli import cli
from toolkit.errors import ConfigError
from toolkit.export_run import SCORES, run_export
from toolkit.models.checkpoint import Checkpoint, ModelCard
from toolkit.models.export import KINDS
from toolkit.models.network import FaceNetwork


def test_the_command_offers_what_there_is() -> None:
    told = CliRunner().invoke(cli, ["export", "--help"]).output

    assert "|".join(KINDS) in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--to openvino-int8", "--to openvino-int8 needs --calibration PACK"),
        ("--calibration faces", "nothing else takes one"),
        ("nowhere.safetensors", "no checkpoint nowhere.safetensors"),
    ],
)
def test_a_slip_is_told_before_torch_is_loaded(monkeypatch, tmp_path: Path, words: str, said: str) -> None:
    monkeypatch.setitem(sys.modules, "toolkit.export_run", None)  # cannot be imported

    ended = CliRunner().invoke(cli, ["export", *words.split(), "-o", str(tmp_path / "out")])

    assert said in str(ended.exception)


def test_int8_is_calibrated_on_the_named_faces_and_scored_beside_torch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = Checkpoint(FaceNetwork("test_resnet"), ModelCard("test_resnet", 32)).save(tmp_path / "model")
    listener = logging.NullHandler()
    logging.getLogger("nncf").addHandler(listener)
    pack, folder, told = write_pack(tmp_path / "faces.parquet"), tmp_path / "out", tmp_path / "told.json"

    words = (
        f"export {weights} --to openvino-int8 -o {folder} --calibration {pack} --data {pack} --json {told}"
    )
    result = CliRunner().invoke(cli, [*words.split(), "--calibration", str(pack)], catch_exceptions=False)

    values = json.loads(told.read_text())
    assert "differ from torch's by" in result.output
    assert values["card"]["calibration_pictures"] == 12
    assert values["scores"]["torch"]["n"] == values["scores"]["exported"]["n"] == 18
    assert listener.level == logging.NOTSET, "who listens to the log goes on hearing all of it"


def test_faces_of_unknown_age_are_scored_by_gender_alone(monkeypatch, tmp_path: Path) -> None:
    scores = dict.fromkeys(SCORES) | {"n": 9, "gender_accuracy": 0.5}
    result = {"card": {"file": "model.onnx", "difference_from_torch": 0.0}, "scores": {"torch": scores}}
    monkeypatch.setattr("toolkit.export_run.run_export", lambda *args: result)

    told = CliRunner().invoke(cli, ["export", "-o", str(tmp_path), "--data", "faces"], catch_exceptions=False)

    assert told.stdout.split()[-6:] == ["torch", "9", "50.00%", "–", "–", "–"]


def test_int8_is_not_calibrated_on_the_faces_that_are_scored(tmp_path: Path) -> None:
    rows = face_rows(12).assign(split="test")
    rows.to_parquet(tmp_path / "test.parquet")
    pack = str(tmp_path / "test.parquet")

    with pytest.raises(ConfigError, match="has no split train, and --data scores its faces"):
        run_export("shipped", "openvino-int8", tmp_path / "out", calibration=pack, data=pack)
