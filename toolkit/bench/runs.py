"""A bench as a run: measured in turns, recorded in MLflow when all is measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from toolkit.bench.batches.cases import CONTENDERS as BATCHERS
from toolkit.bench.batches.cases import batch_cases
from toolkit.bench.cameras.cases import CONTENDERS as CAMERA_READERS
from toolkit.bench.cameras.cases import camera_cases, camera_film
from toolkit.bench.config import (
    BatchBenchConfig,
    CameraBenchConfig,
    LiveBenchConfig,
    ModelBenchConfig,
    QueueBenchConfig,
    TrainBenchConfig,
)
from toolkit.bench.models.cases import CONTENDERS as RUNTIMES
from toolkit.bench.models.cases import files_needed, model_cases, model_contenders
from toolkit.bench.queues.cases import CONTENDERS as QUEUES
from toolkit.bench.queues.cases import queue_cases
from toolkit.bench.rounds import Case, Contender, OnProgress, run_rounds
from toolkit.bench.streets.cases import CONTENDERS as STREETS
from toolkit.bench.streets.cases import add_ideals, live_cases, street_videos
from toolkit.bench.trainings.cases import CONTENDERS as TRAININGS
from toolkit.bench.trainings.cases import train_cases
from toolkit.errors import ConfigError
from toolkit.experiment import Experiment, as_plain, as_yaml
from toolkit.machine import machine
from toolkit.tracking import RunRecord, flatten, run_name


def run_queue_bench(experiment: Experiment, on_progress: OnProgress = lambda *_: None) -> dict[str, Any]:
    """Measure our queue, the limits, and the peers that are installed, and record the run.

    Returns:
        ``machine``, ``settings``, ``measurements`` and ``asked`` (how many there are, fewer where Ctrl-C
        ended the bench, and how many there were to be), ``cases`` (:func:`toolkit.bench.rounds.summary`) and
        ``mlflow_run_id``.

    Raises:
        ConfigError: the experiment has no part ``bench: {queue: ...}``, or asks for what there is not.
    """
    config = experiment.bench.queue if experiment.bench else None
    if config is None:
        raise _no_part(experiment, "queue")
    return _run("queue", experiment, config, queue_cases(config), QUEUES, on_progress)


def run_camera_bench(experiment: Experiment, on_progress: OnProgress = lambda *_: None) -> dict[str, Any]:
    """Measure how our cameras are read, PyAV alone, and the peers that are installed, and record the run.

    Returns:
        As :func:`run_queue_bench`.

    Raises:
        ConfigError: the experiment has no part ``bench: {camera: ...}``, or asks for what there is not.
    """
    config = experiment.bench.camera if experiment.bench else None
    if config is None:
        raise _no_part(experiment, "camera")
    # The film is made once, not by every contender.
    with camera_film(config) as film:
        cases = camera_cases(config, film)
        return _run("camera", experiment, config, cases, CAMERA_READERS, on_progress)


def run_batch_bench(experiment: Experiment, on_progress: OnProgress = lambda *_: None) -> dict[str, Any]:
    """Measure our batch processor, the ideal, hand-written ones, and the peers that are installed.

    Returns:
        As :func:`run_queue_bench`.

    Raises:
        ConfigError: the experiment has no part ``bench: {batch: ...}``, or asks for what there is not.
    """
    config = experiment.bench.batch if experiment.bench else None
    if config is None:
        raise _no_part(experiment, "batch")
    return _run("batch", experiment, config, batch_cases(config), BATCHERS, on_progress)


def run_live_bench(experiment: Experiment, on_progress: OnProgress = lambda *_: None) -> dict[str, Any]:
    """Measure our street, its parts alone, and what others use, and record the run.

    Returns:
        As :func:`run_queue_bench`; what :func:`toolkit.bench.streets.cases.add_ideals` adds is in it.

    Raises:
        ConfigError: the experiment has no part ``bench: {live: ...}``, or asks for what there is not.
    """
    config = experiment.bench.live if experiment.bench else None
    if config is None:
        raise _no_part(experiment, "live")
    with street_videos(config) as videos:
        cases = live_cases(config, videos)
        return _run("live", experiment, config, cases, STREETS, on_progress, add_ideals)


def run_model_bench(experiment: Experiment, on_progress: OnProgress = lambda *_: None) -> dict[str, Any]:
    """Measure our runtimes, the network alone, and the same libraries as one uses them.

    Returns:
        As :func:`run_queue_bench`.

    Raises:
        ConfigError: the experiment has no part ``bench: {model: ...}``, or asks for what there is not.
    """
    # Late: it loads torch, and the other benches have no need of it.
    from toolkit.bench.models.files import model_files

    config = experiment.bench.model if experiment.bench else None
    if config is None:
        raise _no_part(experiment, "model")
    with model_files(config.models, files_needed(model_contenders(config))) as (files, sizes_px):
        cases = model_cases(config, sizes_px, files)
        return _run("model", experiment, config, cases, RUNTIMES, on_progress)


def run_train_bench(experiment: Experiment, on_progress: OnProgress = lambda *_: None) -> dict[str, Any]:
    """Measure our training loop, its model alone, and a loop of timm's parts, and record the run.

    Returns:
        As :func:`run_queue_bench`.

    Raises:
        ConfigError: the experiment has no part ``bench: {train: ...}``, or asks for what there is not.
        ModelError: timm has no such backbone or optimiser.
    """
    # Late: it loads torch, and the other benches have no need of it.
    from toolkit.bench.trainings.ours import check_can_train

    config = experiment.bench.train if experiment.bench else None
    if config is None:
        raise _no_part(experiment, "train")
    cases = train_cases(config)
    check_can_train(as_plain(config))
    return _run("train", experiment, config, cases, TRAININGS, on_progress)


def _no_part(experiment: Experiment, what: str) -> ConfigError:
    return ConfigError(
        f"experiment {experiment.name!r} has no part 'bench': bench: {{{what}: {{rounds: 5}}}}"
    )


def _run(
    what: str,
    experiment: Experiment,
    config: QueueBenchConfig
    | CameraBenchConfig
    | BatchBenchConfig
    | LiveBenchConfig
    | ModelBenchConfig
    | TrainBenchConfig,
    cases: Sequence[Case],
    contenders: Mapping[str, Contender],
    on_progress: OnProgress,
    complete: Callable[[dict[str, Any]], None] = lambda cases: None,
) -> dict[str, Any]:
    measured = run_rounds(cases, contenders, config.rounds, config.timeout_s, on_progress)
    complete(measured)
    asked = config.rounds * sum(len(case.contenders) for case in cases)
    counts = {"measurements": sum(case["measurements"] for case in measured.values()), "asked": asked}
    result = {"machine": machine(), "settings": as_plain(config), **counts, "cases": measured}
    # Only now: the record's thread would take its time from whoever is measured.
    record = RunRecord("bench", run_name(experiment.name), as_plain(experiment))
    record.log_metrics({f"bench/{what}/{name}": value for name, value in _numbers(measured).items()})
    record.log_text(as_yaml(experiment), "experiment.yaml")
    record.log_text(json.dumps(result, indent=2), "bench.json")
    status = "FINISHED" if counts["measurements"] == asked else "KILLED"
    return {**result, "mlflow_run_id": record.close(status)}


def _numbers(cases: dict[str, Any]) -> dict[str, float]:
    """``case/contender/figure`` and ``case/ratio`` of everything that is a number."""
    # The ratios say who "ours" was, and a contender may be called so.
    told = {name: {**case["ratios"], **case["contenders"]} for name, case in cases.items()}
    flat = {name.replace(".", "/"): value for name, value in flatten(told).items()}
    return {name: float(value) for name, value in flat.items() if isinstance(value, int | float)}
