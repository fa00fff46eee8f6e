"""Figures of a live run: rates, latencies, and who was seen."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from toolkit.notebook.described import DescribedImage

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")
"""Of cameras. Okabe, Ito: Color Universal Design, 2008: told apart by colour-blind eyes too."""

# As on the wall's boxes.
_OF_GENDER = {"female": ("#E69F00", "o"), "male": ("#56B4E9", "s")}


def rates_over_time(rates: pd.DataFrame) -> Figure:
    """Analysed frames a second of each camera.

    Args:
        rates: columns ``time_s, camera, frames_per_s``.
    """
    figure, axes = empty_figure("Frames analysed a second", "seconds since the start", "frames/s")
    for number, (camera, of_camera) in enumerate(rates.groupby("camera", sort=False)):
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(of_camera["time_s"], of_camera["frames_per_s"], color=colour, label=camera, linewidth=1.8)
    axes.set_ylim(bottom=0)
    if len(rates):
        legend_beside(axes)
    return figure


def latency_by_camera(statistics: Mapping[str, Any]) -> Figure:
    """From capture to result: median, 95th and 99th percentile of each camera.

    Args:
        statistics: see :meth:`LivePipeline.statistics`; cameras without a result are left out.
    """
    cameras = {n: v["latency_ms"] for n, v in statistics["cameras"].items() if v["latency_ms"]["p50"]}
    figure, axes = empty_figure("How late results are", "milliseconds from capture to result", "")
    rows = range(len(cameras))
    axes.hlines(
        rows, [v["p50"] for v in cameras.values()], [v["p99"] for v in cameras.values()], color="#bbbbbb"
    )
    for percentile, marker in (("p50", "o"), ("p95", "d"), ("p99", "|")):
        points = [values[percentile] for values in cameras.values()]
        axes.plot(points, rows, marker, color="#0072B2", markersize=8, label=percentile, linestyle="none")
    name_rows(axes, list(cameras))
    axes.set_xlim(left=0)
    if cameras:
        legend_beside(axes)
    return figure


def ages_by_camera(labels: Sequence[Mapping[str, Any]]) -> Figure:
    """The last label of each person: apparent age with its spread, by camera and apparent gender.

    Args:
        labels: rows of :class:`LabelLog`; people who were never labelled are left out.
    """
    figure, axes = empty_figure(
        "Last label of each person", "apparent age in years, bars: one standard deviation", ""
    )
    table = pd.DataFrame(labels, columns=["camera", "track_id", "gender", "age_years", "age_spread_years"])
    people = table.dropna(subset=["gender"]).groupby(["camera", "track_id"], sort=False).tail(1)
    cameras = list(people["camera"].unique())
    # People of one camera side by side, so that their bars do not hide each other.
    within = people.groupby("camera").cumcount() / people.groupby("camera")["camera"].transform("size")
    heights = people["camera"].map(cameras.index) + 0.7 * (within - 0.4)
    for gender, (colour, marker) in _OF_GENDER.items():
        chosen = people[people["gender"] == gender]
        if len(chosen):
            axes.errorbar(
                chosen["age_years"].astype(float),
                heights[chosen.index].astype(float),
                xerr=chosen["age_spread_years"].astype(float),
                fmt=marker,
                color=colour,
                ecolor=(colour, 0.35),
                label=gender,
                markersize=5,
            )
    name_rows(axes, cameras)
    axes.set_xlim(0, 100)
    if len(people):
        legend_beside(axes)
    return figure


def time_by_stage(statistics: Mapping[str, Any]) -> Figure:
    """Where the time goes: mean and 99th percentile of each stage, in the order of a frame's way.

    Args:
        statistics: see :meth:`LivePipeline.statistics`.
    """
    stages = statistics["stages"]
    figure, axes = empty_figure("Where the time goes", "milliseconds a frame (infer: a batch)", "")
    rows = range(len(stages))
    axes.barh(rows, [row["mean_ms"] for row in stages.values()], color="#56B4E9", label="mean", height=0.6)
    latest = [row["p99_ms"] for row in stages.values()]
    axes.plot(latest, rows, "|", color="#0072B2", markersize=10, label="p99", linestyle="none")
    name_rows(axes, list(stages))
    axes.set_xlim(left=0)
    if stages:
        legend_beside(axes)
    return figure


def as_image(figure: Figure, alt: str) -> DescribedImage:
    """The figure for a notebook, with words for those who cannot see it."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return DescribedImage(drawn.getvalue(), "png", alt)


def empty_figure(title: str, x_label: str, y_label: str, height: float = 2.8) -> tuple[Figure, Any]:
    """A figure as wide as a notebook, with the axes that all of ours have; the height in inches."""
    figure = Figure(figsize=(8.0, height), dpi=100, layout="constrained")
    axes = figure.add_subplot(xlabel=x_label, ylabel=y_label)
    axes.set_title(title, loc="left", fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def name_rows(axes: Any, names: list[str]) -> None:
    """Rows 0, 1, ... from the top, by their names."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)


def legend_beside(axes: Any) -> None:
    """A legend that hides nothing."""
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize="small")
