"""What was taken for what: counts of labels against predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from toolkit.evaluation.groups import AGE_GROUP_NAMES, group_of_label
from toolkit.evaluation.table import PredictionTable
from toolkit.evaluation.values import age_is_told, predicted_groups

GENDER_NAMES = ("male", "female")


def confusion_of(table: PredictionTable) -> dict[str, Any]:
    """Counts of each label and prediction.

    Returns:
        ``gender`` and ``age_group``, each with ``names`` and ``counts``: a row a label, a column a
        prediction; None where nothing is predicted.
    """
    female, groups = table.female_probability, predicted_groups(table)
    labels = group_of_label(table.ages_lo, table.ages_hi)
    groups = np.where(age_is_told(table), groups, np.nan)
    told_gender = np.where(np.isnan(female), np.nan, female > 0.5)
    return {
        "gender": _counts(table.genders, told_gender, GENDER_NAMES),
        "age_group": _counts(labels, groups, AGE_GROUP_NAMES),
    }


def _counts(labels: np.ndarray, told: np.ndarray, names: tuple[str, ...]) -> dict[str, Any] | None:
    known = ~np.isnan(told)
    if not known.any():
        return None
    cells = labels[known] * len(names) + told[known].astype(int)
    counts = np.bincount(cells, minlength=len(names) ** 2).reshape(len(names), len(names))
    return {"names": list(names), "counts": counts.tolist()}
