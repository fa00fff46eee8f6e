"""Worst groups and gaps, against hand-worked cases."""

from __future__ import annotations

import numpy as np
import pytest
from made_tables import made_table

from toolkit.evaluation.fairness import FEWEST_FACES, fairness_gaps


def unfair_table():
    """Blue: all right. Green: every second one wrong, ages 10 years off. Red: five faces, all wrong."""
    table = made_table(205)
    races = np.array(["Blue"] * 100 + ["Green"] * 100 + ["Red"] * 5)
    right = np.array([1.0] * 100 + [1.0, 0.0] * 50 + [0.0] * 5)
    genders = np.tile([0, 0, 1, 1], 52)[:205]
    told = np.where(right == 1, genders, 1 - genders)
    rows = table.rows.assign(
        race=races,
        gender=genders,
        age_lo=40,
        age_hi=40,
        female_probability=told,
        age_years=np.where(races == "Blue", 40.0, 50.0),
    )
    return type(table)("unfair", rows)


def test_the_worst_group_its_gap_and_the_mean_are_as_worked_by_hand():
    by_race = fairness_gaps(unfair_table())["race"]

    gender = by_race["gender_accuracy"]
    assert (gender["worst_group"], gender["best_group"]) == ("Green", "Blue")
    assert (gender["worst"], gender["best"], gender["gap"]) == (0.5, 1.0, 0.5)
    assert gender["worst_to_all"] == 0.25
    ages = by_race["age_mae_years"]
    assert (ages["worst_group"], ages["worst"], ages["best"], ages["gap"]) == ("Green", 10.0, 0.0, 10.0)
    assert by_race["equalized_odds_difference"] == pytest.approx(0.5)


def test_a_group_of_few_faces_is_named_but_not_the_worst():
    gaps = fairness_gaps(unfair_table())

    assert FEWEST_FACES > 5
    assert gaps["race"]["left_out"] == ["Red"]
    assert gaps["race_gender"]["left_out"] == ["Red female", "Red male"]


@pytest.mark.parametrize("told_ages", [0, 1, FEWEST_FACES - 1])
def test_a_group_is_not_the_worst_in_age_by_the_few_faces_whose_age_is_known(told_ages):
    table = unfair_table()
    is_known = np.r_[np.ones(100), np.arange(100) < told_ages, np.zeros(5)].astype(bool)
    rows = table.rows.assign(age_lo=np.where(is_known, 40, 0), age_hi=np.where(is_known, 40, 100))

    by_race = fairness_gaps(type(table)("few ages", rows))["race"]

    assert by_race["gender_accuracy"]["worst_group"] == "Green"
    assert "age_mae_years" not in by_race
    without_gender = rows.assign(female_probability=np.nan)
    assert "race" not in fairness_gaps(type(table)("few ages", without_gender))


def test_a_kind_with_one_group_has_no_gap():
    table = unfair_table()

    assert "age_group" not in fairness_gaps(table)
    assert fairness_gaps(table.take(np.arange(0))) == {}


def test_ages_alone_have_gaps_of_ages_alone():
    table = unfair_table()
    rows = table.rows.assign(female_probability=np.nan)

    by_race = fairness_gaps(type(table)("ages", rows))["race"]

    assert set(by_race) == {"left_out", "age_group_accuracy", "age_mae_years"}
