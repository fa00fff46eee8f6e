"""A search for the capacity of this machine: resumable, recorded in MLflow, with one picture."""

from __future__ import annotations

import hashlib
import json
import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.capacity.config import CapacityConfig
from toolkit.capacity.figure import capacity_figure
from toolkit.capacity.measure import Machine
from toolkit.capacity.search import Plan, pass_rate_interval, plan, statement
from toolkit.capacity.views import offline_answers, views_of
from toolkit.errors import ConfigError
from toolkit.experiment import Experiment, LiveConfig, as_plain, as_yaml
from toolkit.live_parts import make_body_predictor, make_detector, make_predictor
from toolkit.tracking import RunRecord, prepare_store, run_name

logger = logging.getLogger(__name__)

TRIALS_FILE = "trials.json"
FIGURE_FILE = "capacity.png"

_FIGURES = ("p50_ms", "p99_ms", "dropped_fraction", "streaming_gender_accuracy", "offline_gender_accuracy")
_MEDIANS = (*_FIGURES, "frames_per_s", "cpu_ms_per_frame")

RunCameras = Callable[[int, int], dict[str, Any]]
"""``run(cameras, number)``: one measured run; see :meth:`Machine.run`."""

OnTrial = Callable[[dict[str, Any], Plan], None]
"""Called after each run with its row, and with how the search goes on."""


def load_machine(
    live: LiveConfig,
    config: CapacityConfig,
    on_frame: Callable[[int, int], None] = lambda done, total: None,
) -> Machine:
    """This machine, with all that is done before anything is measured: films, model, offline answers.

    Raises:
        ConfigError: a video is not there.
        ModelError: the detector or the model cannot be loaded.
    """
    views = views_of(config, on_frame)
    detect, predict, predict_bodies = make_detector(live), make_predictor(live), make_body_predictor(live)
    offline = offline_answers(views, detect, predict, live.pipeline, predict_bodies)
    return Machine(live, config, views, detect, predict, offline, predict_bodies)


def parts_of(experiment: Experiment) -> tuple[LiveConfig, CapacityConfig]:
    """The settings of the street and of the search."""
    live = experiment.live or LiveConfig({"view": "scene:hall"})
    return live, experiment.capacity or CapacityConfig()


def search(
    run: RunCameras, config: CapacityConfig, trials: list[dict[str, Any]], on_trial: OnTrial | None = None
) -> Plan:
    """Run what :func:`plan` asks for until the answer is found; each row is added to ``trials``."""
    while (now := step(run, config, trials, on_trial)).next is not None:
        pass
    return now


def step(
    run: RunCameras, config: CapacityConfig, trials: list[dict[str, Any]], on_trial: OnTrial | None = None
) -> Plan:
    """One run of a search, unless the answer is found; what is known after it."""
    now = _planned(trials, config)
    if now.next is None:
        return now
    row = run(now.next, len(trials))
    trials.append(row | {"counts": counts(row, trials, config)})
    now = _planned(trials, config)
    if on_trial:
        on_trial(trials[-1], now)
    return now


def counts(row: Mapping[str, Any], before: Sequence[Mapping[str, Any]], config: CapacityConfig) -> bool:
    """Whether a run counts: not when others disturbed it, passed or not; it is then made once more.

    Where the run before it was disturbed too, others are always there, and belong to the machine. The last
    run of a search counts as it is.
    """
    is_disturbed, was_disturbed = (
        any(run["others_cpu"] > config.most_others for run in runs) for runs in ([row], before[-1:])
    )
    return not is_disturbed or was_disturbed or len(before) + 1 >= config.runs


def verdicts(trials: Sequence[Mapping[str, Any]]) -> list[tuple[int, bool]]:
    """Number of cameras and whether it passed, of the runs that count."""
    return [(row["cameras"], row["passed"]) for row in trials if row["counts"]]


def _planned(trials: Sequence[Mapping[str, Any]], config: CapacityConfig) -> Plan:
    known = verdicts(trials)
    # What was disturbed took its time too.
    runs = config.runs - (len(trials) - len(known))
    return plan(known, config.first_cameras, config.most_cameras, runs, config.sure)


def run_capacity(
    experiment: Experiment,
    out_dir: Path,
    on_trial: OnTrial | None = None,
    load: Callable[[], RunCameras] | None = None,
) -> dict[str, Any]:
    """Find the largest number of cameras this machine carries within the bounds.

    Every run is kept in ``out_dir`` when it is over. Ctrl-C ends the search after it has stopped its cameras;
    the next call with the same ``out_dir`` goes on.

    Args:
        experiment: its parts ``capacity`` and ``live`` (all but its cameras).
        out_dir: for the runs and the picture.
        on_trial: see :data:`OnTrial`.
        load: stands in for :func:`load_machine`.

    Returns:
        ``cameras`` (0 when none passes, None when the search was ended by hand), the medians of its runs
        (``p99_ms``, ``dropped_fraction``, ``streaming_gender_accuracy``, ``offline_gender_accuracy``,
        ``cpu_ms_per_frame``, ``frames_per_s``); where there is an answer, ``cameras_ci95`` (between which
        numbers it lies), ``sure`` (how probable it is that the answer is off by one at most), ``confidence``
        in words, ``passed``, ``runs`` and ``pass_rate_ci95`` of that number; ``repeated`` (runs that others
        disturbed), ``settings``, ``by_cameras``, ``trials``, ``figure``, ``mlflow_run_id``.

    Raises:
        ConfigError: ``out_dir`` holds a search with other settings.
    """
    live, config = parts_of(experiment)
    path = out_dir / TRIALS_FILE
    settings = {"live": as_plain(live), "capacity": as_plain(config)}
    trials = load_trials(path, settings)
    prepare_store()
    run = (load or (lambda: load_machine(live, config).run))()
    record = RunRecord("capacity", run_name(experiment.name), as_plain(experiment))
    record.log_text(as_yaml(experiment), "experiment.yaml")

    def keep(row: dict[str, Any], now: Plan) -> None:
        save_trials(path, settings, trials)
        record.log_metrics({f"capacity/trial/{name}": row[name] for name in _MEDIANS}, step=row["cameras"])
        if on_trial:
            on_trial(row, now)

    found, status = None, "FAILED"
    try:
        found = search(run, config, trials, keep)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        logger.info("ended by hand; the same out_dir goes on after %d runs", len(trials))
    finally:
        result = summary(trials, found, settings)
        _keep_figures(record, result, config, out_dir)
        result["mlflow_run_id"] = record.close(status)
    return result


def _keep_figures(record: RunRecord, result: dict[str, Any], config: CapacityConfig, out_dir: Path) -> None:
    """The answer with its medians; the picture and the table of all runs, where there were any."""
    # The trials have names of their own: MLflow's last value is that of the most cameras, not of the answer.
    record.log_metrics({f"capacity/{name}": result[name] for name in ("cameras", *_MEDIANS)})
    if not result["trials"]:
        return
    figure = out_dir / FIGURE_FILE
    capacity_figure(result["by_cameras"], config, result["cameras"]).savefig(figure, dpi=120)
    result["figure"] = str(figure)
    record.log_file(figure)
    rows = [{**row, "failures": "; ".join(row["failures"])} for row in result["trials"]]
    record.log_table(rows, "trials.json")


def summary(
    trials: Sequence[Mapping[str, Any]], found: Plan | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What the runs say together; see :func:`run_capacity`."""
    counting = [row for row in trials if row["counts"]]
    numbers = sorted({row["cameras"] for row in counting})
    by_cameras = [_together([row for row in counting if row["cameras"] == number]) for number in numbers]
    cameras = None if found is None else found.passes
    # Where not even one camera passes, its figures tell why; a search of few runs may not have tried one.
    untried: dict[str, Any] = {"passed": 0, "runs": 0, **dict.fromkeys(_MEDIANS)}
    answer = next((row for row in by_cameras if row["cameras"] == max(cameras or 0, 1)), untried)
    told = {name: None if cameras is None else answer[name] for name in _MEDIANS}
    result: dict[str, Any] = {"cameras": cameras, **told, "settings": dict(settings)}
    if found is not None:
        result |= {
            "cameras_ci95": [found.least, found.most],
            "sure": round(found.sure, 3),
            "confidence": statement(verdicts(trials), found),
            "passed": answer["passed"],
            "runs": answer["runs"],
            "pass_rate_ci95": list(pass_rate_interval(answer["passed"], answer["runs"])),
        }
    result["repeated"] = len(trials) - len(counting)
    return result | {"by_cameras": by_cameras, "trials": list(trials), "figure": None}


def load_trials(path: Path, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The runs of a search that was broken off; none where there was none.

    Raises:
        ConfigError: they were made with other settings, or the file is damaged.
    """
    if not path.is_file():
        return []
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["digest"] == _digest(settings):
            return kept["trials"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is damaged: {error!r}; remove it to begin anew") from error
    raise ConfigError(f"{path} holds a search with other settings; choose another folder, or remove it")


def save_trials(path: Path, settings: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> None:
    """Keep the runs so far; a file under this name is always complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    kept = {"digest": _digest(settings), "settings": settings, "trials": list(trials)}
    part.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def _digest(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _together(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The runs of one number of cameras: how many passed, and the median of each figure."""
    medians = {}
    for name in _MEDIANS:
        values = [row[name] for row in rows if row[name] is not None]
        medians[name] = statistics.median(values) if values else None
    passed = sum(row["passed"] for row in rows)
    return {"cameras": rows[0]["cameras"], "runs": len(rows), "passed": passed, **medians}
