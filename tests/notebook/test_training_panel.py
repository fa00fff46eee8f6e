"""A training watched in a notebook, and ended by its button."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from made_faces import write_pack
from waiting import wait_until

from toolkit.experiment import Experiment
from toolkit.notebook.training_panel import TrainingPanel
from toolkit.training.config import TrainConfig


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture
def panel(tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> TrainingPanel:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    pack = write_pack(tmp_path / "made.parquet", train=96, val=8)
    train = TrainConfig(
        data=str(pack), backbone="test_resnet", image_px=32, epochs=500, batch_size=8, device="cpu"
    )
    return TrainingPanel(Experiment(train=train), tmp_path / "out")


def test_the_button_ends_a_training_whose_curves_stay(panel: TrainingPanel) -> None:
    panel.start()
    wait_until(lambda: panel.epochs or panel.error, timeout_s=120)

    panel._stop.click()
    panel.wait(120)

    assert panel.error is None
    assert panel.result is not None
    assert panel.result["was_interrupted"]
    assert panel.result["best_epoch"] >= 1
    assert "polyline" in panel._score_html.value
    assert "stopped" in panel._status.value
    loss, scores = panel.figure().axes
    assert len(loss.get_lines()[0].get_xdata()) >= 1
    assert [line.get_label() for line in scores.get_lines()] == ["gender", "age group"]


def test_a_training_that_is_ended_in_its_first_epoch_names_no_weights(panel: TrainingPanel) -> None:
    panel._stop.click()
    panel.start()
    panel.wait(120)

    assert panel.error is None
    assert "stopped" in panel._status.value
    assert "no weights" in panel._status.value
    assert "None" not in panel._status.value


def test_a_cell_that_is_run_again_ends_the_training_that_it_began_before(panel: TrainingPanel) -> None:
    again = TrainingPanel(panel._experiment, panel._out_dir)
    panel.start()
    wait_until(lambda: panel.epochs or panel.error, timeout_s=120)

    again.start()
    wait_until(lambda: again.epochs or again.error, timeout_s=120)
    is_over = panel.result is not None
    again.close(120)
    panel.close(120)

    assert is_over
    assert again.error is None


def test_a_resumed_training_counts_the_steps_since_it_was_resumed(panel: TrainingPanel) -> None:
    for step in range(75, 105):
        panel._on_progress(step, 370, {"train/loss": 2.0})
    panel._started_at, panel._shown_at = time.monotonic() - 31.0, 0.0
    panel._on_progress(105, 370, {"train/loss": 2.0})

    assert [loss for _, loss in panel._losses] == [2.0] * 3
    assert "265 s left" in panel._status.value


def test_a_training_that_fails_says_why(panel: TrainingPanel) -> None:
    panel._experiment = Experiment(train=TrainConfig(data="nowhere"))

    panel.start()
    panel.close(120)

    assert "no face pack" in str(panel.error)
    assert "failed" in panel._status.value


def test_an_epoch_without_a_score_of_age_leaves_that_curve_empty(panel: TrainingPanel) -> None:
    panel._on_epoch(1, {"val/gender_accuracy": 0.5})

    gender, age = panel.figure().axes[1].get_lines()
    assert gender.get_ydata().tolist() == [50.0]
    assert len(age.get_ydata()) == 0
