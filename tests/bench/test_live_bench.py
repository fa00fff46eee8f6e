"""The bench of the street: everybody has the same to do, and nobody's figure is guessed."""

from __future__ import annotations

import importlib.util
import time
from typing import Any

import pytest
from clips import write_clip
from waiting import wait_until

from toolkit.bench.config import LiveBenchConfig
from toolkit.bench.rounds import run_rounds
from toolkit.bench.streets.cases import CONTENDERS, add_ideals, live_cases, street_videos
from toolkit.bench.streets.contender import Task
from toolkit.bench.streets.measure import full_speed, real_time
from toolkit.errors import ConfigError

_SHORT = {"model": "mobilenetv3_small_050", "size_px": 32, "cores": None, "warm_up_s": 0.3, "seconds": 0.5}


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> list[str]:
    return [str(write_clip(tmp_path_factory.mktemp("film") / "film.mp4", frames=20, size_wh=(160, 96)))]


@pytest.fixture
def small(videos) -> dict[str, Any]:
    """Settings of a measurement that is over within a second or two."""
    return {**_SHORT, "videos": videos, "cameras": 2}


@pytest.mark.parametrize("name", ["decode-only", "round-robin", "predecessor"])
def test_a_contender_answers_frames_until_it_is_stopped(name, small):
    started = time.monotonic()
    told = full_speed({**small, "home": CONTENDERS[name].home})
    took_s = time.monotonic() - started

    assert told["frames"] > 0
    # On a busy machine the half second is a longer one.
    assert told["frames"] / took_s <= told["rate_per_s"] <= 1.05 * told["frames"] / 0.5


@pytest.mark.parametrize("name", ["supervision", "vidgear"])
def test_a_peer_answers_frames_where_it_is_installed(name, small):
    if CONTENDERS[name].missing():
        pytest.skip("needs pip install 'toolkit[peers]'")

    assert full_speed({**small, "home": CONTENDERS[name].home})["frames"] > 0


def test_ours_says_the_same_of_a_frame_as_the_model_by_hand(small, videos):
    import av
    import numpy as np

    from toolkit.bench.streets.model import by_hand
    from toolkit.bench.streets.ours import Torch

    results = []
    street = Torch(Task(videos, small["model"], 32))
    street._street._finish._listeners.append(results.append)
    street.start()
    wait_until(lambda: results)
    street.stop()

    with av.open(videos[0]) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="bgr24")
    expected = by_hand(small["model"], 32)([frame])[0]
    correlation = np.corrcoef(results[0].answer, expected)[0, 1]
    assert results[0].frame.index == 0
    assert correlation > 0.99


@pytest.mark.parametrize("name", ["ours-torch", "thread-per-camera"])
def test_real_time_cameras_are_added_until_one_is_too_many(name, small, monkeypatch):
    monkeypatch.setattr("toolkit.bench.streets.measure.CAMERAS", (1, 2))
    # A busy machine may be late with anything: what counts here is what is told.
    monkeypatch.setattr("toolkit.bench.streets.measure.MOST_P99_S", 5.0)

    told = real_time({**small, "home": CONTENDERS[name].home})

    assert told["cameras"] in (0, 1, 2)
    first = told["tried"]["1"]
    assert first["p50_ms"] <= first["p99_ms"]
    assert (told["cameras"] == 0) == bool(first["dropped"] or first["unanswered"])


def test_the_ideal_is_that_of_one_core_after_the_other():
    rates = {"ours": 90.0, "ours-torch": 60.0, "decode-only": 300.0, "model-only": 150.0, "round-robin": 40.0}
    case = {
        "contenders": {n: {"rate_per_s": r, "rate_per_busy_core_s": r / 2} for n, r in rates.items()},
        "limits": {},
        "ratios": {"ours": "ours", "best_peer": "round-robin", "vs_limit": None, "vs_best_peer": None},
    }

    add_ideals({"case": case})

    assert case["limits"] == {"ideal": 100.0, "ideal_per_core": 50.0}
    assert case["ratios"]["vs_limit"] == 0.9
    assert case["ratios"]["vs_best_peer"] == 2.25
    assert case["ratios"]["torch_vs_best_peer"] == 1.5
    assert case["ratios"]["vs_limit_per_core"] == 0.9


def test_a_peer_that_is_not_installed_is_said_to_be_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    config = LiveBenchConfig(cases=("full-speed-4",), contenders=("inference",))

    result = run_rounds(live_cases(config, ["none.mp4"]), CONTENDERS, rounds=1, timeout_s=5)

    assert "not installed" in result["full-speed-4"]["contenders"]["inference"]["missing"]


def test_what_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no case 'full-speed-5'"):
        live_cases(LiveBenchConfig(cases=("full-speed-5",)), [])
    with (
        pytest.raises(ConfigError, match="there is no such file"),
        street_videos(LiveBenchConfig(videos=(str(tmp_path / "none.mp4"),))),
    ):
        pass
    with pytest.raises(ConfigError, match="cores must be at least 1"):
        LiveBenchConfig(cores=0)


def test_the_users_own_videos_are_taken(videos):
    with street_videos(LiveBenchConfig(videos=tuple(videos))) as taken:
        assert taken == videos
