"""Capacity as a picture: accuracy, latency and lost frames against the number of cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toolkit.capacity.config import CapacityConfig
from toolkit.words import counted

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#777777"
"""Okabe, Ito: Color Universal Design, 2008: told apart by colour-blind eyes too."""


def capacity_figure(
    by_cameras: Sequence[Mapping[str, Any]], config: CapacityConfig, cameras: int | None
) -> Figure:
    """One panel each for accuracy, latency and lost frames; the bounds dashed, the answer marked.

    Args:
        by_cameras: ``cameras`` and the medians of their runs, in order; see :func:`summary`.
        config: whose bounds are drawn.
        cameras: the answer; None where there is none yet.
    """
    figure = Figure(figsize=(8.0, 6.4), dpi=100, layout="constrained")
    right, late, lost = figure.subplots(3, 1, sharex=True)
    numbers = [row["cameras"] for row in by_cameras]
    _line(right, numbers, [_percent(row["offline_gender_accuracy"]) for row in by_cameras], "offline", _GREY)
    shown = [_percent(row["streaming_gender_accuracy"]) for row in by_cameras]
    _line(right, numbers, shown, "on the screen", _BLUE)
    right.set_ylabel("gender right, %")
    right.set_title("Medians of the runs; dashed: the bounds", loc="left", fontsize="medium")
    _line(late, numbers, [row["p50_ms"] for row in by_cameras], "p50", _GREY)
    _line(late, numbers, [row["p99_ms"] for row in by_cameras], "p99", _BLUE)
    late.axhline(config.most_p99_ms, color=_ORANGE, linestyle="--", linewidth=1, label="most p99")
    late.set_ylabel("capture to result, ms")
    late.set_ylim(bottom=0)
    _line(lost, numbers, [_percent(row["dropped_fraction"]) for row in by_cameras], "lost", _BLUE)
    lost.axhline(100 * config.most_dropped, color=_ORANGE, linestyle="--", linewidth=1, label="most lost")
    lost.set(ylabel="frames lost, %", xlabel="cameras")
    lost.set_ylim(bottom=0)
    for axes in (right, late, lost):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        if cameras:
            axes.axvline(cameras, color="#009E73", linewidth=1.5, label=counted(cameras, "camera"))
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize="small")
    lost.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _line(
    axes: Axes, numbers: Sequence[int], values: Sequence[float | None], label: str, colour: str
) -> None:
    known = [(number, value) for number, value in zip(numbers, values, strict=True) if value is not None]
    axes.plot([n for n, _ in known], [v for _, v in known], "o-", color=colour, label=label, markersize=4)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
