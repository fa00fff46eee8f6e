"""Still evaluation: accuracy, age error and calibration on labelled faces, for all and per group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from toolkit.data.faces import FaceTable
from toolkit.evaluation.groups import (
    AGE_GROUP_NAMES,
    group_of_distribution,
    group_of_label,
)
from toolkit.models.predictor import PredictionArrays

CHUNK_FACES = 256
"""Pictures decoded at a time: bounds memory, and is how often progress is told."""

ECE_BINS = 15
"""Guo et al. 2017's choice."""


class PredictsArrays(Protocol):
    """What evaluation needs of a model."""

    def predict_arrays(self, crops: list[np.ndarray]) -> PredictionArrays:
        """Predictions of N pictures (H, W, 3), uint8, BGR."""


def evaluate_faces(
    predictor: PredictsArrays,
    faces: FaceTable,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Predict every face of a table and score the predictions.

    Args:
        predictor: the model.
        faces: pictures with labels.
        on_progress: called with faces done and faces in all.

    Returns:
        The scores of :func:`score_predictions`.
    """
    parts = []
    for start in range(0, len(faces), CHUNK_FACES):
        stop = min(start + CHUNK_FACES, len(faces))
        parts.append(predictor.predict_arrays([faces.picture(i) for i in range(start, stop)]))
        if on_progress:
            on_progress(stop, len(faces))
    # An empty table still asks the model once: its answer has the right widths.
    parts = parts or [predictor.predict_arrays([])]
    predictions = PredictionArrays(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return score_predictions(predictions, faces)


def score_predictions(predictions: PredictionArrays, faces: FaceTable) -> dict[str, Any]:
    """Score predictions against labels.

    Returns:
        ``n`` and fractions (None where no face counts): ``gender_accuracy``; ``gender_accuracy_21_60``,
        faces whose label has its middle in 21..60; ``age_mae_years``, mean distance of the predicted age to
        the label's interval, 0 inside it, so for exact ages the usual mean absolute error and for grouped
        ages a lower bound of it; ``cs5``, share of faces with that distance at most 5 years;
        ``age_group_accuracy`` and ``age_group_one_off`` over FairFace's nine groups, the predicted group
        being the one with the most probability; ``ece`` of the gender probability; ``groups``: for
        ``gender``, ``age_group`` and, where the data has it, ``race``, one such block per group.
        Everything can be written as JSON.

    Source: CS@5: Geng, Zhou, Smith-Miles, "Automatic age estimation based on facial aging patterns",
        PAMI 2007; ECE: Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    columns = _columns(predictions, faces)
    scores = _scores(columns, np.ones(len(faces), bool))
    names = {
        "gender": np.where(faces.genders == 1, "female", "male"),
        "age_group": np.array(AGE_GROUP_NAMES)[columns["label_group"]],
    }
    if "race" in faces.rows.columns:
        names["race"] = faces.rows["race"].astype(str).to_numpy()
    scores["groups"] = {
        kind: {str(name): _scores(columns, of_row == name) for name in _ordered(kind, of_row)}
        for kind, of_row in names.items()
    }
    return scores


def interval_distance(ages: np.ndarray, ages_lo: np.ndarray, ages_hi: np.ndarray) -> np.ndarray:
    """(N,) years from an age to the nearest point of its label's interval; 0 inside.

    A label of whole years covers them to their end: 29.9 is inside 20..29. An exact age is a point.
    """
    ends = ages_hi + np.where(ages_lo == ages_hi, 0.0, 1.0)
    return np.maximum(np.maximum(ages_lo - ages, ages - ends), 0.0)


def expected_calibration_error(probability: np.ndarray, is_right: np.ndarray) -> float | None:
    """Mean gap between the probability of the chosen label and how often it is right; None for no face.

    Over ``ECE_BINS`` bins of equal width over 0.5..1, weighted by their faces.
    """
    if len(probability) == 0:
        return None
    bins = np.clip(((probability - 0.5) * 2 * ECE_BINS).astype(int), 0, ECE_BINS - 1)
    # The weight of a bin is its count over n, so the counts of its two means cancel against it.
    gaps = np.bincount(bins, weights=is_right - probability, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(probability))


def _columns(predictions: PredictionArrays, faces: FaceTable) -> dict[str, np.ndarray]:
    """What the scores are made of, one value per face."""
    female = predictions.female_probability
    middle_age = (faces.ages_lo + faces.ages_hi) // 2
    label_group = group_of_label(faces.ages_lo, faces.ages_hi)
    group_gap = np.abs(group_of_distribution(predictions.age_distribution) - label_group)
    return {
        "gender_right": (female > 0.5) == (faces.genders == 1),
        "gender_probability": np.maximum(female, 1 - female).astype(float),
        "is_21_60": (middle_age >= 21) & (middle_age <= 60),
        "age_distance": interval_distance(predictions.age_years.astype(float), faces.ages_lo, faces.ages_hi),
        "label_group": label_group,
        "group_gap": group_gap,
    }


def _scores(columns: dict[str, np.ndarray], chosen: np.ndarray) -> dict[str, Any]:
    right = columns["gender_right"][chosen]
    distance = columns["age_distance"][chosen]
    gap = columns["group_gap"][chosen]
    return {
        "n": int(chosen.sum()),
        "gender_accuracy": _mean(right),
        "gender_accuracy_21_60": _mean(columns["gender_right"][chosen & columns["is_21_60"]]),
        "age_mae_years": _mean(distance),
        "cs5": _mean(distance <= 5),
        "age_group_accuracy": _mean(gap == 0),
        "age_group_one_off": _mean(gap <= 1),
        "ece": expected_calibration_error(columns["gender_probability"][chosen], right),
    }


def _mean(values: np.ndarray) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _ordered(kind: str, of_row: np.ndarray) -> list[str]:
    present = set(of_row.tolist())
    return [n for n in AGE_GROUP_NAMES if n in present] if kind == "age_group" else sorted(present)
