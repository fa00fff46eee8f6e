"""The clock of a source beside ours."""

from __future__ import annotations

import random

import pytest

from toolkit.live.media_clock import MediaClock


def watched(seconds: float, drift_ppm: float = 0.0, jitter_s: float = 0.03) -> MediaClock:
    """A clock that saw 25 stamps a second, each late by up to ``jitter_s``."""
    clock, late_s = MediaClock(), random.Random(3)
    for number in range(round(seconds * 25)):
        now = 1000.0 + number / 25
        clock.observe(number / 25 * (1 + drift_ppm / 1e6), now + late_s.uniform(0, jitter_s))
    return clock


@pytest.mark.parametrize("drift_ppm", [-200.0, 0.0, 200.0])
def test_drift_is_seen_through_jitter(drift_ppm):
    clock = watched(120, drift_ppm)

    assert clock.drift_ppm == pytest.approx(drift_ppm, abs=40)
    assert 0 <= clock.behind_s <= 0.04


def test_drift_is_not_guessed_from_a_short_look():
    assert watched(20, 200).drift_ppm is None


def test_what_lay_in_a_queue_is_behind_by_that_long():
    clock = watched(10, jitter_s=0)

    assert clock.observe(10.0, 1000.0 + 10.0 + 1.5) == pytest.approx(1.5, abs=0.01)
    assert clock.observe(11.5, 1000.0 + 11.5) == pytest.approx(0, abs=0.01)


def test_a_stamp_that_steps_back_begins_a_new_time():
    clock = watched(10, jitter_s=0)

    assert clock.observe(0.0, 1011.0) == 0
    assert clock.restarts == 1
    assert clock.observe(1.0, 1012.25) == pytest.approx(0.25, abs=0.01)


def test_a_forgotten_distance_is_learnt_anew():
    clock = watched(10, jitter_s=0)
    clock.observe(10.0, 1000.0 + 15.0)

    clock.restart()

    assert (clock.behind_s, clock.drift_ppm) == (0.0, None)
    assert clock.observe(10.04, 1000.0 + 15.04) == 0
