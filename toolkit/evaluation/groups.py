"""Age groups: which one an age, a label or a distribution belongs to."""

from __future__ import annotations

import numpy as np

AGE_GROUPS: tuple[tuple[int, int], ...] = (
    (0, 2),
    (3, 9),
    (10, 19),
    (20, 29),
    (30, 39),
    (40, 49),
    (50, 59),
    (60, 69),
    (70, 120),
)
"""FairFace's nine groups, first and last year inside."""

AGE_GROUP_NAMES: tuple[str, ...] = (*(f"{lo}-{hi}" for lo, hi in AGE_GROUPS[:-1]), "70+")

_STARTS = np.array([lo for lo, _ in AGE_GROUPS])


def group_of_age(ages_years: np.ndarray) -> np.ndarray:
    """(N,) group numbers, 0..8: the group a year of age falls into; 29.9 is still 20-29."""
    return np.searchsorted(_STARTS, ages_years, side="right") - 1


def group_of_label(ages_lo: np.ndarray, ages_hi: np.ndarray) -> np.ndarray:
    """(N,) group numbers of labels; of an interval that is no group itself, the group of its middle."""
    return group_of_age((np.asarray(ages_lo) + np.minimum(ages_hi, 100)) // 2)


def group_of_distribution(age_distribution: np.ndarray) -> np.ndarray:
    """(N,) group numbers: the group with the most probability, of (N, 101) distributions over years."""
    return np.add.reduceat(age_distribution, _STARTS, axis=1).argmax(axis=1)
