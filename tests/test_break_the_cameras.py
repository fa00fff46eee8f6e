"""The script that breaks cameras: a short case finds nothing lost, and what is wrong is called so."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))

import break_the_cameras as script

GOOD = {
    "unbalanced": 0,
    "in_flight": 0,
    "expects_return": True,
    "times_broken": 5,
    "times_back": 5,
    "neighbours_share": 1.0,
    "is_stopped": True,
    "left_behind": [],
}


def test_a_camera_that_is_killed_comes_back_and_its_neighbour_does_not_notice(clip_path, monkeypatch):
    monkeypatch.setattr(script, "WELL_S", 0.5)
    monkeypatch.setattr(script, "World", partial(script.World, ill_s=0.8))

    result = script.run_case(script.killed, script.Setting(2, clip_path, clip_path), seconds=0.1)

    assert script.faults(result) == []
    assert (result["times_broken"], result["times_back"], result["reconnects"]) == (1, 1, 1)
    assert result["read"] == sum(result[fate] for fate in script.FATES) > 10
    assert result["lost_of_victim"] > 5


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"unbalanced": 1}, "books do not balance"),
        ({"times_back": 4}, "did not come back"),
        ({"neighbours_share": 0.8}, "neighbours slowed"),
        ({"left_behind": ["thread camera-cam0"]}, "left something behind"),
    ],
)
def test_what_must_not_be_is_found(wrong, said):
    assert script.faults(GOOD) == []
    assert script.faults(GOOD | wrong) == [said]
