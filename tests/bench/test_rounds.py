"""Turns, medians, and measurements that end with everything they started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import contenders_gone_wrong
import psutil
import pytest
from waiting import wait_until

from toolkit.bench.apart import MeasurementFailed, call_apart
from toolkit.bench.rounds import Case, Contender, run_rounds, summary
from toolkit.bench.tables import case_table
from toolkit.terminal import out

_CONTENDERS = {
    name: Contender(name, kind, "nowhere:at_all")
    for name, kind in {"ours": "ours", "raw": "limit", "slow": "peer", "fast": "peer"}.items()
}


@pytest.fixture(autouse=True)
def measurements_can_be_imported(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(contenders_gone_wrong.__file__).parent))


def case(function: str = "", **changes) -> Case:
    settings = {
        "title": "a case",
        "settings": {},
        "contenders": tuple(_CONTENDERS),
        "limit": "raw",
        **changes,
    }
    return Case("case", function=f"contenders_gone_wrong:{function}", **settings)


def rates(*values: float) -> list[dict[str, float]]:
    return [{"rate_per_s": value} for value in values]


def test_the_best_peer_and_the_limit_are_compared_by_their_medians():
    measured = {
        "ours": rates(90, 110, 100),
        "raw": rates(200),
        "slow": rates(1, 1, 90),
        "fast": rates(20, 30),
    }

    told = summary(case(), _CONTENDERS, measured)

    assert told["contenders"]["ours"]["rate_per_s"] == 100
    assert told["contenders"]["ours"]["spread"] == [90, 110]
    assert told["ratios"]["vs_best_peer"] == 4.0
    assert told["ratios"]["vs_limit"] == 0.5
    assert told["ratios"]["best_peer"] == "fast"


def test_of_latencies_the_lowest_is_the_best():
    measured = {
        name: [{"p50_ms": p50, "p99_ms": 2 * p50}]
        for name, p50 in {"ours": 0.5, "raw": 0.25, "slow": 4.0, "fast": 1.0}.items()
    }

    told = summary(case(figure="p50_ms", less_is_better=True), _CONTENDERS, measured)

    assert told["ratios"]["best_peer"] == "fast"
    assert told["ratios"]["vs_best_peer"] == told["ratios"]["p99_vs_best_peer"] == 0.5


def test_a_contender_that_failed_once_shows_its_median_and_its_error():
    measured = {"ours": [*rates(5, 7), {"error": "gone"}], "raw": [{"error": "gone"}]}

    told = summary(case(), _CONTENDERS, measured)

    assert told["contenders"]["ours"]["rate_per_s"] == 6
    assert told["contenders"]["ours"]["error"] == "gone"
    assert told["limits"] == {}
    assert told["ratios"]["vs_limit"] is None


def test_the_table_tells_how_to_install_a_peer_that_is_missing():
    missing = {"missing": "pip install 'toolkit[peers]'"}

    told = summary(case(), _CONTENDERS, {"ours": rates(5), "fast": [missing]})
    with out.capture() as printed:
        out.print(case_table(told))

    assert "'toolkit[peers]'" in printed.get()


def test_contenders_take_turns():
    turns = []

    run_rounds(
        [case("fails", contenders=("ours", "raw"))],
        _CONTENDERS,
        rounds=2,
        timeout_s=10,
        on_progress=lambda what, done, total: turns.append(what.rpartition(": ")[2]),
    )

    assert turns == ["ours", "raw", "ours", "raw", "done"]


def test_what_was_measured_before_ctrl_c_is_told():
    def third_is_interrupted(what: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    cases = [case("large_pages", contenders=("ours", "raw")), replace(case("fails"), name="later")]

    told = run_rounds(cases, _CONTENDERS, 2, timeout_s=60, on_progress=third_is_interrupted)

    assert list(told) == ["case"]
    assert told["case"]["measurements"] == 2
    assert told["case"]["ratios"]["vs_limit"] == 1.0


def test_ctrl_c_before_anything_was_measured_is_no_bench():
    def interrupted(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_rounds([case("fails")], _CONTENDERS, 1, timeout_s=10, on_progress=interrupted)


@pytest.mark.parametrize(("name", "asked"), [("ours", "1"), ("raw", "1"), ("fast", "0")])
def test_peers_get_torch_as_it_comes_without_what_the_toolkit_asks_of_it(name, asked):
    told = run_rounds([case("large_pages", contenders=(name,))], _CONTENDERS, rounds=1, timeout_s=60)

    assert told["case"]["contenders"][name]["rate_per_s"] == float(asked)


def test_a_measurement_that_raises_says_why():
    told = run_rounds([case("fails", contenders=("ours",))], _CONTENDERS, rounds=1, timeout_s=10)

    assert "the broker is out to lunch" in told["case"]["contenders"]["ours"]["error"]


def test_a_measurement_that_is_never_over_ends_with_all_its_processes(tmp_path):
    pid_file = tmp_path / "pid"

    with pytest.raises(MeasurementFailed, match="was not over after 3 s"):
        call_apart("contenders_gone_wrong:never_over", {"pid_file": str(pid_file)}, tmp_path, timeout_s=3)

    wait_until(lambda: not psutil.pid_exists(int(pid_file.read_text())))


def test_what_a_measurement_left_running_is_ended(tmp_path):
    told = call_apart("contenders_gone_wrong:leaves_a_process", {"turn": 1}, tmp_path, timeout_s=30)

    assert told["rate_per_s"] == 2.0
    wait_until(lambda: not psutil.pid_exists(told["pid"]))
