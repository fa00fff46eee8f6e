"""The bench of the batch processor: every caller its own answer, and nobody's figure guessed."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import pytest

from toolkit.bench.batches.cases import CONTENDERS, batch_cases
from toolkit.bench.batches.measure import rate
from toolkit.bench.batches.model import Ideal, check_own
from toolkit.bench.config import BatchBenchConfig
from toolkit.bench.rounds import run_rounds
from toolkit.errors import ConfigError

_PEERS = {"batched": "threads-model-8", "async-batcher": "tasks-model-8"}


def measure(case: str, *contenders: str) -> dict[str, Any]:
    """One short round of one case."""
    config = BatchBenchConfig(cases=(case,), contenders=contenders, seconds=0.2, warm_up_s=0.1)
    return run_rounds(batch_cases(config), CONTENDERS, rounds=1, timeout_s=60)[case]


@pytest.mark.parametrize(
    ("case", "ours", "by_hand"),
    [
        ("threads-no-op-64", "ours", "by-hand"),
        ("threads-model-8", "ours", "by-hand-counting"),
        ("tasks-no-op-64", "ours-asyncio", "by-hand-asyncio"),
    ],
)
def test_ours_and_what_is_written_by_hand_answer_their_callers_and_are_compared(case, ours, by_hand):
    told = measure(case, ours, by_hand)

    for name in (ours, by_hand):
        (run,) = told["contenders"][name]["runs"]
        assert run["answers"] == pytest.approx(run["rate_per_s"] * 0.2)
        assert 0 < run["p50_ms"] <= run["p99_ms"]
        assert run["cpu_us_per_item"] > 0
    assert told["ratios"]["ours"] == ours


def test_the_ideal_is_arithmetic_and_ours_is_held_against_it():
    told = measure("tasks-model-64", "ours-asyncio", "ideal")

    assert told["limits"] == {"ideal": pytest.approx(2807.018, abs=0.001)}
    assert 0 < told["ratios"]["vs_limit"] <= 1
    assert Ideal.rate_per_s(8) == pytest.approx(8 / 0.0066)


@pytest.mark.parametrize("name", _PEERS)
def test_a_peer_answers_its_callers(name):
    if CONTENDERS[name].missing():
        pytest.skip("needs pip install 'toolkit[peers]'")

    told = measure(_PEERS[name], name)

    assert told["contenders"][name]["answers"] > 0


def test_the_cost_of_an_item_is_taken_over_the_time_in_which_it_was_answered():
    began_s = time.process_time()
    told = rate(
        {
            "home": "toolkit.bench.batches.with_tasks:ByHand",
            "callers": 64,
            "process_fn": "async_no_op",
            "warm_up_s": 0.1,
            "seconds": 0.3,
        }
    )
    whole_s = time.process_time() - began_s

    # The window is three quarters of the whole; an event loop that is always busy leaves nothing out of it.
    assert 0.5 * whole_s < told["cpu_us_per_item"] * told["answers"] / 1e6 <= whole_s


def test_a_peer_that_is_not_installed_is_said_to_be_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    told = measure("threads-model-8", "batched")

    assert told["contenders"] == {
        "batched": {"kind": "peer", "missing": "not installed: pip install 'toolkit[peers]'"}
    }


def test_a_caller_that_gets_the_answer_to_anothers_item_ends_the_measurement():
    with pytest.raises(RuntimeError, match="sent 1 and was given the answer to 2"):
        check_own(1, 2)


def test_a_name_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="no contender 'bached'; did you mean 'batched'"):
        batch_cases(BatchBenchConfig(contenders=("bached",)))


def test_no_seconds_are_no_bench():
    with pytest.raises(ConfigError, match="seconds must be above 0, got 0"):
        BatchBenchConfig(seconds=0)


def test_the_command_prints_a_table_and_leaves_json_and_a_record(tmp_path, monkeypatch):
    from click.testing import CliRunner
    from mlflow import MlflowClient

    from toolkit.cli import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    few = "bench.batch.cases=[threads-model-8] bench.batch.contenders=[ours,ideal] bench.batch.rounds=1"

    printed = (
        CliRunner()
        .invoke(
            cli,
            ["bench", "batch", *few.split(), "bench.batch.seconds=0.2", "--json", "bench.json"],
            catch_exceptions=False,
        )
        .output
    )

    result = json.loads(Path("bench.json").read_text())
    rate = result["cases"]["threads-model-8"]["contenders"]["ours"]["rate_per_s"]
    record = MlflowClient(f"sqlite:///{tmp_path}/runs/mlflow.db").get_run(result["mlflow_run_id"])
    assert record.data.metrics["bench/batch/threads-model-8/ours/rate_per_s"] == rate > 0
    assert "of the limit ideal's" in printed
