"""MLPerf's shapes of load, on machines that take a known time."""

import threading
import time

import pytest
from fakes import EchoModel, FixedDetector
from made_scenes import FOUND_BY_HAAR

from toolkit.capacity.config import CapacityConfig
from toolkit.capacity.scenario_run import _highest_rate, run_scenarios
from toolkit.capacity.scenarios import multi_stream, offline, server, single_stream
from toolkit.capacity.views import View
from toolkit.data.scenes import make_scene
from toolkit.experiment import LiveConfig


class Machine:
    """Takes so long for each call; remembers what it was asked."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked: list[int] = []

    def __call__(self, samples):
        self.asked.append(len(samples))
        time.sleep(self.seconds)


def test_one_stream_asks_for_the_next_when_the_last_is_answered():
    machine = Machine(0.02)

    told = single_stream(machine, "abc", seconds=0.2)

    assert set(machine.asked) == {1}
    assert told["queries"] == len(machine.asked) <= 11
    assert told["p90_ms"] >= 20


def test_several_streams_are_answered_together():
    machine = Machine(0.01)

    told = multi_stream(machine, "abc", seconds=0.1, streams=5)

    assert set(machine.asked) == {5}
    assert (told["streams"], told["scenario"]) == (5, "multi-stream")


def test_a_server_counts_from_when_a_sample_was_due():
    # One worker that takes 20 ms a sample, and one that comes every 10 ms: each waits longer than the last.
    told = server(Machine(0.02), "abc", seconds=0.5, rate_per_s=100, workers=1)

    assert told["p99_ms"] > 300
    assert told["p50_ms"] > 100


def test_every_sample_that_is_due_is_answered_and_no_thread_is_left():
    machine = Machine(0.0)
    before = threading.active_count()

    told = server(machine, "abc", seconds=0.3, rate_per_s=200, workers=3)

    assert told["queries"] == len(machine.asked) > 20
    assert threading.active_count() == before


def test_at_the_lowest_rate_there_is_one_sample_at_least():
    told = server(Machine(0.0), "abc", seconds=0.05, rate_per_s=0.1, workers=1)

    assert told["queries"] == 1
    assert told["p99_ms"] is not None


def test_what_a_server_raises_is_raised():
    def broken(samples):
        raise ValueError("no such picture")

    with pytest.raises(ValueError, match="no such picture"):
        server(broken, "abc", seconds=0.05, rate_per_s=100, workers=2)


def test_offline_all_samples_come_at_once():
    machine = Machine(0.01)

    told = offline(machine, "abcd")

    assert machine.asked == [4]
    assert 0 < told["samples_per_s"] <= 400


def test_the_highest_rate_that_keeps_the_bound_is_found():
    def at_rate(rate_per_s, seed):
        return {"rate_per_s": rate_per_s, "p99_ms": 50.0 if rate_per_s <= 37 else 900.0}

    assert _highest_rate(at_rate, 100, CapacityConfig())["rate_per_s"] == 37
    assert (
        _highest_rate(lambda **_: {"rate_per_s": 1, "p99_ms": 900.0}, 1, CapacityConfig())["rate_per_s"] == 0
    )


def test_all_five_run_with_one_detector_and_one_model(tmp_path):
    files = make_scene(FOUND_BY_HAAR).write(tmp_path)
    config = CapacityConfig(seconds=1.0, warm_up_s=0.2, first_cameras=2, most_p99_ms=60_000)
    live = LiveConfig({"view": "x"})

    told = run_scenarios([View("view-1", files.film(1))], FixedDetector(), EchoModel(), live, config)

    assert list(told) == ["single-stream", "multi-stream", "offline", "server", "live-stream"]
    assert all(row["scenario"] == name for name, row in told.items())
    assert told["server"]["rate_per_s"] >= 1
    assert told["live-stream"]["cameras"] == 2
    assert told["live-stream"]["frames_per_s"] > 0
