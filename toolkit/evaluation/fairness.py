"""For whom is it worse: worst group and gap of each kind of group, through Fairlearn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, equalized_odds_difference

from toolkit.evaluation.scores import groups_of
from toolkit.evaluation.table import PredictionTable
from toolkit.evaluation.values import MEANS, score_columns

FEWEST_FACES = 30
"""A smaller group is shown but never named the worst: its accuracy is uncertain by 18 points either way."""

COMPARED = ("gender_accuracy", "age_group_accuracy", "age_mae_years")
_LESS_IS_BETTER = {"age_mae_years"}


def fairness_gaps(table: PredictionTable) -> dict[str, dict[str, Any]]:
    """Worst group and gap, for each kind of group that has at least two groups of ``FEWEST_FACES``.

    Returns:
        Kind of group to ``left_out`` (groups too small to compare) and, for each score of ``COMPARED`` that
        two groups have of so many faces each, ``worst_group``, ``worst``, ``best_group``, ``best``, ``gap``
        (best to worst) and ``worst_to_all`` (worst to all faces compared), both 0 or more. For race and age
        group also ``equalized_odds_difference`` of the apparent gender: the larger of the gaps, over the
        groups, of how often women are told as women, and men as women.

    Source: Fairlearn's ``MetricFrame``; Bird et al., "Fairlearn: a toolkit for assessing and improving
        fairness in AI", 2020; equalized odds: Hardt, Price, Srebro, "Equality of opportunity in supervised
        learning", NeurIPS 2016.
    """
    values = pd.DataFrame(score_columns(table).values, columns=[*MEANS])
    gaps: dict[str, dict[str, Any]] = {}
    for kind, groups in groups_of(table).items():
        kept = {name: rows for name, rows in groups.items() if len(rows) >= FEWEST_FACES}
        if len(kept) < 2:
            continue
        rows = np.concatenate([*kept.values()])
        names = np.repeat([*kept], [len(of_group) for of_group in kept.values()])
        of_kind = _gaps(values.iloc[rows], names)
        if not of_kind:
            continue
        gaps[kind] = {"left_out": sorted(set(groups) - set(kept)), **of_kind}
        if kind in ("race", "age_group") and not table.rows["female_probability"].isna().any():
            gaps[kind]["equalized_odds_difference"] = _odds_gap(table.take(rows), names)
    return gaps


def _gaps(values: pd.DataFrame, names: np.ndarray) -> dict[str, Any]:
    # By score: of many faces a label may tell the gender, and of few the age.
    has_enough = values[[*COMPARED]].notna().groupby(names).sum() >= FEWEST_FACES
    values = values[[*COMPARED]].where(has_enough.loc[names].to_numpy())
    told = [name for name in COMPARED if has_enough[name].sum() >= 2]
    if not told:
        return {}
    frame = MetricFrame(
        metrics=dict.fromkeys(told, _mean_of),
        # Fairlearn asks for labels and predictions; how right each was comes with the row instead.
        y_true=np.zeros(len(values)),
        y_pred=np.zeros(len(values)),
        sensitive_features=names,
        sample_params={name: {"values": values[name].to_numpy()} for name in told},
    )
    return {name: _gap(frame.by_group[name], frame.overall[name], name in _LESS_IS_BETTER) for name in told}


def _gap(by_group: pd.Series, overall: float, less_is_better: bool) -> dict[str, Any]:
    worst, best = str(by_group.idxmin()), str(by_group.idxmax())
    if less_is_better:
        worst, best = best, worst
    return {
        "worst_group": worst,
        "worst": float(by_group[worst]),
        "best_group": best,
        "best": float(by_group[best]),
        "gap": abs(float(by_group[best] - by_group[worst])),
        "worst_to_all": abs(float(overall - by_group[worst])),
    }


def _odds_gap(table: PredictionTable, names: np.ndarray) -> float | None:
    labels = pd.Series(table.genders).groupby(names).nunique()
    # A group of one gender has no rate for the other.
    if (labels < 2).any():
        return None
    told = (table.female_probability > 0.5).astype(int)
    return float(equalized_odds_difference(table.genders, told, sensitive_features=names))


def _mean_of(y_true: np.ndarray, y_pred: np.ndarray, values: np.ndarray) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else np.nan
