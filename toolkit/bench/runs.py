"""A bench as a run: measured in turns, recorded in MLflow when all is measured."""

from __future__ import annotations

import json
from typing import Any

from toolkit.bench.queues.cases import CONTENDERS, queue_cases
from toolkit.bench.rounds import OnProgress, run_rounds
from toolkit.errors import ConfigError
from toolkit.experiment import Experiment, as_plain, as_yaml
from toolkit.tracking import RunRecord, flatten, machine, run_name


def run_queue_bench(experiment: Experiment, on_progress: OnProgress = lambda *_: None) -> dict[str, Any]:
    """Measure our queue, the limits, and the peers that are installed, and record the run.

    Returns:
        ``machine``, ``settings``, ``cases`` (:func:`toolkit.bench.rounds.summary`) and ``mlflow_run_id``.

    Raises:
        ConfigError: the experiment has no part ``bench: {queue: ...}``, or asks for what there is not.
    """
    config = experiment.bench.queue if experiment.bench else None
    if config is None:
        raise ConfigError(
            f"experiment {experiment.name!r} has no part 'bench': bench: {{queue: {{rounds: 5}}}}"
        )
    cases = run_rounds(queue_cases(config), CONTENDERS, config.rounds, config.timeout_s, on_progress)
    result = {"machine": machine(), "settings": as_plain(config), "cases": cases}
    # Only now: the record's thread would take its time from whoever is measured.
    record = RunRecord("bench", run_name(experiment.name), as_plain(experiment))
    record.log_metrics({f"bench/queue/{name}": value for name, value in _numbers(cases).items()})
    record.log_text(as_yaml(experiment), "experiment.yaml")
    record.log_text(json.dumps(result, indent=2), "bench.json")
    return {**result, "mlflow_run_id": record.close()}


def _numbers(cases: dict[str, Any]) -> dict[str, float]:
    """``case/contender/figure`` and ``case/ratio`` of everything that is a number."""
    told = {name: {**case["contenders"], **case["ratios"]} for name, case in cases.items()}
    flat = {name.replace(".", "/"): value for name, value in flatten(told).items()}
    return {name: float(value) for name, value in flat.items() if isinstance(value, int | float)}
