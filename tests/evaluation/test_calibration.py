"""Temperatures are found again, and intervals hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from made_tables import made_table

from toolkit.evaluation.calibration import (
    age_intervals,
    ages_at_temperature,
    calibration_of,
    fit_age_temperature,
    fit_gender_temperature,
    gender_at_temperature,
)


def overconfident(count: int = 4000, temperature: float = 2.0):
    """Labels drawn with the told probabilities, which are then sharpened."""
    table = made_table(count)
    genders = (np.random.default_rng(8).uniform(size=count) < table.female_probability).astype(int)
    sharp = gender_at_temperature(table.female_probability, 1 / temperature)
    return type(table)("sure", table.rows.assign(gender=genders, female_probability=sharp))


def test_a_temperature_that_was_put_in_is_found_again():
    assert fit_gender_temperature(overconfident(temperature=2.0)) == pytest.approx(2.0, rel=0.1)
    assert fit_gender_temperature(overconfident(temperature=1.0)) == pytest.approx(1.0, rel=0.1)


def test_an_age_distribution_too_narrow_by_half_has_temperature_four():
    table = made_table(3000)
    # A Gaussian of half the width is the distribution to the power of four.
    narrow = ages_at_temperature(table.age_distribution, 1 / 4)

    assert fit_age_temperature(type(table)("narrow", table.rows, narrow)) == pytest.approx(4.0, rel=0.15)


def test_a_temperature_fitted_on_other_faces_lowers_the_calibration_error():
    gender = calibration_of(overconfident(), overconfident(3000))["gender"]

    assert gender["at_temperature"]["ece"] < 0.5 * gender["ece"]
    assert gender["at_temperature"]["nll"] < gender["nll"]
    assert sum(part["n"] for part in gender["bins"]) == 4000


def test_a_sure_mistake_at_the_lowest_temperature_has_a_finite_loss():
    table, right = made_table(200), made_table(200)
    right.rows["female_probability"] = np.where(right.genders == 1, 0.9, 0.1)
    table.rows["female_probability"] = np.where(table.genders == 1, 0.0, 1.0)

    told = calibration_of(table, fitted_on=right)["gender"]

    # The temperature stops at 0.05, and a probability at 1e-7.
    assert told["at_temperature"]["nll"] == pytest.approx(-np.log(1e-7) / 0.05, rel=1e-4)


def test_a_temperature_moves_no_face_to_the_other_gender():
    told = np.array([0.0, 0.2, 0.49, 0.51, 0.9, 1.0])

    assert ((gender_at_temperature(told, 3.0) > 0.5) == (told > 0.5)).all()
    assert gender_at_temperature(np.array([0.8]), 1.0)[0] == pytest.approx(0.8)


def test_the_intervals_of_a_model_that_knows_its_error_hold_what_they_promise():
    table = made_table(4000)
    inside = type(table)("middle", table.rows, table.age_distribution).take(
        np.flatnonzero((table.ages_lo > 20) & (table.ages_lo < 80))
    )

    intervals = calibration_of(inside)["age"]["intervals"]

    for level in ("0.5", "0.8", "0.9", "0.95"):
        assert intervals[level]["coverage"] == pytest.approx(float(level), abs=0.05)
    assert intervals["0.5"]["width_years"] < intervals["0.95"]["width_years"]


def test_a_central_interval_leaves_as_much_out_at_both_ends():
    distribution = np.full((1, 101), 1 / 101)

    first, last = age_intervals(distribution, 0.9)

    assert (first[0], last[0]) == (5, 95)


def test_an_interval_of_one_sure_year_is_that_year():
    distribution = np.zeros((1, 101))
    distribution[0, 33] = 1.0

    assert [int(ends[0]) for ends in age_intervals(distribution, 0.5)] == [33, 33]


def test_of_a_grouped_age_the_share_of_its_years_counts():
    table = made_table(1)
    distribution = np.zeros((1, 101))
    distribution[0, 25:35] = 0.1
    rows = table.rows.assign(age_lo=20, age_hi=29)

    told = calibration_of(type(table)("one", rows, distribution))["age"]["intervals"]["0.95"]

    assert told == {"coverage": 0.5, "width_years": 10.0}


def test_what_is_not_predicted_has_no_calibration():
    table = made_table(20)
    no_gender = type(table)("ages", table.rows.assign(female_probability=np.nan))

    assert calibration_of(no_gender) == {"gender": None, "age": None}
    assert calibration_of(table.take(np.arange(0)), table) == {"gender": None, "age": None}
