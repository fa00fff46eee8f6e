"""Scores against torchmetrics, intervals against scipy's bootstrap."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from made_tables import made_table
from scipy.stats import bootstrap
from torchmetrics.classification import (
    BinaryAccuracy,
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
)
from torchmetrics.regression import MeanAbsoluteError

from toolkit.evaluation.bootstrap import resampled_weights
from toolkit.evaluation.calibration import calibration_of
from toolkit.evaluation.confusion import confusion_of
from toolkit.evaluation.groups import group_of_label
from toolkit.evaluation.scores import SCORES, score_table
from toolkit.evaluation.table import PredictionTable
from toolkit.evaluation.values import label_notes, predicted_groups, score_columns


def test_scores_agree_with_torchmetrics():
    table = made_table(700)
    female, genders = torch.tensor(table.female_probability), torch.tensor(table.genders)
    labels = torch.tensor(group_of_label(table.ages_lo, table.ages_hi))
    told = torch.tensor(predicted_groups(table).astype(int))

    scores = score_table(table)

    assert scores["gender_accuracy"] == pytest.approx(BinaryAccuracy()(female, genders).item())
    mae = MeanAbsoluteError()(torch.tensor(table.age_years), torch.tensor(table.ages_lo, dtype=torch.float64))
    assert scores["age_mae_years"] == pytest.approx(mae.item())
    accuracy = MulticlassAccuracy(num_classes=9, average="micro")(told, labels)
    assert scores["age_group_accuracy"] == pytest.approx(accuracy.item())
    # Of two classes, the surer one has 0.5..1: our 15 bins are the upper half of 30.
    both = torch.stack([1 - female, female], dim=1)
    ece = MulticlassCalibrationError(num_classes=2, n_bins=30, norm="l1")(both, genders)
    assert scores["ece"] == pytest.approx(ece.item(), abs=1e-6)


def test_the_confusion_agrees_with_torchmetrics():
    table = made_table(300, grouped=True)
    labels = torch.tensor(group_of_label(table.ages_lo, table.ages_hi))
    told = torch.tensor(predicted_groups(table).astype(int))

    counts = confusion_of(table)["age_group"]["counts"]

    assert counts == MulticlassConfusionMatrix(num_classes=9)(told, labels).tolist()


def test_an_interval_agrees_with_scipys_bootstrap():
    table = made_table(150)
    distances = score_columns(table).values[:, SCORES.index("age_mae_years")]

    low, high = score_table(table, resamples=4000, seed=1)["ci95"]["age_mae_years"]

    theirs = bootstrap(
        (distances,), np.mean, n_resamples=4000, method="percentile", rng=2
    ).confidence_interval
    width = theirs.high - theirs.low
    assert low == pytest.approx(theirs.low, abs=0.07 * width)
    assert high == pytest.approx(theirs.high, abs=0.07 * width)


def test_a_resample_draws_as_many_faces_as_there_are_each_time_anew():
    drawn = np.concatenate(list(resampled_weights(30, 150, seed=1)))

    assert drawn.shape == (150, 30)
    assert (drawn.sum(axis=1) == 30).all()
    assert len({tuple(row) for row in drawn.tolist()}) == 150
    assert list(resampled_weights(0, 150, seed=1)) == []


def test_the_same_seed_gives_the_same_intervals_and_another_one_others():
    table = made_table(80)

    first, again, other = (score_table(table, resamples=50, seed=seed)["ci95"] for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_a_score_without_chance_has_an_interval_without_width():
    table = made_table(60, gender_noise=0.0)

    scores = score_table(table, resamples=50)

    assert scores["ci95"]["gender_accuracy"] == [1.0, 1.0]


def test_the_interval_of_the_calibration_error_holds_the_error_itself():
    # Of a model that knows how sure it may be, every resample looks worse than the faces it is drawn from.
    for seed in range(8):
        table = made_table(1500, seed=seed)
        chance = np.random.default_rng(seed).uniform(size=1500)
        rows = table.rows.assign(gender=(chance < table.female_probability).astype(int))
        scores = score_table(type(table)("calibrated", rows), resamples=200)

        low, high = scores["ci95"]["ece"]
        assert 0 <= low <= scores["ece"] <= high


def test_every_group_has_its_own_interval_around_its_score():
    scores = score_table(made_table(400), resamples=200)

    for groups in scores["groups"].values():
        for block in groups.values():
            low, high = block["ci95"]["gender_accuracy"]
            assert low <= block["gender_accuracy"] <= high


def test_one_class_alone_is_scored():
    table = made_table(200)
    women = table.take(np.flatnonzero(table.genders == 1))

    scores = score_table(women, resamples=20)

    assert list(scores["groups"]["gender"]) == ["female"]
    assert scores["gender_accuracy"] == np.mean(women.female_probability > 0.5)


def test_no_face_has_no_score_no_interval_and_no_group():
    scores = score_table(made_table(5).take(np.arange(0)), resamples=20)

    assert scores["n"] == 0
    assert {scores[name] for name in SCORES} == {None}
    assert set(scores["ci95"].values()) == {None}
    assert scores["groups"]["race"] == {}
    assert json.loads(json.dumps(scores)) == scores


def test_the_middle_of_a_label_and_the_nearest_point_of_it_are_two_distances():
    table = made_table(1, grouped=True)
    rows = table.rows.assign(age_lo=20, age_hi=29, age_years=33.0)

    scores = score_table(type(table)("one", rows))

    assert scores["age_mae_years"] == 3.0
    assert scores["age_mae_to_middle_years"] == 8.0
    assert scores["age_bias_years"] == 3.0


def test_five_years_off_is_within_five_and_a_little_more_is_not():
    table = made_table(3)
    rows = table.rows.assign(age_lo=40, age_hi=40, age_years=[45.0, 45.1, 34.5])

    assert score_table(type(table)("three", rows))["cs5"] == pytest.approx(1 / 3)


def test_a_label_that_allows_nearly_every_age_counts_in_no_score_of_age():
    table = made_table(2)
    rows = table.rows.assign(age_lo=[0, 30], age_hi=[100, 30], age_years=[50.0, 34.0])

    scores = score_table(type(table)("two", rows))

    assert scores["age_mae_years"] == 4.0
    assert scores["n"] == 2
    assert "1 labels allow more than 40 years" in label_notes(type(table)("two", rows))[0]


def test_what_interval_labels_let_the_scores_say_is_noted():
    assert label_notes(made_table(20)) == []
    [note] = label_notes(made_table(20, grouped=True))
    assert "20 of 20 ages are labelled by an interval" in note


def test_a_face_whose_age_or_race_is_not_known_counts_in_no_score_of_it():
    known = made_table(100)
    rows = pd.concat([known.rows, known.rows.assign(age_lo=0, age_hi=100, race="")], ignore_index=True)
    with_unknown = PredictionTable("both", rows, np.concatenate([known.age_distribution] * 2))

    alone, told = score_table(known, resamples=0), score_table(with_unknown, resamples=0)

    assert told["n"] == 200
    assert told["gender_accuracy_21_60"] == alone["gender_accuracy_21_60"]
    assert told["age_mae_years"] == alone["age_mae_years"]
    for kind in ("age_group", "race", "race_gender"):
        assert told["groups"][kind] == alone["groups"][kind]
    assert calibration_of(with_unknown)["age"]["nll"] == pytest.approx(calibration_of(known)["age"]["nll"])
