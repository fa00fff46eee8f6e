"""A recorded live run, scored again: as it was, or with another model or settings on the very same frames."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.errors import ConfigError, DataError, StoreUnavailable
from toolkit.evaluation.streaming.align import align
from toolkit.evaluation.streaming.answers import Answer
from toolkit.evaluation.streaming.recorder import AnswerRecorder, load_recording
from toolkit.evaluation.streaming.recording import Recording
from toolkit.evaluation.streaming.scores import over_time, score_streaming
from toolkit.experiment import Experiment, LiveConfig, as_plain, load_experiment
from toolkit.replay.again import Again, OnFrame
from toolkit.tracking import RunRecord, add_to_run, flatten, prepare_store, run_name

if TYPE_CHECKING:
    from toolkit.live_run import LiveReport

logger = logging.getLogger(__name__)


def run_replay(
    path: Path,
    overrides: Sequence[str] = (),
    offline: bool = False,
    on_frame: OnFrame = lambda done, total: None,
) -> dict[str, Any]:
    """Score a recording.

    Without overrides nothing is computed anew: the answers and their times are those of the file, and the
    scores are the same whenever they are asked for. With overrides the recorded cameras are read again, the
    very frames that the run had answered are answered by the other model or settings, and each answer counts
    from the moment at which the recorded one was finished. That is a simulated clock: it tells what the
    change does to accuracy when nothing else changes. What it does to speed, a live run tells.

    Args:
        path: what ``toolkit live --record`` wrote.
        overrides: ``live.key=value`` texts, laid over the recorded settings.
        offline: score also what the street says of every frame when it has all the time it needs.
        on_frame: see :data:`OnFrame`.

    Returns:
        ``streaming`` (None of recordings that were read as fast as they go: see
        :attr:`Recording.is_paced`), ``without_latency`` (each answer counts from its frame on: what is lost
        to frames that were never answered) and ``offline`` (None unless asked for), each as
        :func:`toolkit.evaluation.streaming.scores.score_streaming` has it; ``streaming_gender_accuracy``,
        ``offline_gender_accuracy``, ``latency_ms``, ``answers``, ``over_time``, ``clock``, ``settings``,
        ``mlflow_run_id``.

    Raises:
        DataError: it is no recording, or nobody knows who was to be seen in it.
        ConfigError: an override is not right, or a recorded camera cannot be read again.
    """
    recording = load_recording(path)
    if not recording.truths:
        raise DataError(
            f"{path} has no truth beside it, so nothing can be held against it; record a scene: "
            "toolkit live --record FILE -c hall=scene:hall"
        )
    experiment = _experiment(recording, overrides)
    answers: Sequence[Answer] = recording.answers
    if overrides or offline:
        # Only now: what is scored as it was needs no model, nor the seconds that torch takes to load.
        from toolkit.live_parts import make_body_predictor, make_detector, make_predictor

        live = _live(experiment)
        parts = make_detector(live), make_predictor(live)
        again = Again(recording, live, *parts, on_frame, make_body_predictor(live))
        answers = again.answers() if overrides else answers
        unhurried_answers = again.offline() if offline else None
    else:
        unhurried_answers = None
    result = scores(recording, answers, unhurried_answers)
    result |= {
        "recording": str(path),
        "clock": "simulated: the recorded times" if overrides else "as recorded",
        "settings": dict(recording.settings) | {"overrides": list(overrides)},
    }
    return result | {"mlflow_run_id": _record(path, result)}


def run_recorded(experiment: Experiment, path: Path, out_dir: Path, **settings: Any) -> LiveReport:
    """A live run whose answers are kept in a file; of scenes, with who was to be seen beside it.

    Args:
        experiment: must have a part ``live``.
        path: of the file; ends in ``.jsonl``.
        out_dir: for the sample pictures.
        settings: see :func:`toolkit.live_run.run_live`.

    Raises:
        ConfigError: the experiment has no part ``live``, or the file another ending.
        SourceError: no camera can be opened.
    """
    # Only now: a replay needs neither the street nor torch, which takes seconds to load.
    from toolkit.live_run import run_live
    from toolkit.scene_source import scene_truths

    live = _live(experiment)
    truths = scene_truths(live.cameras, live.camera.loop)
    with AnswerRecorder(path, as_plain(experiment), truths) as recorder:
        report = run_live(experiment, out_dir, listeners=[recorder], **settings)
        recorder.finish(report.statistics)
    return report


def scores(
    recording: Recording, answers: Sequence[Answer], offline: Sequence[Answer] | None = None
) -> dict[str, Any]:
    """The scores of a recording with these answers; see :func:`run_replay`."""
    truths, until_s = recording.truths, recording.until_s
    at_once = [replace(answer, finished_at_s=answer.frame_time_s) for answer in answers]
    blocks = {
        "streaming": score_streaming(truths, answers, until_s=until_s) if recording.is_paced else None,
        "without_latency": score_streaming(truths, at_once, until_s=until_s),
        "offline": None if offline is None else score_streaming(truths, offline, until_s=until_s),
    }
    seen = [align(camera, truth, answers, until_s=until_s[camera]) for camera, truth in truths.items()]
    late_ms = 1000 * recording.latencies_s
    percents = {p: round(float(np.percentile(late_ms, p)), 2) if late_ms.size else None for p in (50, 95, 99)}
    return {
        "streaming_gender_accuracy": _gender(blocks["streaming"]),
        "offline_gender_accuracy": _gender(blocks["offline"]),
        **blocks,
        "latency_ms": {f"p{percent}": value for percent, value in percents.items()},
        "answers": len(recording.answers),
        "is_complete": bool(recording.statistics),
        "over_time": over_time(seen) if recording.is_paced else None,
    }


def _experiment(recording: Recording, overrides: Sequence[str]) -> Experiment:
    for override in overrides:
        if not override.startswith("live.") or override.startswith("live.cameras"):
            raise ConfigError(
                f"a replay changes settings of the live run, such as live.checkpoint=FILE, not {override!r}"
            )
    return load_experiment(None, overrides, recording.settings)


def _live(experiment: Experiment) -> LiveConfig:
    if experiment.live is None:
        raise ConfigError(f"experiment {experiment.name!r} has no part 'live': live: {{cameras: {{...}}}}")
    return experiment.live


def _record(path: Path, result: Mapping[str, Any]) -> str | None:
    prepare_store()
    record = RunRecord(
        "replay", run_name(path.stem), {"settings": result["settings"], "clock": result["clock"]}
    )
    for name in ("streaming", "without_latency", "offline"):
        if result[name] is not None:
            record.log_metrics(streaming_metrics(result[name], name))
    return record.close()


def keep_scores(run_id: str | None, result: Mapping[str, Any]) -> None:
    """Write the scores into the run they belong to, of the screen if there was one.

    A store that is away is said to be, and no more.
    """
    if run_id is None:
        return
    name = "streaming" if result["streaming"] is not None else "without_latency"
    known = {n: float(v) for n, v in streaming_metrics(result[name], name).items() if v is not None}
    try:
        add_to_run(run_id, known)
    except StoreUnavailable as error:
        logger.warning("the scores are not in MLflow: %s", error)


def streaming_metrics(block: Mapping[str, Any], prefix: str) -> dict[str, float | None]:
    """Metric names as they stand in MLflow: ``streaming/gender_accuracy``, ``streaming/worst/...``, ..."""
    plain = {f"{prefix}/{name}": value for name, value in flatten(block["all"]).items()}
    plain |= {f"{prefix}/macro/{name}": value for name, value in flatten(block["macro"]).items()}
    if block["worst"]:
        plain[f"{prefix}/worst/gender_accuracy"] = block["worst"]["gender_accuracy"]
    return {name.replace("+", "up"): value for name, value in plain.items()}


def _gender(block: Mapping[str, Any] | None) -> float | None:
    return None if block is None else block["all"]["gender_accuracy"]
