"""The soak: what grows is found, and what only jitters is not."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))

import soak as script


def samples(minutes: int = 30, mb_per_hour: float = 0.0, ms_per_hour: float = 0.0) -> list[script.Sample]:
    """A sample each second, with a camera that comes and goes."""
    return [
        script.Sample(
            at_s=float(second),
            rss_mb=130 + 10 * (second < 120) + mb_per_hour * second / 3600 + second % 7,
            threads=14 + second % 2,
            files=18,
            latency_p50_ms=None if second % 50 == 0 else 130 + second % 11 + ms_per_hour * second / 3600,
            latency_max_ms=200.0,
        )
        for second in range(minutes * 60)
    ]


def told(taken: list[script.Sample], unbalanced: int = 0, are_back: bool = True) -> dict:
    camera = {"read": 10, "analysed": 6, "skipped": 4, "failed": 0, "in_flight": 0, "reconnects": 2}
    run = SimpleNamespace(samples=taken, gaps_s=[], unbalanced=unbalanced)
    return script.report(run, {"cameras": {"cam0": camera}, "latency_ms": {}}, {}, are_back)


def test_a_street_that_only_jitters_breaks_no_bound():
    result = told(samples())

    assert result["broken"] == []
    assert result["slopes"]["rss_mb_per_hour"] == pytest.approx(0, abs=3)


@pytest.mark.parametrize(
    ("arguments", "broken"), [({"mb_per_hour": 120}, "rss_mb"), ({"ms_per_hour": 60}, "latency_p50_ms")]
)
def test_what_grows_breaks_its_bound(arguments, broken):
    assert told(samples(**arguments))["broken"] == [broken]


def test_books_that_do_not_balance_and_cameras_that_stay_away_are_told():
    assert told(samples(), unbalanced=1, are_back=False)["broken"] == ["books", "a camera stayed away"]


def test_the_picture_of_a_run_is_drawn(tmp_path):
    script.draw(samples(minutes=2), tmp_path / "soak.png")

    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")
