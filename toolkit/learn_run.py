"""Training and evaluating as runs: the learning wing with its record in MLflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toolkit.data.faces import load_faces
from toolkit.errors import ConfigError
from toolkit.evaluation.faces import evaluate_faces
from toolkit.experiment import Experiment, as_plain, as_yaml
from toolkit.models.checkpoint import SHIPPED
from toolkit.models.predictor import Predictor
from toolkit.tracking import RunRecord, run_name
from toolkit.training.loop import OnEpoch, OnProgress, TrainResult, train


@dataclass(frozen=True)
class EvaluationConfig:
    """What is evaluated on what.

    Attributes:
        data: a face pack by name or path.
        split: the part of it; None takes all rows.
        checkpoint: "shipped", or the path of a trained model.
        limit: only the first so many faces.
        device: "auto" or a torch device.
    """

    data: str = "fairface_test_128"
    split: str | None = "test"
    checkpoint: str = SHIPPED
    limit: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit must be at least 1, got {self.limit}")


def run_training(
    experiment: Experiment,
    out_dir: Path | None = None,
    on_progress: OnProgress | None = None,
    on_epoch: OnEpoch | None = None,
) -> dict[str, Any]:
    """Train as the experiment's part ``train`` says, and record the run.

    Returns:
        ``checkpoint``, ``best_epoch``, ``epochs`` (metrics of each), ``steps``, ``images``, ``seconds``,
        ``data_sha256``, ``was_interrupted`` and ``mlflow_run_id``.

    Raises:
        ConfigError: the experiment has no part ``train``.
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
        result = train(config, on_progress, note_epoch)
        status = "KILLED" if result.was_interrupted else "FINISHED"
        _record_result(record, result)
    finally:
        run_id = record.close(status)
    return as_plain(result) | {"mlflow_run_id": run_id}


def run_evaluation(
    config: EvaluationConfig, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Score a model on labelled faces, and record the run.

    Returns:
        What :func:`~toolkit.evaluation.faces.score_predictions` says, ``data_sha256``, ``mlflow_run_id``.

    Raises:
        DataError: the pack is missing or a row of it cannot be used.
        ModelError: the checkpoint cannot be loaded.
    """
    faces = load_faces(config.data, config.split)
    if config.limit is not None:
        faces = faces.head(config.limit)
    scores = evaluate_faces(Predictor.load(config.checkpoint, config.device), faces, on_progress)
    scores["data_sha256"] = faces.sha256
    record = RunRecord("evaluate", run_name(Path(config.data).stem), as_plain(config))
    record.log_metrics({f"eval/{name}": value for name, value in _numbers(scores).items()})
    record.log_text(json.dumps(scores, indent=2), "scores.json")
    scores["mlflow_run_id"] = record.close()
    return scores


def _record_result(record: RunRecord, result: TrainResult) -> None:
    record.log_metrics({"train/seconds": result.seconds, "train/images": result.images})
    record.log_text(result.data_sha256, "data.sha256")
    if result.checkpoint is not None:
        for suffix in (".safetensors", ".json"):
            record.log_file(result.checkpoint.with_suffix(suffix), "checkpoint")


def _numbers(scores: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if isinstance(value, int | float)}
