"""A sweep as a picture: what accuracy costs in speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

_PANELS = {"gender_accuracy": "apparent gender right, %", "age_group_accuracy": "age group right, %"}
_POINT, _BEST = "#56B4E9", "#D55E00"
"""Okabe, Ito: Color Universal Design, 2008: told apart by colour-blind eyes too."""


def speed_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Accuracy on validation against pictures a second, one panel for gender and one for age.

    A line joins the points that no other beats in both.

    Args:
        rows: ``name``, ``images_per_s``, ``gender_accuracy`` and ``age_group_accuracy`` (fractions) each,
            the last one only where labels tell an age.
    """
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    panels = {score: label for score, label in _PANELS.items() if any(score in row for row in rows)}
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (score, label) in zip(all_axes, panels.items(), strict=True):
        told = [row for row in rows if score in row]
        speeds, values = [row["images_per_s"] for row in told], [100 * row[score] for row in told]
        best = unbeaten(speeds, values)
        axes.plot([speeds[i] for i in best], [values[i] for i in best], color=_BEST, linewidth=1)
        colours = [_BEST if index in best else _POINT for index in range(len(told))]
        axes.scatter(speeds, values, color=colours, zorder=2)
        for row, speed, value in zip(told, speeds, values, strict=True):
            axes.annotate(row["name"], (speed, value), (4, 4), textcoords="offset points", fontsize=7)
        axes.set_xscale("log")
        axes.set_xlabel("pictures/s")
        axes.set_ylabel(label)
        axes.margins(0.15)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def unbeaten(speeds: Sequence[float], values: Sequence[float]) -> list[int]:
    """Points of which no other is at least as quick and better, or quicker and as good; slowest first."""
    front: list[int] = []
    for index in sorted(range(len(speeds)), key=lambda i: (-speeds[i], -values[i])):
        if not front or values[index] > values[front[-1]]:
            front.append(index)
    return front[::-1]
