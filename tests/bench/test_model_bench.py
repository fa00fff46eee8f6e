"""The bench of the runtimes: everybody gets the same pictures and no more cores than said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from toolkit.bench.config import ModelBenchConfig
from toolkit.bench.models.cases import CONTENDERS, files_needed, model_cases, model_contenders
from toolkit.bench.models.files import model_files, network_named
from toolkit.bench.rounds import run_rounds
from toolkit.cli import cli
from toolkit.errors import ConfigError
from toolkit.models.checkpoint import Checkpoint, ModelCard
from toolkit.models.network import FaceNetwork


@pytest.fixture(autouse=True)
def shipped_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is exported within a second stands for the shipped one."""
    torch.manual_seed(0)
    small = Checkpoint(FaceNetwork("test_resnet").eval(), ModelCard("test_resnet", 32))
    monkeypatch.setattr(Checkpoint, "load", lambda: small)


def test_those_that_read_files_are_measured_and_compared() -> None:
    names = ("onnxruntime", "openvino", "network-alone", "onnxruntime-plain", "openvino-plain")
    config = ModelBenchConfig(
        contenders=names, models=("shipped",), batches=(3,), threads=(1,), rounds=1, seconds=0.05
    )

    with model_files(config.models, files_needed(names)) as (files, sizes_px):
        cases = model_cases(config, sizes_px, files)
        (case,) = run_rounds(cases, CONTENDERS, rounds=1, timeout_s=60).values()

    assert {name: one.get("error") for name, one in case["contenders"].items()} == dict.fromkeys(names)
    for one in case["contenders"].values():
        assert one["rate_per_s"] == pytest.approx(3000 / one["p50_ms"], rel=0.01)
        assert one["batches"] >= 5
    assert case["ratios"]["limit"] == "network-alone"
    assert case["ratios"]["best_peer"].endswith("-plain")


def test_the_command_measures_torch_too_and_leaves_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    few = "rounds=1 seconds=0.05 models=[test_resnet] batches=[2] threads=[1] contenders=[torch]"

    words = [f"bench.model.{setting}" for setting in few.split()]
    CliRunner().invoke(cli, ["bench", "model", *words, "--json", "told.json"], catch_exceptions=False)

    (case,) = json.loads(Path("told.json").read_text())["cases"].values()
    assert case["title"] == "test_resnet at 224 px, batch 2, 1 thread, pictures/s"
    assert case["contenders"]["torch"]["rate_per_s"] > 0


def test_a_classifier_has_the_same_weights_in_every_process() -> None:
    one, other = (network_named("test_resnet")[0].state_dict() for _ in range(2))

    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_takes_a_minute_to_compile_is_measured_only_when_asked_for() -> None:
    assert "torch-compiled" not in model_contenders(ModelBenchConfig())
    assert model_contenders(ModelBenchConfig(contenders=("torch-compiled",))) == ("torch-compiled",)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"batches": (0,)}, "batches must be numbers from 1"), ({"threads": ()}, "threads must be numbers")],
)
def test_settings_that_measure_nothing_are_refused(settings: dict[str, tuple[int, ...]], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ModelBenchConfig(**settings)


def test_an_unknown_contender_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'openvino"):
        model_contenders(ModelBenchConfig(contenders=("openvno",)))
