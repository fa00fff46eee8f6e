"""Two models on the same faces."""

from __future__ import annotations

import numpy as np
import pytest
from made_tables import made_table

from toolkit.evaluation.comparison import compare
from toolkit.evaluation.scores import score_table


def worse(table, extra_years: float, share: float):
    """The same predictions, a share of the genders turned and all ages further off."""
    turned = np.random.default_rng(2).uniform(size=len(table)) < share
    female = np.where(turned, 1 - table.female_probability, table.female_probability)
    ages = table.age_years + extra_years * np.sign(table.age_years - table.ages_lo)
    return type(table)("worse", table.rows.assign(female_probability=female, age_years=ages))


def test_a_difference_is_that_of_the_scores():
    first, second = made_table(300), made_table(300, error_years=12.0)
    second = type(second)("second", first.rows.assign(age_years=second.age_years))

    told = compare(first, second, resamples=50)

    expected = score_table(first)["age_mae_years"] - score_table(second)["age_mae_years"]
    assert told["age_mae_years"]["difference"] == pytest.approx(expected)


def test_the_same_faces_make_a_small_difference_clear():
    table = made_table(300)

    told = compare(table, worse(table, extra_years=0.5, share=0.0), resamples=300)

    # Half a year is far inside the interval of either model alone, and the same for every face.
    low, high = score_table(table, resamples=300)["ci95"]["age_mae_years"]
    assert high - low > 1.0
    assert told["age_mae_years"]["ci95"] == pytest.approx([-0.5, -0.5])
    assert told["age_mae_years"]["is_clear"]
    assert not told["gender_accuracy"]["is_clear"]


def test_a_model_against_itself_differs_in_nothing():
    table = made_table(100)

    told = compare(table, table, resamples=30)

    assert {block["difference"] for block in told.values()} == {0.0}
    assert not any(block["is_clear"] for block in told.values())


def test_what_one_of_two_does_not_tell_is_not_compared():
    table = made_table(50)
    ages_alone = type(table)("ages", table.rows.assign(female_probability=np.nan))

    told = compare(table, ages_alone, resamples=0)

    assert told["gender_accuracy"] is None
    assert told["age_mae_years"] == {"difference": 0.0, "ci95": None, "is_clear": None}
