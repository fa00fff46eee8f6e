"""Learning rate and picture size over a training."""

from __future__ import annotations

import pytest

from toolkit.training.config import TrainConfig
from toolkit.training.schedule import learning_rate, picture_px, smoothing


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    config = TrainConfig(learning_rate=1.0, warmup_share=0.1)

    rates = [learning_rate(config, progress) for progress in (0.0, 0.05, 0.1, 0.55, 1.0, 1.2)]

    assert rates == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0, 0.0])


def test_pictures_grow_by_steps_of_16_and_are_full_size_for_the_last_third() -> None:
    config = TrainConfig(image_px=96, start_px=64)

    sides = [picture_px(config, progress / 100) for progress in range(101)]

    assert sides[0] == 64
    assert sides == sorted(sides)
    assert set(sides) == {64, 80, 96}
    assert set(sides[70:]) == {96}


def test_pictures_that_do_not_grow_in_whole_steps_end_at_full_size() -> None:
    config = TrainConfig(image_px=100, start_px=64)

    assert {picture_px(config, progress / 100) for progress in range(101)} == {64, 68, 84, 100}


def test_without_a_first_size_pictures_have_one_size() -> None:
    assert {picture_px(TrainConfig(image_px=96), progress) for progress in (0.0, 0.5, 1.0)} == {96}


def test_the_mean_of_weights_follows_quickly_at_first() -> None:
    config = TrainConfig(ema_decay=0.99)

    assert smoothing(config, 0) == 0.1
    assert smoothing(config, 10_000) == 0.99
