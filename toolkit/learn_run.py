"""Training as a run: the learning wing with its record in MLflow."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2

from toolkit.data.faces import load_faces
from toolkit.errors import ConfigError
from toolkit.experiment import Experiment, as_plain, as_yaml
from toolkit.tracking import RunRecord, run_name
from toolkit.training.config import TrainConfig
from toolkit.training.loop import OnEpoch, OnProgress, TrainResult, train
from toolkit.training.mlflow_model import save_mlflow_model
from toolkit.training.ranks import Ranks

_COMPARED_BY = "val/gender_accuracy"


def run_training(
    experiment: Experiment,
    out_dir: Path | None = None,
    on_progress: OnProgress | None = None,
    on_epoch: OnEpoch | None = None,
    resume: bool = False,
    tags: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Train as the experiment's part ``train`` says, and record the run.

    The run holds the settings, the digest of the data, metrics of every epoch, and the best checkpoint, both
    as files and as a version of the registered model of the experiment's name, which
    ``mlflow.pyfunc.load_model("models:/NAME@best")`` takes. Of several processes under ``torchrun`` the first
    records.

    Args:
        experiment: with a part ``train``.
        out_dir: where checkpoint and state go, instead of where the experiment says.
        on_progress: called after each step.
        on_epoch: called after each epoch.
        resume: go on with the training that lies in that folder.
        tags: of the run, further words to find it by.

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
    if not Ranks().is_first:
        return as_plain(train(config, on_progress, on_epoch, resume)) | {"mlflow_run_id": None}
    experiment = replace(experiment, train=config)
    record = RunRecord("train", run_name(experiment.name), as_plain(experiment), tags)
    record.log_text(as_yaml(experiment), "experiment.yaml")

    def note_epoch(epoch: int, metrics: dict[str, float]) -> None:
        # MLflow's comparison begins with the metric that was written first.
        record.log_metrics({_COMPARED_BY: metrics.get(_COMPARED_BY), **metrics}, step=epoch)
        if on_epoch:
            on_epoch(epoch, metrics)

    status = "FAILED"
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = train(config, on_progress, note_epoch, resume)
            status = "KILLED" if result.was_interrupted else "FINISHED"
            _record_result(record, experiment.name, config, result, Path(folder))
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            run_id = record.close(status)
    return as_plain(result) | {"mlflow_run_id": run_id}


def _record_result(
    record: RunRecord, name: str, config: TrainConfig, result: TrainResult, folder: Path
) -> None:
    record.log_metrics({"train/seconds": result.seconds, "train/images": result.images})
    faces = load_faces(config.data, "val")
    for context in ("training", "validation"):
        record.log_dataset(faces.name, result.data_sha256, str(faces.path), context)
    if result.checkpoint is not None:
        for suffix in (".safetensors", ".json"):
            record.log_file(result.checkpoint.with_suffix(suffix), "checkpoint")
        example = cv2.resize(faces.picture(0), (config.image_px, config.image_px))
        save_mlflow_model(result.checkpoint, folder / "model", example)
        best = result.epochs[result.best_epoch - 1]
        score = best.get("val/gender_accuracy", 0.0) + best.get("val/age_group_accuracy", 0.0)
        # The trainings of a sweep, "name: settings", are versions of one model; MLflow's names have no "/".
        record.log_model(folder / "model", name.partition(":")[0].replace("/", "-"), score)
