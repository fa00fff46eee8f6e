"""Figures of recorded runs: many against each other, one over its time."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from toolkit.notebook.figures import COLOURS, empty_figure, legend_beside, name_rows
from toolkit.run_frames import best_runs, pareto_front, smaller_is_better

_MOST_NAMED = 12
"""Names of more points than these lie on top of each other: then those of the front are written alone."""

_SHARE_COLOURS = {"analysed": "#009E73", "skipped": "#E69F00", "failed": "#D55E00"}


def throughput_against_accuracy(runs: pd.DataFrame, throughput: str, accuracy: str) -> Figure:
    """Each run as a point; a line joins those that no other beats in one without being worse in the other.

    Args:
        runs: rows of :func:`toolkit.run_frames.run_frame`; those that lack a metric are left out.
        throughput: metric along the horizontal axis, such as ``live/fps``; a latency will do too.
        accuracy: metric along the vertical axis.

    Raises:
        ConfigError: no run has such a metric.
    """
    for metric in (throughput, accuracy):
        best_runs(runs, metric)  # says so, if no run has it
    known = runs.dropna(subset=[throughput, accuracy])
    front = pareto_front(known, [throughput, accuracy])
    figure, axes = empty_figure(
        f"{accuracy} against {throughput}", _with_direction(throughput), _with_direction(accuracy), height=4.0
    )
    best = known[front].sort_values(throughput)
    axes.plot(best[throughput], best[accuracy], color=COLOURS[0], linewidth=1.2, label="no other is better")
    for of_front, colour in ((False, COLOURS[6]), (True, COLOURS[0])):
        points = known[front == of_front]
        axes.plot(points[throughput], points[accuracy], "o", color=colour, markersize=6)
    named = known if len(known) <= _MOST_NAMED else best
    for name, at in zip(_short_names(named["run"]), named[[throughput, accuracy]].to_numpy(), strict=True):
        axes.annotate(name, at, xytext=(5, 4), textcoords="offset points", fontsize="x-small")
    # Room for the names, which begin at their points.
    axes.margins(x=0.15, y=0.12)
    if len(known):
        axes.legend(loc="best", frameon=False, fontsize="small")
    return figure


def _short_names(runs: Iterable[str]) -> list[str]:
    """What tells runs apart: of a sweep's the settings that differ; of others their whole names."""
    names = list(runs)
    # "sweep: backbone=resnet10t, image_px=32-20261124-060304"
    parts = [re.split("[:,] ", re.sub(r"-\d{8}-\d{6}$", "", name)) for name in names]
    common = set(parts[0]).intersection(*parts) if parts else set()
    short = [", ".join(part for part in of_one if part not in common) for of_one in parts]
    return short if all(short) and len(set(short)) == len(names) else names


def _with_direction(metric: str) -> str:
    return f"{metric} ({'less' if smaller_is_better(metric) else 'more'} is better)"


def latency_over_time(history: pd.DataFrame) -> Figure:
    """Median, 95th and 99th percentile of a live run's latency, second by second; a gap where no result came.

    Runs recorded before there were such figures show those of all results since the start.

    Args:
        history: of :func:`toolkit.run_frames.metric_history`, with the metrics ``live/latency_p50_ms``,
            ``live/latency_p50_ms_now`` and so on.
    """
    parts = history["metric"].str.extract(r"^live/latency_(?P<percentile>p\d+)_ms(?P<when>_now)?$")
    named = history.join(parts).dropna(subset=["percentile"])
    shown = of_now = named.dropna(subset=["when"])
    late = "ms from capture to result"
    if of_now.empty:
        shown, late = named, f"{late}, since the start"
    figure, axes = empty_figure("How late results were", "seconds since the start", late)
    steps = np.unique(named["step"])
    for number, (percentile, points) in enumerate(shown.groupby("percentile")):
        colour = COLOURS[number % len(COLOURS)]
        values = points.drop_duplicates("step", keep="last").set_index("step")["value"].reindex(steps)
        # The dots are as wide as the line: a second between two without results has no line.
        axes.plot(steps, values, ".-", color=colour, label=percentile, linewidth=1.8, markersize=3.6)
    axes.set_ylim(bottom=0)
    if len(shown):
        legend_beside(axes)
    return figure


def camera_timeline(counts: pd.DataFrame) -> Figure:
    """A band for each camera: what became of its frames, second by second; empty where it delivered none.

    Args:
        counts: of :func:`toolkit.run_frames.camera_history`.
    """
    cameras = list(counts["camera"].unique())
    figure, axes = empty_figure(
        "What became of each camera's frames",
        "seconds since the start",
        "",
        1.4 + 0.45 * max(len(cameras), 1),
    )
    for row, camera in enumerate(cameras):
        of_camera = counts[counts["camera"] == camera]
        below = np.zeros(len(of_camera))
        settled = of_camera[list(_SHARE_COLOURS)].sum(axis=1).to_numpy(float)
        for name, colour in _SHARE_COLOURS.items():
            share = np.divide(of_camera[name], settled, out=np.zeros(len(of_camera)), where=settled > 0)
            axes.bar(
                of_camera["from_s"],
                -0.8 * share,
                width=of_camera["to_s"] - of_camera["from_s"],
                # The axis of the rows points down.
                bottom=row + 0.4 - 0.8 * below,
                align="edge",
                color=colour,
                label=name if row == 0 else None,
            )
            below += share
    name_rows(axes, cameras)
    axes.grid(visible=False)
    if cameras:
        legend_beside(axes)
    return figure
