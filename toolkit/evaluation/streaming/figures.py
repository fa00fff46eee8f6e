"""Streaming scores as pictures: second by second, and against latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_LINES = {
    "detection_recall": ("faces found", "#999999", "s"),
    "gender_accuracy": ("gender right", "#0072B2", "o"),
    "gender_accuracy_labelled": ("right of the labelled", "#E69F00", "^"),
}
"""Okabe, Ito: Color Universal Design, 2008: told apart by colour-blind eyes too."""


def screen_over_time(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """How right and how late the screen was, second by second.

    Args:
        rows: see :func:`toolkit.evaluation.streaming.scores.over_time`.
    """
    figure = Figure(figsize=(8.0, 4.2), dpi=100, layout="constrained")
    right, late = figure.subplots(2, 1, sharex=True)
    for score in ("detection_recall", "gender_accuracy"):
        _line(right, rows, "time_s", score)
    _plain(right, "", "%")
    right.set_title("What was on the screen", loc="left", fontsize="medium")
    right.set_ylim(0, 103)
    known = [row for row in rows if row["staleness_ms"] is not None]
    late.plot([row["time_s"] for row in known], [row["staleness_ms"] for row in known], "o-", color="#D55E00")
    _plain(late, "seconds since the start", "ms late, mean")
    late.set_ylim(0, 1.15 * max([1.0, *(row["staleness_ms"] for row in known)]))
    right.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize="small")
    return figure


def accuracy_against_latency(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """What each millisecond costs.

    Args:
        rows: see :func:`toolkit.evaluation.streaming.price.price_of_latency`.
    """
    figure = Figure(figsize=(8.0, 2.8), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for score in _LINES:
        _line(axes, rows, "latency_ms", score)
    _plain(axes, "milliseconds from capture to result", "%")
    axes.set_title("The same answers, shown later", loc="left", fontsize="medium")
    axes.set_ylim(0, 103)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize="small")
    return figure


def _line(axes: Axes, rows: Sequence[Mapping[str, Any]], x: str, score: str) -> None:
    words, colour, marker = _LINES[score]
    known = [row for row in rows if row[score] is not None]
    values = [100 * row[score] for row in known]
    axes.plot([row[x] for row in known], values, f"{marker}-", color=colour, label=words, markersize=4)


def _plain(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
