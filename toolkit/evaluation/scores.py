"""Scores of a table of predictions, for all and per group, each with its bootstrap interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from toolkit.evaluation.bootstrap import percentile_interval, resampled_weights
from toolkit.evaluation.groups import AGE_GROUP_NAMES, group_of_label
from toolkit.evaluation.table import PredictionTable
from toolkit.evaluation.values import MEANS, ScoreColumns, age_is_told, score_columns

SCORES = (*MEANS, "ece")
"""Names of all scores, in the order of the columns that hold them."""

BIASED = (SCORES.index("ece"),)
"""Bins of a resample are noisier than those of all faces, and noise makes this error greater."""


def score_table(table: PredictionTable, resamples: int = 0, seed: int = 0) -> dict[str, Any]:
    """Score predictions against labels.

    Args:
        table: labels and predictions.
        resamples: of the bootstrap; 0 gives no intervals.
        seed: of the bootstrap.

    Returns:
        ``n`` and fractions (None where no face counts): ``gender_accuracy``; ``gender_accuracy_21_60``,
        faces whose label has its middle in 21..60; ``age_mae_years``, mean distance of the predicted age to
        the label's interval, 0 inside it, so for exact ages the usual mean absolute error and for grouped
        ages a lower bound of it; ``age_mae_to_middle_years``, mean distance to the interval's middle;
        ``age_bias_years``, mean signed distance to the interval, below 0 for ages told too young; ``cs5``,
        share of faces with a distance to the interval of at most 5 years; ``age_group_accuracy`` and
        ``age_group_one_off`` over FairFace's nine groups, the predicted group being the one with the most
        probability (without a distribution, that of the predicted age); ``ece`` of the gender probability;
        with ``resamples``, ``ci95``: score to its 95 % interval, two numbers;
        ``groups``: for ``gender``, ``age_group`` and, where the data has it, ``race`` and ``race_gender``,
        one such block per group. Everything can be written as JSON.

    Source: CS@5: Geng, Zhou, Smith-Miles, "Automatic age estimation based on facial aging patterns",
        PAMI 2007; ECE: Guo et al., "On calibration of modern neural networks", ICML 2017; intervals:
        percentile bootstrap over faces, Efron and Tibshirani, "An introduction to the bootstrap",
        1993, chapter 13.
    """
    columns = score_columns(table)
    kinds = groups_of(table)
    parts = [np.arange(len(table)), *(rows for groups in kinds.values() for rows in groups.values())]
    limits = _intervals(columns, parts, resamples, seed) if resamples else [None] * len(parts)
    blocks = iter([_block(columns, *part) for part in zip(parts, limits, strict=True)])
    scores = next(blocks)
    scores["groups"] = {kind: {name: next(blocks) for name in groups} for kind, groups in kinds.items()}
    return scores


def weighted_scores(columns: ScoreColumns, weights: np.ndarray) -> np.ndarray:
    """Scores of faces that count so often.

    Args:
        columns: of N faces.
        weights: (B, N), how often each face counts in each of B resamples; ones for the plain scores.

    Returns:
        (B, 9) in the order of ``SCORES``; NaN where no face counts.
    """
    counts = ~np.isnan(columns.values)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = (weights @ np.where(counts, columns.values, 0.0)) / (weights @ counts)
        # The weight of a bin is its count over n, so the counts of its two means cancel against it.
        ece = np.abs(weights @ columns.surplus).sum(axis=1) / (weights @ columns.has_gender)
    return np.column_stack([means, ece])


def groups_of(table: PredictionTable) -> dict[str, dict[str, np.ndarray]]:
    """Kind of group, name of group, and the numbers of its rows; groups without faces are left out.

    Faces whose age, or race, is not known are in no group of that kind.
    """
    genders = np.where(table.genders == 1, "female", "male")
    names = {
        "gender": genders,
        "age_group": np.where(
            age_is_told(table), np.array(AGE_GROUP_NAMES)[group_of_label(table.ages_lo, table.ages_hi)], ""
        ),
    }
    if "race" in table.rows.columns:
        races = table.rows["race"].fillna("").astype(str).to_numpy(object)
        names["race"] = races
        names["race_gender"] = np.where(races == "", "", races + " " + genders.astype(object))
    return {
        kind: {name: np.flatnonzero(of_row == name) for name in _ordered(kind, of_row)}
        for kind, of_row in names.items()
    }


def named(scores: np.ndarray) -> dict[str, float | None]:
    """Scores by name; None for NaN, which JSON does not know."""
    return {name: _number(value) for name, value in zip(SCORES, scores.tolist(), strict=True)}


def named_intervals(limits: np.ndarray) -> dict[str, list[float] | None]:
    """Intervals (2, 9) by name, two numbers each; None where there is none."""
    return {
        name: None if np.isnan(pair).any() else pair.tolist()
        for name, pair in zip(SCORES, limits.T, strict=True)
    }


def _intervals(columns: ScoreColumns, parts: list[np.ndarray], resamples: int, seed: int) -> list[np.ndarray]:
    """The 95 % limits of every part, all from the same resamples of all faces."""
    # Of no faces there is no resample: the one without numbers stands for them.
    estimates = [[np.full((1, len(SCORES)), np.nan)] for _ in parts]
    taken = [ScoreColumns(*(column[rows] for column in columns)) for rows in parts]
    for weights in resampled_weights(len(columns.values), resamples, seed):
        for part, rows, own in zip(estimates, parts, taken, strict=True):
            part.append(weighted_scores(own, weights[:, rows]))
    plain = (weighted_scores(own, np.ones((1, len(own.values))))[0] for own in taken)
    limits = [
        percentile_interval(np.concatenate(part), told, BIASED)
        for part, told in zip(estimates, plain, strict=True)
    ]
    # A calibration error is never below 0, wherever its interval was moved.
    return [np.where(np.array(SCORES) == "ece", np.maximum(of_part, 0), of_part) for of_part in limits]


def _block(columns: ScoreColumns, rows: np.ndarray, limits: np.ndarray | None) -> dict[str, Any]:
    own = ScoreColumns(*(column[rows] for column in columns))
    scores = named(weighted_scores(own, np.ones((1, len(rows))))[0])
    intervals: Mapping[str, Any] = {} if limits is None else {"ci95": named_intervals(limits)}
    return {"n": len(rows), **scores, **intervals}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


def _ordered(kind: str, of_row: np.ndarray) -> list[str]:
    present = set(of_row.tolist()) - {""}
    return [n for n in AGE_GROUP_NAMES if n in present] if kind == "age_group" else sorted(present)
