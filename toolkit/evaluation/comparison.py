"""Two models on the same faces: how much better is one, and is that more than chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from toolkit.evaluation.bootstrap import percentile_interval, resampled_weights
from toolkit.evaluation.scores import BIASED, SCORES, named, named_intervals, weighted_scores
from toolkit.evaluation.table import PredictionTable, paired
from toolkit.evaluation.values import score_columns


def compare(
    first: PredictionTable, second: PredictionTable, resamples: int = 1000, seed: int = 0
) -> dict[str, dict[str, Any] | None]:
    """Differences of all scores, first minus second.

    Both models are scored on the same resamples of the faces, so what makes a face hard for both cancels.

    Args:
        first: predictions of one model.
        second: of another, on the same faces.
        resamples: of the bootstrap; 0 gives no intervals.
        seed: of the bootstrap.

    Returns:
        Score to ``difference``, its 95 % interval ``ci95`` (two numbers; None without resamples) and
        ``is_clear``, whether 0 lies outside that; None where one of the two does not have the score.

    Raises:
        DataError: the tables hold other faces, or label them otherwise.

    Source: paired percentile bootstrap, Efron and Tibshirani, "An introduction to the bootstrap", 1993.
    """
    both = [score_columns(first), score_columns(paired(first, second))]

    def differences(weights: np.ndarray) -> np.ndarray:
        of_first, of_second = (weighted_scores(columns, weights) for columns in both)
        return of_first - of_second

    plain = differences(np.ones((1, len(first))))[0]
    drawn = [differences(weights) for weights in resampled_weights(len(first), resamples, seed)]
    limits: dict[str, list[float] | None] = dict.fromkeys(SCORES)
    if drawn:
        limits = named_intervals(percentile_interval(np.concatenate(drawn), plain, BIASED))
    return {name: _told(value, limits[name]) for name, value in named(plain).items()}


def _told(difference: float | None, ci95: list[float] | None) -> dict[str, Any] | None:
    if difference is None:
        return None
    is_clear = None if ci95 is None else not ci95[0] <= 0 <= ci95[1]
    return {"difference": difference, "ci95": ci95, "is_clear": is_clear}
