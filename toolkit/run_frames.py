"""Recorded runs as pandas frames: all of them, some side by side, one over time."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.errors import ConfigError, did_you_mean
from toolkit.mlflow_store import reading_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_WHICH_OF_A_METRIC = re.compile(r"([./]p\d+|_now)+$")
"""Ends of metric names that say which percentile it is, or of when, and nothing of what is measured."""

_RATE = re.compile(r"per_(\w+_)?s$")

_SMALLER_IS_BETTER = re.compile(
    r"(^|[/._])("
    r"s|seconds|(ms|us)(_per_\w+|_cpu)?|mb|cores_used|cores_busy|parameters|"
    r"loss|error|mae(_\w+)?|ece|nll|brier|gap(_\w+)?|fall|"
    r"skipped|failed|missing|dropped(_fraction)?|unanswered|mailboxes|frames_in_hand|queue/crops|"
    r"false_\w+|flips_per_track|identity_switches|p99_vs_\w+"
    r")$"
)
"""Last words of metric names of which less is more."""

_PARAM, _SYSTEM = "params.", "system/"
_PAGE = 1000
_COUNTS = ("read", "analysed", "skipped", "failed")


def run_frame(experiment: str | None = None, newest: int | None = None) -> pd.DataFrame:
    """The runs of a store, newest first.

    Args:
        experiment: only those of the MLflow experiment of this name, such as ``live``.
        newest: at most so many.

    Returns:
        Index: the run's id; columns ``run, experiment, status, started, seconds, parent``, then the last
        value of each metric under its own name, then each setting as ``params.NAME``; missing where a run has
        none.

    Raises:
        StoreUnavailable: there is no store yet, or it cannot be read; the text says what to do.
        ConfigError: no experiment has that name.
    """
    with reading_store() as client:
        names = {known.experiment_id: known.name for known in client.search_experiments()}
        if experiment is not None and experiment not in names.values():
            raise ConfigError(f"the store has no experiment {experiment!r}; {_nearest(experiment, names)}")
        ids = [number for number, name in names.items() if experiment in (None, name)]
        rows = {run.info.run_id: _row(run, names) for run in _pages(client, ids, newest)}
    first = ["run", "experiment", "status", "started", "seconds", "parent"]
    frame = pd.DataFrame.from_dict(rows, orient="index") if rows else pd.DataFrame(columns=first)
    rest = sorted(set(frame.columns) - set(first), key=lambda name: (name.startswith(_PARAM), name))
    return frame[[*first, *rest]].rename_axis(index="run_id")


def find_runs(words: Sequence[str]) -> pd.DataFrame:
    """The runs that are meant: each word the beginning of an id, or a name, of which the newest is taken.

    Returns:
        As :func:`run_frame`, in the order of the words.

    Raises:
        StoreUnavailable: as :func:`run_frame`.
        ConfigError: a word fits no run, or the ids of several.
    """
    frame = run_frame()
    chosen = []
    for word in words:
        by_id = [run_id for run_id in frame.index if run_id.startswith(word)] if len(word) >= 4 else []
        found = by_id or list(frame.index[frame["run"] == word])[:1]
        if len(found) > 1:
            raise ConfigError(f"{word!r} is the beginning of {len(found)} ids; give a longer one")
        if not found:
            raise ConfigError(f"no run is called {word!r}; {_nearest(word, dict(frame['run']))}")
        chosen += found
    return frame.loc[list(dict.fromkeys(chosen))]


def with_children(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs, those that have others nested in them (a sweep) replaced by these."""
    everything = run_frame()
    children = everything[everything["parent"].isin(runs.index)]
    rest = runs[~runs.index.isin(children["parent"])]
    return everything.loc[[*rest.index, *children.index[~children.index.isin(rest.index)]]]


def compare_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """What is unlike between runs: a row for each setting and metric in which they are not all the same.

    Args:
        runs: rows of :func:`run_frame`.

    Returns:
        Index: settings, as ``params.NAME``, above metrics, those of the machine last; a column for each run,
        named by its name, and by its id where two have one name.
    """
    names = runs["run"].where(~runs["run"].duplicated(keep=False), runs["run"] + " " + runs.index.str[:6])
    table = runs.drop(columns=["run", "started", "parent"]).T.set_axis(list(names), axis=1)
    told = table.dropna(how="all")
    unlike = told[told.astype(str).nunique(axis=1) > 1] if len(runs) > 1 else told
    return unlike.sort_index(key=_ranks, kind="stable")


def _ranks(names: pd.Index) -> np.ndarray:
    return np.select([names.str.startswith(_PARAM), names.str.startswith(_SYSTEM)], [0, 2], 1)


def smaller_is_better(metric: str) -> bool:
    """What its name says: of times, costs, errors and what is lost less is better, of all else more."""
    measured = _WHICH_OF_A_METRIC.sub("", metric)
    return _RATE.search(measured) is None and _SMALLER_IS_BETTER.search(measured) is not None


def best_runs(runs: pd.DataFrame, metric: str, lowest: bool | None = None) -> pd.DataFrame:
    """Runs that have a metric, the best first.

    Args:
        runs: of :func:`run_frame`.
        metric: its name.
        lowest: whether less is better; None goes by the name.

    Raises:
        ConfigError: no run has that metric.
    """
    metrics = metric_names(runs)
    if metric not in metrics:
        near = difflib.get_close_matches(metric, metrics, n=3, cutoff=0.3) or metrics[:5]
        told = f"perhaps {', '.join(near)}" if near else "none has any metric"
        raise ConfigError(f"no run has a metric {metric!r}; {told}")
    ascending = smaller_is_better(metric) if lowest is None else lowest
    return runs.dropna(subset=[metric]).sort_values(metric, ascending=ascending, kind="stable")


def pareto_front(runs: pd.DataFrame, metrics: Sequence[str]) -> pd.Series:
    """Which runs no other beats in one metric without being worse in another.

    Args:
        runs: of :func:`run_frame`.
        metrics: two or more; by their names, less or more is better.

    Returns:
        True for a run of the front; False for one that lacks a metric.
    """
    values = runs[list(metrics)].astype(float)
    for metric in metrics:
        values[metric] *= -1.0 if smaller_is_better(metric) else 1.0
    known = values.dropna()
    on_front = [
        not ((known >= row).all(axis=1) & (known > row).any(axis=1)).any() for _, row in known.iterrows()
    ]
    return pd.Series(on_front, index=known.index, dtype=bool).reindex(runs.index, fill_value=False)


def metric_names(runs: pd.DataFrame) -> list[str]:
    """The columns of :func:`run_frame` that are metrics."""
    return [name for name in runs.columns[6:] if not name.startswith(_PARAM)]


def metric_history(run_id: str, prefix: str = "") -> pd.DataFrame:
    """Metrics of one run over time.

    Args:
        run_id: of the run.
        prefix: of the names that are wanted; empty takes all.

    Returns:
        Columns ``metric, step, time_s`` (since the run's start) and ``value``, in the order of time.

    Raises:
        StoreUnavailable: the store cannot be read, or has no such run.
    """
    with reading_store() as client:
        run = client.get_run(run_id)
        rows = [
            (name, point.step, (point.timestamp - run.info.start_time) / 1000, point.value)
            for name in run.data.metrics
            if name.startswith(prefix)
            for point in client.get_metric_history(run_id, name)
        ]
    frame = pd.DataFrame(rows, columns=["metric", "step", "time_s", "value"])
    return frame.sort_values(["time_s", "metric"], kind="stable", ignore_index=True)


def camera_history(run_id: str) -> pd.DataFrame:
    """What became of the frames of each camera of a live run, interval by interval.

    A camera that is taken away and added again counts from 0 again, and has no interval in between.

    Returns:
        Columns ``camera, from_s, to_s``, and ``read, analysed, skipped, failed`` frames between them.

    Raises:
        StoreUnavailable: as :func:`metric_history`.
    """
    history = metric_history(run_id, "live/")
    parts = history["metric"].str.extract(rf"^live/(?P<camera>[^/]+)/(?P<count>{'|'.join(_COUNTS)})$")
    counted = history.join(parts).dropna(subset=["count"])
    if counted.empty:
        return pd.DataFrame(columns=["camera", "from_s", "to_s", *_COUNTS])
    # The last record of a run and that of its last second may bear the same second.
    totals = counted.pivot_table(index=["camera", "step"], columns="count", values="value", aggfunc="last")
    totals = totals.reindex(columns=list(_COUNTS)).fillna(0.0)
    # Each record has all cameras of its time: one that is missing from the record before began since then.
    steps = np.unique(history["step"])
    before = dict(zip(steps, [0, *steps[:-1]], strict=True))
    ends = totals.index.get_level_values("step").to_series(index=totals.index)
    begins = ends.map(before)
    grown = totals.groupby("camera").diff()
    is_new = (ends.groupby("camera").shift() != begins) | (grown < 0).any(axis=1)
    frame = grown.mask(is_new, totals).assign(from_s=begins.astype(float), to_s=ends.astype(float))
    frame = frame.reset_index("camera").reset_index(drop=True)
    return frame[["camera", "from_s", "to_s", *_COUNTS]].rename_axis(columns=None)


def _pages(client: MlflowClient, ids: list[str], newest: int | None) -> Iterator[Run]:
    token, left = None, newest
    while ids and left != 0:
        page = client.search_runs(
            ids,
            max_results=min(_PAGE, left or _PAGE),
            page_token=token,
            order_by=["attributes.start_time DESC"],
        )
        yield from page
        left = None if left is None else left - len(page)
        token = page.token
        if not token:
            return


def _row(run: Run, experiments: dict[str, str]) -> dict[str, object]:
    info = run.info
    seconds = None if info.end_time is None else (info.end_time - info.start_time) / 1000
    return {
        # Other programs' runs may have no name.
        "run": info.run_name or info.run_id[:8],
        "experiment": experiments[info.experiment_id],
        "status": info.status,
        "started": pd.Timestamp(info.start_time, unit="ms", tz="UTC"),
        "seconds": seconds,
        "parent": run.data.tags.get("mlflow.parentRunId"),
        **run.data.metrics,
        **{f"{_PARAM}{name}": value for name, value in run.data.params.items()},
    }


def _nearest(word: str, known: dict[str, str]) -> str:
    return did_you_mean(word, known.values()) if known else "it holds no runs at all"
