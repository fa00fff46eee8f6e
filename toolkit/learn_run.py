"""Training and evaluating as runs: the learning wing with its record in MLflow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from toolkit.errors import ConfigError
from toolkit.experiment import Experiment, as_plain, as_yaml
from toolkit.tracking import RunRecord, run_name
from toolkit.training.loop import OnEpoch, OnProgress, TrainResult, train


def run_training(
    experiment: Experiment,
    out_dir: Path | None = None,
    on_progress: OnProgress | None = None,
    on_epoch: OnEpoch | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Train as the experiment's part ``train`` says, and record the run.

    Args:
        experiment: with a part ``train``.
        out_dir: where checkpoint and state go, instead of where the experiment says.
        on_progress: called after each step.
        on_epoch: called after each epoch.
        resume: go on with the training that lies in that folder.

    Returns:
        ``checkpoint``, ``best_epoch``, ``epochs`` (metrics of each), ``steps``, ``images``, ``seconds``,
        ``data_sha256``, ``was_interrupted`` and ``mlflow_run_id``.

    Raises:
        ConfigError: the experiment has no part ``train``, or there is nothing to resume.
        DataError, ModelError: as :func:`toolkit.training.loop.train`.
    """
    if experiment.train is None:
        raise ConfigError(f"experiment {experiment.name!r} has no part 'train': train: {{data: ...}}")
    config = experiment.train if out_dir is None else replace(experiment.train, out_dir=str(out_dir))
    experiment = replace(experiment, train=config)
    record = RunRecord("train", run_name(experiment.name), as_plain(experiment))
    record.log_text(as_yaml(experiment), "experiment.yaml")

    def note_epoch(epoch: int, metrics: dict[str, float]) -> None:
        record.log_metrics(metrics, step=epoch)
        if on_epoch:
            on_epoch(epoch, metrics)

    status = "FAILED"
    try:
        result = train(config, on_progress, note_epoch, resume)
        status = "KILLED" if result.was_interrupted else "FINISHED"
        _record_result(record, result)
    finally:
        run_id = record.close(status)
    return as_plain(result) | {"mlflow_run_id": run_id}


def _record_result(record: RunRecord, result: TrainResult) -> None:
    record.log_metrics({"train/seconds": result.seconds, "train/images": result.images})
    record.log_text(result.data_sha256, "data.sha256")
    if result.checkpoint is not None:
        for suffix in (".safetensors", ".json"):
            record.log_file(result.checkpoint.with_suffix(suffix), "checkpoint")
