"""The bench of the queue: every task counted, and nobody's figure guessed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from toolkit.bench.config import QueueBenchConfig
from toolkit.bench.queues.cases import CONTENDERS, queue_cases
from toolkit.bench.rounds import run_rounds
from toolkit.errors import ConfigError

_PEERS = [name for name, contender in CONTENDERS.items() if contender.kind == "peer"]


def measure(case: str, *contenders: str, **settings: Any) -> dict[str, Any]:
    """One short round of one case; by contender what was measured."""
    config = QueueBenchConfig(cases=(case,), contenders=contenders, **settings)
    return run_rounds(queue_cases(config), CONTENDERS, rounds=1, timeout_s=60)[case]


def test_ours_and_the_limit_finish_all_their_tasks_and_are_compared():
    case = measure("no-op-2", "ours-processes", "raw-streams", most_tasks=200)

    for name in ("ours-processes", "raw-streams"):
        (run,) = case["contenders"][name]["runs"]
        assert run["tasks"] == run["begun"] == 200
    ours, limit = (case["contenders"][name]["rate_per_s"] for name in ("ours-processes", "raw-streams"))
    assert case["limits"] == {"raw-streams": limit}
    assert case["ratios"]["vs_limit"] == pytest.approx(ours / limit, rel=0.01)
    assert case["ratios"]["vs_best_peer"] is None


def test_the_wait_of_a_task_is_measured_at_the_rate_that_was_asked_for():
    case = measure("latency", "ours-threads", latency_seconds=0.5)

    told = case["contenders"]["ours-threads"]
    assert told["tasks"] == 50
    assert told["rate_per_s"] == pytest.approx(100, rel=0.1)
    assert 0 < told["p50_ms"] <= told["p99_ms"] < 500


@pytest.mark.parametrize(
    ("case", "contenders"),
    [
        ("frame-memory", ("ours-processes", "shared-ring", "mp-queue")),
        ("crop-redis", ("ours-through-redis", "raw-streams-pictures")),
    ],
)
def test_pictures_arrive_by_every_way(case, contenders):
    told = measure(case, *contenders, most_tasks=40)["contenders"]

    for name in contenders:
        (run,) = told[name]["runs"]
        assert run["tasks"] == run["begun"] == 40


@pytest.mark.parametrize("name", _PEERS)
def test_a_peer_finishes_all_its_tasks(name):
    if CONTENDERS[name].missing():
        pytest.skip("needs pip install 'toolkit[peers]'")

    told = measure("no-op-2", name, most_tasks=20)["contenders"][name]

    assert told["tasks"] == told["begun"] == 20


def test_a_peer_that_is_not_installed_is_said_to_be_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    case = measure("no-op-4", "rq")

    assert case["contenders"] == {
        "rq": {"kind": "peer", "missing": "not installed: pip install 'toolkit[peers]'"}
    }
    assert case["ratios"]["vs_best_peer"] is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cases": ("no-op2",)}, "no case 'no-op2'; did you mean 'no-op-2'?"),
        ({"contenders": ("celery",)}, "no contender 'celery'; did you mean 'celery-"),
    ],
)
def test_a_name_that_is_not_there_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        queue_cases(QueueBenchConfig(**settings))


def test_no_rounds_are_no_bench():
    with pytest.raises(ConfigError, match="rounds must be above 0, got 0"):
        QueueBenchConfig(rounds=0)


def test_the_command_prints_a_table_and_leaves_json_and_a_record(tmp_path, monkeypatch):
    from click.testing import CliRunner
    from mlflow import MlflowClient

    from toolkit.cli import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    few = "bench.queue.cases=[no-op-2] bench.queue.contenders=[raw-lists] bench.queue.rounds=1"

    CliRunner().invoke(
        cli,
        ["bench", "queue", *few.split(), "bench.queue.most_tasks=50", "--json", "bench.json"],
        catch_exceptions=False,
    )

    result = json.loads(Path("bench.json").read_text())
    rate = result["cases"]["no-op-2"]["limits"]["raw-lists"]
    record = MlflowClient(f"sqlite:///{tmp_path}/runs/mlflow.db").get_run(result["mlflow_run_id"])
    assert record.data.metrics["bench/queue/no-op-2/raw-lists/rate_per_s"] == rate > 0
    assert result["machine"]["machine.cores"]
