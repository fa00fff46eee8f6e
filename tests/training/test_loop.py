"""A training, start to end, on faces anyone could tell apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fakes import FakeClock
from made_faces import write_pack

from toolkit.data.faces import load_faces
from toolkit.errors import ConfigError, ModelError
from toolkit.evaluation.faces import evaluate_faces
from toolkit.models.predictor import Predictor
from toolkit.training.config import TrainConfig
from toolkit.training.loop import Training, train


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    pack = write_pack(tmp_path / "made.parquet", train=48, val=12)
    return TrainConfig(
        data=str(pack),
        backbone="test_resnet",
        image_px=32,
        epochs=2,
        batch_size=8,
        device="cpu",
        licence="drawn",
        out_dir=str(tmp_path / "out"),
    )


def test_a_training_learns_and_leaves_its_best_epoch(config: TrainConfig) -> None:
    result = train(replace(config, epochs=8, learning_rate=5e-3))

    assert result.checkpoint is not None
    scores = evaluate_faces(Predictor.load(result.checkpoint, "cpu"), load_faces(config.data, "val"))
    assert scores["gender_accuracy"] > 0.9
    best = result.epochs[result.best_epoch - 1]
    merits = [epoch["val/gender_accuracy"] + epoch["val/age_group_accuracy"] for epoch in result.epochs]
    assert result.best_epoch == 1 + merits.index(max(merits))
    assert scores["gender_accuracy"] == pytest.approx(best["val/gender_accuracy"])
    assert result.epochs[-1]["train/loss"] < result.epochs[0]["train/loss"]


@pytest.mark.parametrize("age_loss", ["distribution", "expectation", "ordinal", "regression"])
@pytest.mark.parametrize("vary_on", ["cpu", "device"])
def test_every_age_loss_learns_exact_ages_and_intervals_together(
    config: TrainConfig, age_loss: Any, vary_on: Any
) -> None:
    rows = pd.read_parquet(config.data)
    # Every second face with its very age.
    middles = (rows["age_lo"] + rows["age_hi"]) // 2
    is_exact = np.arange(len(rows)) % 4 < 2
    rows = rows.assign(
        age_lo=rows["age_lo"].mask(is_exact, middles), age_hi=rows["age_hi"].mask(is_exact, middles)
    )
    rows.to_parquet(config.data)

    result = train(replace(config, epochs=12, learning_rate=5e-3, age_loss=age_loss, vary_on=vary_on))

    best = result.epochs[result.best_epoch - 1]
    assert best["val/gender_accuracy"] > 0.9
    assert result.epochs[-1]["train/age_loss"] < 0.8 * result.epochs[0]["train/age_loss"]


def test_the_card_says_what_the_model_learned_from(config: TrainConfig) -> None:
    result = train(replace(config, epochs=1))

    assert result.checkpoint is not None
    card = Predictor.load(result.checkpoint, "cpu").card
    assert (card.backbone, card.image_px, card.licence) == ("test_resnet", 32, "drawn")
    assert card.training_data_sha256 == load_faces(config.data).sha256
    assert card.metrics["epoch"] == 1


def test_progress_is_told_at_each_step_and_each_epoch(config: TrainConfig) -> None:
    steps: list[tuple[int, int]] = []
    rates: list[float] = []
    epochs: list[int] = []

    def on_progress(step: int, total: int, values: dict[str, float]) -> None:
        steps.append((step, total))
        rates.append(values["train/learning_rate"])

    train(config, on_progress, lambda epoch, metrics: epochs.append(epoch))

    assert steps == [(step, 12) for step in range(1, 13)]
    assert epochs == [1, 2]
    assert max(rates) <= config.learning_rate
    assert rates[-1] < 0.1 * max(rates)


def test_the_same_seed_gives_the_same_model(config: TrainConfig) -> None:
    one, other = train(replace(config, epochs=1)), train(replace(config, epochs=1))

    assert one.epochs[0]["train/loss"] == other.epochs[0]["train/loss"]
    assert train(replace(config, epochs=1, seed=8)).epochs[0]["train/loss"] != one.epochs[0]["train/loss"]


def test_ctrl_c_keeps_the_best_checkpoint_so_far(config: TrainConfig) -> None:
    def interrupt(step: int, total: int, values: dict[str, float]) -> None:
        if step == 8:
            raise KeyboardInterrupt

    result = train(config, interrupt)

    assert result.was_interrupted
    assert result.best_epoch == 1
    assert result.checkpoint is not None
    Predictor.load(result.checkpoint, "cpu")


def test_a_budget_of_minutes_ends_the_training_with_a_low_learning_rate(config: TrainConfig) -> None:
    clock, rates = FakeClock(), []

    def twenty_steps_a_minute(step: int, total: int, values: dict[str, float]) -> None:
        clock.advance(3.0)
        rates.append(values["train/learning_rate"])

    training = Training(replace(config, epochs=100_000, minutes=1.0), clock)
    training.run(twenty_steps_a_minute, None)

    assert len(rates) == 20
    assert max(rates) > 0.9 * config.learning_rate
    assert rates[-1] < 0.02 * config.learning_rate
    assert training.result.checkpoint is not None


def test_a_face_that_looks_like_one_of_validation_is_not_learned_from(
    config: TrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    rows = pd.read_parquet(config.data)
    rows.at[3, "image"] = rows.loc[rows["split"] == "val", "image"].iloc[0]
    rows.to_parquet(config.data)

    training = Training(config)

    assert 3 not in training.faces.rows.index
    assert (len(training.faces), training.result.lookalikes_left_out) == (47, 1)
    assert "1 face left out" in caplog.text


def test_vectors_are_not_decayed(config: TrainConfig) -> None:
    groups = Training(config).optimiser.param_groups

    assert {p.ndim > 1 for p in groups[0]["params"]} == {True}
    assert {p.ndim for p in groups[1]["params"]} == {1}
    assert groups[1]["weight_decay"] == 0.0


def test_fewer_faces_than_a_batch_is_said(config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match="48 faces do not fill a batch of 64"):
        train(replace(config, batch_size=64))


def test_a_backbone_of_one_size_is_told_before_anything_is_learned(config: TrainConfig) -> None:
    one_size = replace(config, backbone="vit_tiny_patch16_224", image_px=224)

    assert Training(one_size).result.steps == 0
    for wrong in (replace(one_size, image_px=112), replace(one_size, start_px=112)):
        with pytest.raises(ConfigError, match="set image_px to 224, which it was made for, without start_px"):
            Training(wrong)


@pytest.mark.parametrize("few", [{"batch_size": 1}, {"batch_size": 3, "threads": 2}])
def test_a_backbone_that_cannot_learn_from_one_picture_says_so(
    config: TrainConfig, few: dict[str, int]
) -> None:
    with pytest.raises(ConfigError, match="batch_size must be at least 2 for each of threads"):
        Training(replace(config, **few))  # type: ignore[arg-type]

    assert Training(replace(config, image_px=64, **few)).result.steps == 0  # type: ignore[arg-type]


def test_an_unknown_backbone_is_said_before_anything_is_learned(config: TrainConfig) -> None:
    with pytest.raises(ModelError, match="did you mean 'test_resnet'"):
        train(replace(config, backbone="test_resnett"))


@pytest.mark.parametrize(
    ("optimiser", "said"),
    [
        ("adahessian", "'adahessian' does not fit: it needs second derivatives"),
        ("lookahead_kron", "'lookahead_kron' does not fit: it compiles for minutes"),
        ("fusedadam", "no optimiser 'fusedadam' here: CUDA required"),
    ],
)
def test_an_optimiser_that_cannot_be_used_is_said_before_anything_is_learned(
    config: TrainConfig, optimiser: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With a GPU it would ask for APEX instead.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(ModelError, match=said):
        train(replace(config, optimiser=optimiser))


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"minutes": -1.0},
        {"warmup_share": 1.0},
        {"learning_rate": 0.0},
        {"weight_decay": -0.1},
        {"age_weight": -1.0},
        {"seed": -1},
        {"seed": 2**64},
        {"image_px": 100_000},
    ],
)
def test_a_setting_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        TrainConfig(**wrong)  # type: ignore[arg-type]


def test_torchs_threads_are_given_back_as_they_were(config: TrainConfig) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)

        train(replace(config, epochs=1, threads=2))

        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_training_that_finds_nothing_better_ends_early(config: TrainConfig) -> None:
    result = train(replace(config, epochs=30, patience=2, learning_rate=1e-9, ema_decay=0.0))

    assert result.best_epoch + 2 == len(result.epochs) < 30


def test_pictures_grow_with_the_training(config: TrainConfig) -> None:
    result = train(replace(config, epochs=4, start_px=16))

    assert [epoch["train/image_px"] for epoch in result.epochs] == [16, 16, 32, 32]


def test_a_training_starts_from_a_trained_model(config: TrainConfig) -> None:
    first = train(replace(config, epochs=8, learning_rate=5e-3))

    again = train(replace(config, epochs=1, learning_rate=1e-6, init=str(first.checkpoint)))

    assert again.epochs[0]["train/loss"] < first.epochs[0]["train/loss"] - 0.3


def test_a_start_of_another_backbone_is_refused(config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match=r"init shipped is a .*, and backbone asks for test_resnet"):
        train(replace(config, init="shipped"))


def test_a_loss_that_is_no_number_ends_the_training_with_advice(config: TrainConfig) -> None:
    with pytest.raises(ModelError, match=r"the loss is nan at step .*; try a learning_rate below"):
        train(replace(config, epochs=20, learning_rate=1e30, warmup_share=0.0))


def test_an_unknown_optimiser_is_refused(config: TrainConfig) -> None:
    with pytest.raises(ModelError, match=r"no optimiser 'nadamww'; did you mean 'nadamw'\?"):
        train(replace(config, optimiser="nadamww"))


def test_the_bar_of_a_budgeted_training_tells_when_it_ends(config: TrainConfig) -> None:
    clock, told = FakeClock(), []

    def twenty_steps_a_minute(step: int, total: int, values: dict[str, float]) -> None:
        clock.advance(3.0)
        told.append(total)

    Training(replace(config, epochs=100_000, minutes=1.0), clock).run(twenty_steps_a_minute, None)

    # The first step is told before the clock has moved; from then on the guess is near.
    assert all(18 <= total <= 42 for total in told[1:])
    assert told[-1] == pytest.approx(20, abs=2)
