"""A training that was ended at any moment goes on to the same result."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_faces import write_pack
from safetensors.torch import load_file, save_file

from toolkit.errors import ConfigError, ModelError
from toolkit.models.checkpoint import Checkpoint
from toolkit.training.config import TrainConfig
from toolkit.training.loop import TrainResult, train
from toolkit.training.state import STATE_FILE, TrainingState


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        data=str(write_pack(tmp_path / "made.parquet", train=48, val=12)),
        backbone="test_resnet",
        image_px=32,
        start_px=16,
        epochs=4,
        batch_size=8,
        balance=0.5,
        threads=2,
        drop_rate=0.3,
        device="cpu",
        out_dir=str(tmp_path / "whole"),
    )


def assert_same(one: TrainResult, other: TrainResult) -> None:
    """Same weights, memory of the optimiser and metrics, bit for bit; rates are of the clock."""
    assert one.checkpoint is not None
    assert other.checkpoint is not None
    folders = one.checkpoint.parent, other.checkpoint.parent
    for name in (STATE_FILE, "best.safetensors"):
        tensors, others = (load_file(folder / name) for folder in folders)
        assert tensors.keys() == others.keys()
        assert all(torch.equal(tensors[key], others[key]) for key in tensors)
    timeless = [
        [{k: v for k, v in epoch.items() if not k.endswith("per_s")} for epoch in result.epochs]
        for result in (one, other)
    ]
    assert timeless[0] == timeless[1]
    assert (one.best_epoch, one.steps, one.images) == (other.best_epoch, other.steps, other.images)


@pytest.mark.parametrize("step", [7, 12, 23])
def test_an_interrupted_training_resumes_to_the_same_bits(config: TrainConfig, step: int) -> None:
    assert_resumes(config, step)


def test_in_half_precision_too_the_bits_are_the_same(config: TrainConfig) -> None:
    assert_resumes(replace(config, precision="bf16", start_px=None, image_px=64, epochs=2), step=7)


def assert_resumes(config: TrainConfig, step: int) -> None:
    whole = train(config)

    def interrupt(now: int, total: int, values: dict[str, float]) -> None:
        if now == step:
            raise KeyboardInterrupt

    halves = replace(config, out_dir=f"{config.out_dir}-{step}")
    assert train(halves, interrupt).was_interrupted

    assert_same(train(halves, resume=True), whole)


_KILLED_AT_STEP_15 = """
import json, os, signal, sys
from toolkit.training.config import TrainConfig
from toolkit.training.loop import train

def kill(step, total, values):
    if step == 15:
        os.kill(os.getpid(), signal.SIGKILL)

train(TrainConfig(**json.loads(sys.argv[1])), kill)
"""


def test_a_killed_process_resumes_to_the_same_bits(config: TrainConfig, tmp_path: Path) -> None:
    whole = train(config)
    killed = replace(config, out_dir=str(tmp_path / "killed"))

    done = subprocess.run(
        [sys.executable, "-c", _KILLED_AT_STEP_15, json.dumps(asdict(killed))], timeout=120, check=False
    )

    assert done.returncode == -9
    assert_same(train(killed, resume=True), whole)


def test_a_checkpoint_that_breaks_off_while_it_is_written_is_written_again(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(config)
    halves = replace(config, out_dir=f"{config.out_dir}-halves")
    save = Checkpoint.save

    def breaks_off(checkpoint: Checkpoint, path: Path) -> Path:
        saved = save(checkpoint, path)
        # The weights are those of this epoch, their card is not.
        saved.with_suffix(".json").write_text("{}")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "save", breaks_off)
        assert train(halves).was_interrupted

    again = train(halves, resume=True)

    assert_same(again, whole)
    assert again.checkpoint is not None
    Checkpoint.load(again.checkpoint)


@pytest.mark.parametrize(
    "other", [{"optimiser": "muon"}, {"optimiser": "nadamw"}, {"optimiser": "lamb"}, {"vary_on": "device"}]
)
def test_other_ways_to_learn_resume_too(config: TrainConfig, other: dict[str, Any]) -> None:
    config = replace(config, **other, epochs=2)
    whole = train(config)

    def interrupt(now: int, total: int, values: dict[str, float]) -> None:
        if now == 8:
            raise KeyboardInterrupt

    halves = replace(config, out_dir=f"{config.out_dir}-halves")
    train(halves, interrupt)

    assert_same(train(halves, resume=True), whole)


def test_a_finished_training_is_not_trained_again(config: TrainConfig) -> None:
    config = replace(config, epochs=1)
    first = train(config)
    steps: list[int] = []

    again = train(config, lambda step, total, values: steps.append(step), resume=True)

    assert not steps
    assert again.epochs == first.epochs


def test_a_state_that_breaks_off_while_it_is_written_leaves_the_one_before(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TrainingState({"a": torch.ones(1)}, {"n": 1}).save(tmp_path)

    def breaks_off(tensors: object, path: Path, text: object) -> None:
        path.write_bytes(b"half a")
        raise OSError("no space left on device")

    monkeypatch.setattr("toolkit.training.state.save_file", breaks_off)
    with pytest.raises(OSError, match="no space"):
        TrainingState({"a": torch.zeros(1)}).save(tmp_path)

    assert load_file(tmp_path / STATE_FILE)["a"].item() == 1.0


def test_resuming_under_other_settings_is_refused_by_name(config: TrainConfig) -> None:
    config = replace(config, epochs=1)
    train(config)

    with pytest.raises(ConfigError, match=r"other settings: learning_rate was 0\.002, is 0\.1; use the same"):
        train(replace(config, learning_rate=0.1, loader_threads=2), resume=True)


def test_resuming_where_there_are_other_cores_is_refused_and_goes_on_with_as_many_threads(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, threads=None, batch_size=64, epochs=1)
    write_pack(Path(config.data), train=70, val=12)
    monkeypatch.setattr("toolkit.training.gradients.usable_threads", lambda: 2)
    train(config)

    monkeypatch.setattr("toolkit.training.gradients.usable_threads", lambda: 1)
    with pytest.raises(ConfigError, match="other settings: threads was 2, is 1"):
        train(config, resume=True)
    assert len(train(replace(config, threads=2), resume=True).epochs) == 1


def test_resuming_with_other_data_is_refused(config: TrainConfig) -> None:
    config = replace(config, epochs=1)
    train(config)
    write_pack(Path(config.data), train=40, val=12)

    with pytest.raises(ConfigError, match="trained on other data"):
        train(config, resume=True)


def test_nothing_to_resume_is_said(config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match="nothing to resume in"):
        train(config, resume=True)


def test_a_damaged_state_is_said(config: TrainConfig) -> None:
    config = replace(config, epochs=1)
    train(config)
    state = Path(config.out_dir, STATE_FILE)
    state.write_bytes(state.read_bytes()[:1000])

    with pytest.raises(ModelError, match="is damaged"):
        train(config, resume=True)


def test_another_file_in_the_place_of_the_state_is_said(config: TrainConfig) -> None:
    Path(config.out_dir).mkdir()
    save_file({"weight": torch.zeros(1)}, Path(config.out_dir, STATE_FILE))

    with pytest.raises(ModelError, match="is no state of a training: it lacks"):
        TrainingState.load(Path(config.out_dir), {})
