"""What scores are made of: of each face, how right and how far off the prediction was."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toolkit.evaluation.groups import group_of_age, group_of_distribution, group_of_label
from toolkit.evaluation.table import PredictionTable

ECE_BINS = 15
"""Guo et al. 2017's choice."""

WIDEST_LABEL_YEARS = 40
"""A label that allows more years than these says too little of an age to hold a prediction against it."""

MEANS = (
    "gender_accuracy",
    "gender_accuracy_21_60",
    "age_mae_years",
    "age_mae_to_middle_years",
    "age_bias_years",
    "cs5",
    "age_group_accuracy",
    "age_group_one_off",
)
"""What is a mean over faces, in the order of the columns."""


class ScoreColumns(NamedTuple):
    """What the scores of any part of the faces are made of.

    Attributes:
        values: (N, 8), of each face what ``MEANS`` are means of; NaN where the face does not count.
        surplus: (N, 15), in the bin of the face's gender probability how much it was too low; 0 elsewhere.
        has_gender: (N,), 1 where a gender was predicted.
    """

    values: np.ndarray
    surplus: np.ndarray
    has_gender: np.ndarray


def score_columns(table: PredictionTable) -> ScoreColumns:
    """What the scores are made of, one row a face."""
    female, ages = table.female_probability, table.age_years
    lo, hi = table.ages_lo, table.ages_hi
    says_age = age_is_told(table)
    middle_age = (lo + hi) // 2
    right = np.where(np.isnan(female), np.nan, (female > 0.5) == (table.genders == 1))
    signed = np.where(says_age, signed_distance(ages, lo, hi), np.nan)
    distance = np.abs(signed)
    group_gap = np.where(says_age, np.abs(predicted_groups(table) - group_of_label(lo, hi)), np.nan)
    values = [
        right,
        np.where(says_age & (middle_age >= 21) & (middle_age <= 60), right, np.nan),
        distance,
        np.where(says_age, np.abs(ages - (lo + _ends(lo, hi)) / 2), np.nan),
        signed,
        _share(distance, 5),
        _share(group_gap, 0),
        _share(group_gap, 1),
    ]
    has_gender = ~np.isnan(female)
    probability = np.where(has_gender, np.maximum(female, 1 - female), 0.5)
    surplus = np.zeros((len(table), ECE_BINS))
    surplus[np.arange(len(table)), ece_bin(probability)] = np.where(has_gender, right - probability, 0.0)
    return ScoreColumns(np.column_stack(values), surplus, has_gender.astype(float))


def age_is_told(table: PredictionTable) -> np.ndarray:
    """(N,), bool: whether the label says enough of an age, see :data:`WIDEST_LABEL_YEARS`."""
    return table.ages_hi - table.ages_lo <= WIDEST_LABEL_YEARS


def predicted_groups(table: PredictionTable) -> np.ndarray:
    """(N,) numbers of age groups, as floats: the likeliest group, else that of the age; else NaN."""
    if table.age_distribution is not None:
        return group_of_distribution(table.age_distribution).astype(float)
    ages = table.age_years
    return np.where(np.isnan(ages), np.nan, group_of_age(np.nan_to_num(ages)))


def signed_distance(ages: np.ndarray, ages_lo: np.ndarray, ages_hi: np.ndarray) -> np.ndarray:
    """(N,) years from the nearest point of the label's interval to an age; 0 inside, below 0 if too young.

    A label of whole years covers them to their end: 29.9 is inside 20..29. An exact age is a point.
    """
    return np.maximum(ages - _ends(ages_lo, ages_hi), 0.0) - np.maximum(ages_lo - ages, 0.0)


def interval_distance(ages: np.ndarray, ages_lo: np.ndarray, ages_hi: np.ndarray) -> np.ndarray:
    """(N,) years from an age to the nearest point of its label's interval; 0 inside."""
    return np.abs(signed_distance(ages, ages_lo, ages_hi))


def ece_bin(probability: np.ndarray) -> np.ndarray:
    """(N,) numbers of ``ECE_BINS`` bins of equal width over 0.5..1."""
    return np.clip(((probability - 0.5) * 2 * ECE_BINS).astype(int), 0, ECE_BINS - 1)


def expected_calibration_error(probability: np.ndarray, is_right: np.ndarray) -> float | None:
    """Mean gap between the probability of the chosen label and how often it is right; None for no face.

    Over ``ECE_BINS`` bins of equal width over 0.5..1, weighted by their faces.
    """
    if len(probability) == 0:
        return None
    gaps = np.bincount(ece_bin(probability), weights=is_right - probability, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(probability))


def label_notes(table: PredictionTable) -> list[str]:
    """What the labels of a set let its scores say, in sentences."""
    lo, hi = table.ages_lo, table.ages_hi
    notes = []
    in_interval = (lo != hi) & (hi - lo <= WIDEST_LABEL_YEARS)
    if in_interval.any():
        notes.append(
            f"{in_interval.sum():,} of {len(lo):,} ages are labelled by an interval: age_mae_years and cs5 "
            "take the distance to it (0 inside), a lower bound of the error; age_mae_to_middle_years takes "
            "the distance to its middle, which an exact guess does not bring to 0"
        )
    straddles = in_interval & (group_of_age(lo) != group_of_age(np.minimum(hi, 100)))
    if straddles.any():
        notes.append(
            f"{straddles.sum():,} labels lie in more than one of the nine age groups; their middle decides"
        )
    says_nothing = ~age_is_told(table)
    if says_nothing.any():
        notes.append(
            f"{says_nothing.sum():,} labels allow more than {WIDEST_LABEL_YEARS} years; these faces count in "
            "no score of age, and in no age group"
        )
    return notes


def _ends(ages_lo: np.ndarray, ages_hi: np.ndarray) -> np.ndarray:
    return ages_hi + np.where(ages_lo == ages_hi, 0.0, 1.0)


def _share(values: np.ndarray, most: float) -> np.ndarray:
    """1 where the value is at most so much, else 0; NaN stays NaN."""
    return np.where(np.isnan(values), np.nan, values <= most)
