"""Scores against worked cases and against scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_faces import face_rows
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, mean_absolute_error

from toolkit.data.faces import FaceTable
from toolkit.evaluation.faces import evaluate_faces, score_predictions
from toolkit.evaluation.groups import (
    AGE_GROUPS,
    group_of_age,
    group_of_distribution,
    group_of_label,
)
from toolkit.evaluation.values import expected_calibration_error, interval_distance
from toolkit.models.predictor import PredictionArrays


def table(genders: list[int], lo: list[int], hi: list[int], races: list[str] | None = None) -> FaceTable:
    rows = pd.DataFrame({"gender": genders, "age_lo": lo, "age_hi": hi})
    return FaceTable("made", Path("made.parquet"), rows.assign(race=races) if races else rows)


def predictions(female: list[float], ages: list[float]) -> PredictionArrays:
    """All probability on the year nearest to each age."""
    distribution = np.zeros((len(ages), 101), np.float32)
    distribution[np.arange(len(ages)), np.round(ages).astype(int)] = 1.0
    zeros = np.zeros(len(ages), np.float32)
    return PredictionArrays(np.array(female, np.float32), np.array(ages, np.float32), zeros, distribution)


def random_case(count: int = 400) -> tuple[PredictionArrays, FaceTable]:
    rng = np.random.default_rng(5)
    ages = rng.integers(0, 100, count).tolist()
    faces = table(rng.integers(0, 2, count).tolist(), ages, ages)
    guesses = np.clip(np.array(ages) + rng.normal(0, 8, count), 0, 100).tolist()
    return predictions(rng.uniform(0, 1, count).tolist(), guesses), faces


def test_a_worked_case_of_four_faces() -> None:
    faces = table([1, 0, 1, 0], [20, 30, 3, 70], [29, 39, 9, 100])

    scores = score_predictions(predictions([0.9, 0.8, 0.7, 0.1], [25.0, 45.0, 12.0, 68.0]), faces)

    assert scores["n"] == 4
    assert scores["gender_accuracy"] == 0.75
    assert scores["gender_accuracy_21_60"] == 0.5
    assert scores["age_mae_years"] == pytest.approx((0 + 5 + 2 + 2) / 4)
    assert scores["cs5"] == 1.0
    assert scores["age_group_accuracy"] == 0.25
    assert scores["age_group_one_off"] == 1.0


def test_accuracy_and_age_error_agree_with_scikit_learn() -> None:
    guesses, faces = random_case()

    scores = score_predictions(guesses, faces)

    assert scores["gender_accuracy"] == pytest.approx(
        accuracy_score(faces.genders, guesses.female_probability > 0.5)
    )
    assert scores["age_mae_years"] == pytest.approx(
        mean_absolute_error(faces.ages_lo, guesses.age_years), abs=1e-4
    )
    label_groups, guessed_groups = group_of_age(faces.ages_lo), group_of_age(np.round(guesses.age_years))
    assert scores["age_group_accuracy"] == pytest.approx(accuracy_score(label_groups, guessed_groups))


def test_calibration_error_agrees_with_scikit_learns_curve() -> None:
    rng = np.random.default_rng(6)
    probability = rng.uniform(0.5, 1.0, 1000)
    is_right = rng.uniform(size=1000) < probability**2

    # Stretched to 0..1, so that scikit-learn's bins are ours.
    stretched = (probability - 0.5) * 2
    true, _ = calibration_curve(is_right, stretched, n_bins=15)
    bins = np.minimum((stretched * 15).astype(int), 14)
    counts = np.bincount(bins, minlength=15)
    means = np.bincount(bins, weights=probability, minlength=15) / counts
    expected = float((np.abs(true - means) * counts).sum() / counts.sum())
    assert expected_calibration_error(probability, is_right) == pytest.approx(expected)


def test_a_model_as_sure_as_it_is_right_has_no_calibration_error() -> None:
    assert expected_calibration_error(np.full(4, 0.75), np.array([1, 1, 1, 0])) == pytest.approx(0.0)
    assert expected_calibration_error(np.full(4, 1.0), np.array([1, 1, 0, 0])) == pytest.approx(0.5)


def test_an_age_inside_its_interval_is_no_error() -> None:
    ages = np.array([19.0, 20.0, 29.9, 32.0, 41.5])

    distance = interval_distance(ages, np.array([20, 20, 20, 20, 40]), np.array([29, 29, 29, 29, 40]))

    assert distance.tolist() == [1.0, 0.0, 0.0, 2.0, 1.5]


def test_groups_part_ages_where_fairface_does() -> None:
    ages = np.array([0, 2.9, 3, 9, 10, 29.9, 30, 69, 70, 100])

    assert group_of_age(ages).tolist() == [0, 0, 1, 1, 2, 3, 4, 7, 8, 8]
    lo, hi = np.array(AGE_GROUPS).T
    assert group_of_label(lo, hi).tolist() == list(range(9))


def test_the_group_with_most_probability_wins_over_the_likeliest_year() -> None:
    distribution = np.zeros((1, 101))
    distribution[0, 25] = 0.3
    distribution[0, 30:37] = 0.1

    assert group_of_distribution(distribution).tolist() == [4]


def test_groups_are_scored_apart_and_add_up() -> None:
    guesses, _ = random_case(4)
    faces = table([1, 0, 1, 0], [20, 30, 3, 70], [29, 39, 9, 100], ["A", "B", "A", "B"])

    groups = score_predictions(guesses, faces)["groups"]

    assert {kind: sum(g["n"] for g in by_name.values()) for kind, by_name in groups.items()} == {
        "gender": 4,
        "age_group": 4,
        "race": 4,
        "race_gender": 4,
    }
    assert list(groups["age_group"]) == ["3-9", "20-29", "30-39", "70+"]
    female_right = [p > 0.5 for p in guesses.female_probability[[0, 2]]]
    assert groups["gender"]["female"]["gender_accuracy"] == np.mean(female_right)


def test_two_groups_off_is_not_one_off() -> None:
    faces = table([1, 1, 1], [20, 20, 20], [29, 29, 29])

    scores = score_predictions(predictions([0.9, 0.9, 0.9], [25.0, 35.0, 45.0]), faces)

    assert scores["age_group_accuracy"] == pytest.approx(1 / 3)
    assert scores["age_group_one_off"] == pytest.approx(2 / 3)


def test_no_faces_give_no_numbers_but_the_same_names() -> None:
    empty = PredictionArrays(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros((0, 101)))

    scores = score_predictions(empty, table([], [], []).head(0))

    full = score_predictions(*random_case(8))
    assert list(scores) == list(full)
    assert scores["n"] == 0
    assert scores["gender_accuracy"] is None


def test_scores_can_be_written_as_json() -> None:
    scores = score_predictions(*random_case(20))

    assert json.loads(json.dumps(scores)) == scores


class KnowsTheColour:
    """A model that reads the drawn faces as they were drawn."""

    def predict_arrays(self, crops: list[np.ndarray]) -> PredictionArrays:
        red = [float(c[20:28, 20:28, 2].mean()) > float(c[20:28, 20:28, 0].mean()) for c in crops]
        return predictions([0.99 if is_red else 0.01 for is_red in red], [25.0] * len(crops))


def test_a_table_is_predicted_in_order_and_progress_is_told() -> None:
    faces = FaceTable("made", Path("made.parquet"), face_rows(300))
    seen: list[tuple[int, int]] = []

    scores = evaluate_faces(KnowsTheColour(), faces, lambda done, total: seen.append((done, total)))

    assert scores["gender_accuracy"] == 1.0
    assert scores["age_group_accuracy"] == pytest.approx(1 / 3)
    assert seen == [(256, 300), (300, 300)]


def test_an_empty_table_is_scored_too() -> None:
    faces = FaceTable("made", Path("made.parquet"), face_rows(4)).head(0)

    assert evaluate_faces(KnowsTheColour(), faces)["n"] == 0
