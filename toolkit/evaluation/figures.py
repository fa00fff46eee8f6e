"""Pictures of an evaluation: for whom it is right, what is taken for what, what its word is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from toolkit.evaluation.groups import AGE_GROUP_NAMES, group_of_label
from toolkit.evaluation.table import PredictionTable
from toolkit.evaluation.values import ECE_BINS, age_is_told
from toolkit.evaluation.words import CORRUPTION_WORDS

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe, Ito: Color Universal Design, 2008: told apart by colour-blind eyes too."""

_GREY = "#777777"


def scores_by_group(
    groups: Mapping[str, Any], overall: Mapping[str, Any], scores: Mapping[str, str]
) -> Figure:
    """Scores of each group of a kind with their 95 % intervals, side by side; a line at that of all faces.

    Args:
        groups: name to scores, as in ``scores["groups"][kind]``.
        overall: the scores of all faces.
        scores: which ones, and what each is called.
    """
    figure = Figure(figsize=(1.9 + 3.6 * len(scores), 1.0 + 0.27 * len(groups)), layout="constrained")
    panels = figure.subplots(1, len(scores), sharey=True, squeeze=False)[0]
    for axes, (score, label) in zip(panels, scores.items(), strict=True):
        _plain(axes)
        axes.set_xlabel(label)
        # Labels that tell no age, as those of gender alone, have no score of it.
        if overall[score] is not None:
            axes.axvline(overall[score], color=_GREY, linewidth=1, linestyle="--")
        for row, block in enumerate(groups.values()):
            limits = block.get("ci95", {}).get(score)
            if limits is not None:
                axes.plot(limits, [row, row], color=COLOURS[0], linewidth=2.4, alpha=0.45)
            if block[score] is not None:
                axes.plot(block[score], row, "o", color=COLOURS[0], markersize=5)
        _as_percent(axes, score)
    names = [f"{name}  ({block['n']:,})" for name, block in groups.items()]
    # A data set's own names: dollars in them are no formula.
    panels[0].set_yticks(range(len(groups)), names, parse_math=False)
    panels[0].set_ylim(len(groups) - 0.4, -0.6)
    _title(panels[0], "Each group with its 95 % interval; dashed: all faces")
    return figure


def confusion_matrix(confusion: Mapping[str, Any], what: str) -> Figure:
    """Shares of each label's faces by prediction; the diagonal is right.

    Args:
        confusion: ``names`` and ``counts``, a row a label.
        what: is told, for the axes.
    """
    counts, names = np.array(confusion["counts"]), confusion["names"]
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    side = 1.6 + max(0.42 * len(names), 1.8)
    figure = Figure(figsize=(side + 0.7, side), layout="constrained")
    axes = figure.add_subplot(xlabel=f"predicted {what}", ylabel=f"labelled {what} (faces)")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=0 if len(names) < 4 else 45)
    axes.set_yticks(
        range(len(names)), [f"{name}  ({total:,})" for name, (total,) in zip(names, totals, strict=True)]
    )
    axes.spines[:].set_visible(False)
    _title(axes, "Share of each label's faces")
    for (row, column), share in np.ndenumerate(shares):
        # Where nothing is, nothing is written: the eye finds the diagonal.
        if counts[row, column]:
            colour = "white" if share > 0.55 else "#222222"
            axes.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=8, color=colour)
    return figure


def age_errors(table: PredictionTable) -> Figure:
    """Predicted age by labelled group: median, quartiles, middle 90 %; the label's years in grey."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = _axes(figure, "labelled age group", "predicted age in years")
    labels = np.where(age_is_told(table), group_of_label(table.ages_lo, table.ages_hi), -1)
    present = [number for number in range(len(AGE_GROUP_NAMES)) if (labels == number).any()]
    for at, number in enumerate(present):
        ages = table.age_years[labels == number]
        lo, hi = table.ages_lo[labels == number].min(), table.ages_hi[labels == number].max() + 1
        axes.fill_between([at - 0.42, at + 0.42], lo, min(hi, 100), color="#dddddd", linewidth=0)
        low, quarter, middle, three, high = np.percentile(ages, [5, 25, 50, 75, 95])
        axes.plot([at, at], [low, high], color=COLOURS[0], linewidth=1.2)
        axes.plot([at, at], [quarter, three], color=COLOURS[0], linewidth=7, solid_capstyle="butt", alpha=0.6)
        axes.plot(at, middle, "o", color="white", markeredgecolor=COLOURS[0], markersize=5)
    _title(axes, "Median, quartiles, middle 90 %; grey: the label")
    axes.set_xticks(range(len(present)), [AGE_GROUP_NAMES[number] for number in present])
    axes.set_ylim(0, 100)
    return figure


def reliability(gender: Mapping[str, Any]) -> Figure:
    """How often the told gender is right, by how sure the model was, and how many faces that were.

    Args:
        gender: as in ``calibration["gender"]``.
    """
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _plain(upper)
    _plain(lower)
    upper.plot([0.5, 1], [0.5, 1], color=_GREY, linewidth=1, linestyle="--", label="as sure as right")
    variants = [("as told", gender)]
    if "at_temperature" in gender:
        variants.append((f"at temperature {gender['temperature']:.2f}", gender["at_temperature"]))
    for (name, figures), colour, marker in zip(variants, COLOURS, "os", strict=False):
        bins = figures["bins"]
        words = f"{name}: ECE {figures['ece']:.3f}"
        upper.plot(
            [b["probability"] for b in bins],
            [b["accuracy"] for b in bins],
            marker=marker,
            color=colour,
            label=words,
            markersize=4,
            linewidth=1.2,
        )
    bins, width = gender["bins"], 0.5 / ECE_BINS
    lower.bar([b["from"] + width / 2 for b in bins], [b["n"] for b in bins], width * 0.9, color=COLOURS[0])
    upper.set_ylabel("share right")
    _title(upper, "How often it is right, by how sure it is")
    lower.set(xlabel="probability of the told gender", ylabel="faces")
    upper.legend(frameon=False, fontsize=8)
    return figure


def coverage(age: Mapping[str, Any]) -> Figure:
    """How often the labelled age lies in the told interval, against how often it should.

    Args:
        age: as in ``calibration["age"]``.
    """
    figure = Figure(figsize=(4.4, 3.4), layout="constrained")
    axes = _axes(figure, "level of the age interval", "share of labels inside")
    _title(axes, "How wide its intervals are")
    axes.plot([0.4, 1], [0.4, 1], color=_GREY, linewidth=1, linestyle="--", label="as it should be")
    variants = [("as told", age)]
    if "at_temperature" in age:
        variants.append((f"at temperature {age['temperature']:.2f}", age["at_temperature"]))
    for (name, figures), colour, marker in zip(variants, COLOURS, "os", strict=False):
        levels = [float(level) for level in figures["intervals"]]
        shares = [told["coverage"] for told in figures["intervals"].values()]
        axes.plot(levels, shares, marker=marker, color=colour, label=name, markersize=5, linewidth=1.2)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def corruption_curves(corruptions: Mapping[str, Any], score: str, label: str) -> Figure:
    """One score against severity, a line for each corruption; severity 0 is the clean picture."""
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = _axes(figure, "severity (0: as it is)", label)
    clean = corruptions["clean"][score]
    styles = zip(COLOURS, "osD^vX", strict=True)
    for (name, by_severity), (colour, marker) in zip(
        corruptions["by_corruption"].items(), styles, strict=False
    ):
        values = [clean, *(scores[score] for scores in by_severity.values())]
        words = CORRUPTION_WORDS[name]
        axes.plot(range(len(values)), values, marker=marker, color=colour, label=words, markersize=4.5)
    _title(axes, "When pictures get worse")
    axes.set_xticks(range(6))
    _as_percent(axes, score, along="y")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def differences(told: Mapping[str, Any], names: Sequence[str], labels: Sequence[str], label: str) -> Figure:
    """Differences of scores with their 95 % intervals; a line at none.

    Args:
        told: score to ``difference`` and ``ci95``.
        names: which scores; those without a difference are left out.
        labels: what each is called.
        label: of the axis.
    """
    rows = [(words, told[name]) for name, words in zip(names, labels, strict=True) if told[name]]
    figure = Figure(figsize=(6.4, 0.9 + 0.32 * max(len(rows), 1)), layout="constrained")
    axes = _axes(figure, label, "")
    _title(axes, "Differences with their 95 % intervals; grey: could be chance")
    axes.axvline(0, color=_GREY, linewidth=1, linestyle="--")
    for at, (_, row) in enumerate(rows):
        colour = COLOURS[0] if row["is_clear"] else _GREY
        if row["ci95"]:
            axes.plot(row["ci95"], [at, at], color=colour, linewidth=2.2, alpha=0.5)
        axes.plot(row["difference"], at, "o", color=colour, markersize=5)
    axes.set_yticks(range(len(rows)), [words for words, _ in rows])
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    return figure


def _axes(figure: Figure, x_label: str, y_label: str) -> Axes:
    axes = figure.add_subplot(xlabel=x_label, ylabel=y_label)
    _plain(axes)
    return axes


def _title(axes: Axes, words: str) -> None:
    axes.set_title(words, loc="left", fontsize="medium")


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)


def _as_percent(axes: Axes, score: str, along: str = "x") -> None:
    if not score.endswith("_years"):
        axis = axes.xaxis if along == "x" else axes.yaxis
        axis.set_major_formatter(PercentFormatter(1.0))
