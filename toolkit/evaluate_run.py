"""Evaluating as a run: models or tables of predictions judged on labelled faces, recorded in MLflow."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.data.faces import FaceTable, load_faces
from toolkit.errors import ConfigError, ModelError
from toolkit.evaluation.calibration import calibration_of
from toolkit.evaluation.comparison import compare
from toolkit.evaluation.config import EvaluateConfig, is_table
from toolkit.evaluation.confusion import confusion_of
from toolkit.evaluation.faces import predict_faces
from toolkit.evaluation.fairness import fairness_gaps
from toolkit.evaluation.report import write_report
from toolkit.evaluation.scores import score_table
from toolkit.evaluation.table import (
    PredictionTable,
    are_matched_by_file,
    paired,
    read_table,
    sample,
    write_table,
)
from toolkit.evaluation.values import label_notes
from toolkit.experiment import Experiment, as_plain, as_yaml
from toolkit.machine import machine
from toolkit.tracking import RunRecord, run_name
from toolkit.whole_files import whole_file

if TYPE_CHECKING:
    from toolkit.models.predictor import Predictor

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, and faces done and in all."""


@dataclass(frozen=True)
class Judged:
    """The predictions that are judged, and where they come from.

    Attributes:
        tables: of the subject, and of the one it is held against if there is one; rows are the same faces.
        faces: the pictures, where a model looked at any.
        total: faces in the set, of which the tables may hold a sample.
        data: name of the set.
        sha256: digest of the file with the labels.
    """

    tables: list[PredictionTable]
    faces: FaceTable | None
    total: int
    data: str
    sha256: str


def run_evaluation(
    experiment: Experiment,
    report: Path | None = None,
    predictions: Path | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Judge what the experiment's part ``evaluate`` names, and record the run.

    Args:
        experiment: with a part ``evaluate``.
        report: where the HTML report goes; it is kept in the run anyway.
        predictions: where the table of predictions goes (.csv, .parquet).
        on_progress: called with what is being done, and faces done and in all.

    Returns:
        The scores of :func:`toolkit.evaluation.scores.score_table`, and ``subject``, ``data``, ``split``,
        ``data_sha256``; ``sample_of`` (faces in the set, None if all were taken); ``notes`` on the labels;
        ``gaps``, ``calibration``, ``confusion``; where asked for ``against`` and ``corruptions``;
        ``runtimes`` (model to what ran it); ``mlflow_run_id``.

    Raises:
        ConfigError: the experiment has no part ``evaluate``, or ``predictions`` names no table.
        DataError: a pack or table is missing, or a row of it cannot be used.
        ModelError: a checkpoint cannot be loaded.
    """
    config = experiment.evaluate
    if config is None:
        raise ConfigError(f"experiment {experiment.name!r} has no part 'evaluate': evaluate: {{data: ...}}")
    # Told before the work, and not after it: a model may look at faces for an hour.
    if predictions is not None and not is_table(predictions.name):
        raise ConfigError(f"predictions are written as .csv or .parquet, got {predictions}")
    tell = on_progress or (lambda what, done, total: None)
    began, called = time.time(), run_name(experiment.name)
    looking = _Looking(config, tell)
    judged = looking.judged()
    if predictions is not None:
        write_table(judged.tables[0], predictions)

    result = _result(config, judged)
    result["calibration"] = calibration_of(judged.tables[0], looking.fitted_on(judged))
    if config.corruptions and judged.faces is not None:
        result["corruptions"] = looking.robustness(judged.faces)
    result["runtimes"] = looking.runtimes()
    record = partial(RunRecord, "evaluate", called, as_plain(experiment), began_at=began)
    return _recorded(experiment, result, judged.tables[0], report, record)


class _Looking:
    """The models of one evaluation, each loaded once, and what they say of faces."""

    def __init__(self, config: EvaluateConfig, tell: OnProgress) -> None:
        self.config = config
        self._tell = tell
        self._predictors: dict[str, Predictor] = {}

    def judged(self) -> Judged:
        """The predictions of all subjects, on the same faces in the same order."""
        config = self.config
        subjects = [config.subject] if config.against is None else [config.subject, config.against]
        told: dict[str, PredictionTable] = {}
        faces = None
        if not all(map(is_table, subjects)):
            _refuse_what_is_nowhere(subjects)
            pack = load_faces(config.data, None if config.split == "all" else config.split)
            total, name, sha256 = len(pack), pack.name, pack.sha256
            faces = self._sampled(pack, config.limit)
            told = {model: self._predicted(model, faces) for model in subjects if not is_table(model)}
        for subject in filter(is_table, subjects):
            table = read_table(Path(subject))
            if not told:
                total, name, sha256 = len(table), table.name, _sha256(Path(subject))
            first = next(iter(told.values()), None)
            # Without the names of files, rows are matched by their order: the same sample of each.
            if first is None or not are_matched_by_file(first, table):
                table = table.take(sample(len(table), config.limit, config.seed))
            told[subject] = table if first is None else paired(first, table)
        return Judged([told[subject] for subject in subjects], faces, total, name, sha256)

    def fitted_on(self, judged: Judged) -> PredictionTable | None:
        """Predictions of the faces that temperatures are fitted on; none of them is judged."""
        name, subject = self.config.temperature_from, self.config.subject
        if name is None:
            return None
        if is_table(name):
            table = read_table(Path(name))
            if _sha256(Path(name)) == judged.sha256:
                raise ConfigError(_judged_itself(name))
            return table
        if is_table(subject):
            raise ConfigError(
                f"{subject} holds predictions of its own faces alone; temperature_from must be a table of "
                f"the same model's predictions of other faces, got {name!r}"
            )
        pack, colon, split = name.rpartition(":")
        if not colon:
            raise ConfigError(f"temperature_from is written PACK:SPLIT, such as my_faces:val, got {name!r}")
        faces = load_faces(pack, split)
        # By what is in the file: a pack has a name, a path, and perhaps copies.
        if faces.sha256 == judged.sha256 and self.config.split in (split, "all"):
            raise ConfigError(_judged_itself(name))
        return self._predicted(subject, self._sampled(faces, self.config.limit), name)

    def robustness(self, faces: FaceTable) -> dict[str, Any]:
        """How the subject holds up when these pictures get worse."""
        # Late: it loads PyAV.
        from toolkit.evaluation.robustness import measure_robustness

        config = self.config
        chosen = self._sampled(faces, config.corruption_faces)
        clean = self._predicted(config.subject, chosen, "as they are")
        predictor = self._predictor(config.subject)
        measured = measure_robustness(predictor, chosen, clean, config.corruptions, config.seed, self._tell)
        return measured.as_plain()

    def runtimes(self) -> dict[str, str]:
        """What runs each model that was looked at."""
        return {model: str(predictor.runtime) for model, predictor in self._predictors.items()}

    def _predicted(self, model: str, faces: FaceTable, what: str | None = None) -> PredictionTable:
        words = what or Path(model).stem
        return predict_faces(
            self._predictor(model), faces, lambda done, total: self._tell(words, done, total)
        )

    def _predictor(self, model: str) -> Predictor:
        # Late: a table of predictions needs no torch.
        from toolkit.models.predictor import Predictor

        if model not in self._predictors:
            self._predictors[model] = Predictor.load(model, self.config.device, runtime=self.config.runtime)
        return self._predictors[model]

    def _sampled(self, faces: FaceTable, limit: int | None) -> FaceTable:
        return replace(faces, rows=faces.rows.iloc[sample(len(faces), limit, self.config.seed)])


def _result(config: EvaluateConfig, judged: Judged) -> dict[str, Any]:
    table = judged.tables[0]
    result = score_table(table, config.resamples, config.seed) | {
        "subject": config.subject,
        "data": judged.data,
        "split": None if judged.faces is None else config.split,
        "data_sha256": judged.sha256,
        "sample_of": judged.total if len(table) < judged.total else None,
        "notes": label_notes(table),
        "gaps": fairness_gaps(table),
        "confusion": confusion_of(table),
    }
    if config.against is not None:
        other = judged.tables[1]
        scores = score_table(other, config.resamples, config.seed)
        differences = compare(table, other, config.resamples, config.seed)
        result["against"] = {"subject": config.against, "scores": scores, "differences": differences}
    return result


def _recorded(
    experiment: Experiment,
    result: dict[str, Any],
    table: PredictionTable,
    report: Path | None,
    begin_record: Callable[[], RunRecord],
) -> dict[str, Any]:
    result["machine"] = machine()
    html = write_report(result, table, experiment.question)
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(report) as part:
            part.write_text(html, encoding="utf-8")
    # Only now, so that a slip in a name leaves no failed run behind.
    record = begin_record()
    record.log_metrics(_metrics(result))
    for severity, values in _by_severity(result).items():
        record.log_metrics(values, step=severity)
    record.log_text(as_yaml(experiment), "experiment.yaml")
    record.log_text(json.dumps(result, indent=2), "scores.json")
    record.log_text(html, "report.html")
    return result | {"mlflow_run_id": record.close()}


def _metrics(result: dict[str, Any]) -> dict[str, float | None]:
    """The numbers of a run, by MLflow's names."""
    named: dict[str, float | None] = {
        f"eval/{name}": value for name, value in result.items() if isinstance(value, int | float)
    }
    for kind, of_kind in result["gaps"].items():
        for score, gap in of_kind.items():
            if isinstance(gap, dict):
                named[f"eval/{kind}/worst_{score}"] = gap["worst"]
                named[f"eval/{kind}/gap_{score}"] = gap["gap"]
    for what, told in result["calibration"].items():
        named[f"eval/{what}_nll"] = told and told["nll"]
        named[f"eval/{what}_temperature"] = told and told.get("temperature")
    for name, fall in result.get("corruptions", {}).get("mean_fall", {}).items():
        named[f"eval/{name}/mean_fall"] = fall
    return named


def _by_severity(result: dict[str, Any]) -> dict[int, dict[str, float | None]]:
    by_corruption = result.get("corruptions", {}).get("by_corruption", {})
    told: dict[int, dict[str, float | None]] = {}
    for name, by_severity in by_corruption.items():
        for severity, scores in by_severity.items():
            for score in ("gender_accuracy", "age_mae_years"):
                told.setdefault(int(severity), {})[f"eval/{name}/{score}"] = scores[score]
    return told


def _judged_itself(name: str) -> str:
    return (
        f"temperature_from names faces that are judged, {name!r}; a temperature is fitted on other faces, "
        "such as the val split"
    )


def _refuse_what_is_nowhere(subjects: Sequence[str]) -> None:
    """A slip in a model's name is told before faces are looked for, and before torch is loaded."""
    for subject in subjects:
        if Path(subject).suffix == ".safetensors" and not Path(subject).exists():
            raise ModelError(f"no checkpoint {subject}; check its spelling, or judge 'shipped'")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
