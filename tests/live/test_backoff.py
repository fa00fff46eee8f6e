"""Pauses between two attempts."""

from __future__ import annotations

import pytest

from toolkit.live.backoff import Backoff


def pauses(backoff: Backoff, number: int) -> list[float]:
    """The next pauses, without their jitter."""
    told = [backoff.next_pause_s() for _ in range(number)]
    steps = [0.5, 1.0, 2.0, 4.0]
    return [min(steps, key=lambda step: abs(step - pause)) for pause in told]


@pytest.fixture
def backoff() -> Backoff:
    return Backoff(first_s=0.5, most_s=4.0)


def test_pauses_double_up_to_the_longest(backoff):
    assert pauses(backoff, 5) == [0.5, 1.0, 2.0, 4.0, 4.0]


def test_two_cameras_do_not_come_back_in_the_same_instant(backoff):
    first = {Backoff(0.5, 4.0).next_pause_s() for _ in range(20)}

    assert len(first) > 15
    assert all(0.375 <= pause <= 0.625 for pause in first)


def test_a_camera_that_comes_only_to_go_again_is_asked_less_and_less_often(backoff):
    seen = []
    for _ in range(4):
        seen += pauses(backoff, 1)
        backoff.was_live(0.1)

    assert seen == [0.5, 1.0, 2.0, 4.0]


def test_a_camera_that_stayed_is_looked_for_at_once_when_it_goes(backoff):
    pauses(backoff, 3)

    backoff.was_live(60.0)

    assert pauses(backoff, 2) == [0.5, 1.0]


def test_a_refusal_is_not_repeated_soon(backoff):
    backoff.refused()

    assert pauses(backoff, 1) == [4.0]
