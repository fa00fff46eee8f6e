"""A table of predictions is read as it was written, and what is wrong with it is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_tables import made_table

from toolkit.errors import DataError
from toolkit.evaluation.scores import score_table
from toolkit.evaluation.table import paired, read_table, sample, write_table


@pytest.mark.parametrize("ending", ["csv", "parquet", "CSV", "Parquet"])
def test_what_is_written_is_read_back_to_the_last_digit(tmp_path, ending):
    table = made_table(50)

    write_table(table, tmp_path / "out" / f"told.{ending}")
    again = read_table(tmp_path / "out" / f"told.{ending}")

    pd.testing.assert_frame_equal(again.rows, table.rows, check_dtype=False)
    assert np.array_equal(again.age_distribution, table.age_distribution)
    assert score_table(again) == score_table(table)


def test_the_least_table_has_a_label_and_one_prediction(tmp_path):
    pd.DataFrame({"gender": [0, 1], "age": [30, 40], "age_years": [33.0, 40.0]}).to_csv(tmp_path / "a.csv")

    scores = score_table(read_table(tmp_path / "a.csv"), resamples=20)

    assert scores["age_mae_years"] == 1.5
    assert scores["gender_accuracy"] is None
    assert scores["ece"] is None


def test_rows_may_end_in_a_comma_that_the_heading_lacks(tmp_path):
    (tmp_path / "a.csv").write_text("gender,age,age_years\n0,30,33,\n1,40,40,\n")

    assert read_table(tmp_path / "a.csv").genders.tolist() == [0, 1]


def test_a_model_that_tells_only_gender_has_no_score_of_age(tmp_path):
    pd.DataFrame({"gender": [0, 1], "age": [30, 40], "female_probability": [0, 1]}).to_csv(tmp_path / "a.csv")

    scores = score_table(read_table(tmp_path / "a.csv"))

    assert scores["gender_accuracy"] == 1.0
    assert scores["age_mae_years"] is None
    assert scores["age_group_accuracy"] is None


GOOD = {"gender": [0, 1], "age": [30, 40], "female_probability": [0.1, 0.9], "age_years": [33, 40]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gender": [0, 2]}, "row 1: gender must be a number in 0..1, got"),
        ({"gender": [0, 0.5]}, r"row 1: gender must be 0 \(male\) or 1 \(female\)"),
        ({"age": [25.9, 40]}, "row 0: age_lo is a label, and those are whole years"),
        ({"female_probability": [0.1, 7]}, "row 1: female_probability must be a number in 0..1, got 7.0"),
        ({"female_probability": [None, 0.5]}, "row 0: female_probability must be a number"),
        ({"age_years": ["old", 3]}, "row 0: age_years must be a number in 0..120, got 'old'"),
        ({"age_lo": [5, 9], "age_hi": [5, 8]}, "row 1: age_lo must not exceed age_hi"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_row(tmp_path, change, said):
    pd.DataFrame(GOOD | change).to_csv(tmp_path / "told.csv")

    with pytest.raises(DataError, match=said):
        read_table(tmp_path / "told.csv")


def test_ages_that_are_no_distribution_are_named_with_their_row(tmp_path):
    rounded = np.round(made_table(2).age_distribution, 3)
    for name, row in (("good", rounded[1]), ("bad", 0.4 * rounded[1])):
        distribution = pd.DataFrame(np.stack([rounded[0], row])).add_prefix("age_")
        table = pd.concat([pd.DataFrame(GOOD), distribution], axis="columns")
        table.to_csv(tmp_path / f"{name}.csv")

    assert len(read_table(tmp_path / "good.csv")) == 2
    with pytest.raises(DataError, match=r"row 1: age_0 \.\.\. age_100 must add up to 1, got 0\.39"):
        read_table(tmp_path / "bad.csv")


@pytest.mark.filterwarnings("error")
def test_exact_ages_beside_a_distribution_are_read_without_a_warning(tmp_path):
    distribution = pd.DataFrame(made_table(2).age_distribution).add_prefix("age_")
    pd.concat([pd.DataFrame(GOOD), distribution], axis="columns").to_csv(tmp_path / "told.csv")

    assert read_table(tmp_path / "told.csv").ages_hi.tolist() == [30, 40]


def test_a_missing_column_is_named_with_what_a_table_needs(tmp_path):
    pd.DataFrame(GOOD).drop(columns="age").to_csv(tmp_path / "a.csv")
    pd.DataFrame({"gender": [0], "age": [3]}).to_csv(tmp_path / "b.csv")

    with pytest.raises(DataError, match=r"lacks the columns \['age_hi', 'age_lo'\].*needs gender, age"):
        read_table(tmp_path / "a.csv")
    with pytest.raises(DataError, match="holds no prediction"):
        read_table(tmp_path / "b.csv")
    with pytest.raises(DataError, match=r"nowhere\.csv cannot be read: No such file"):
        read_table(tmp_path / "nowhere.csv")


def test_a_table_of_headings_alone_is_no_table_of_predictions(tmp_path):
    (tmp_path / "a.csv").write_text("gender,age,female_probability,age_years\n")

    with pytest.raises(DataError, match=r"a\.csv holds no face: there is no row below its headings"):
        read_table(tmp_path / "a.csv")


def test_tables_are_matched_by_the_names_of_their_files():
    first = made_table(30)
    second = made_table(30).take(np.random.default_rng(1).permutation(30))

    matched = paired(first.take(np.arange(10, 20)), second)

    assert matched.rows["file"].tolist() == [f"{number}.jpg" for number in range(10, 20)]
    assert np.array_equal(matched.age_distribution, first.age_distribution[10:20])


def test_names_made_of_digits_stay_names(tmp_path):
    table = made_table(30)
    named = replace(table, rows=table.rows.assign(file=[f"{number:04}" for number in range(30)]))
    counted = replace(table, rows=table.rows.assign(file=range(30)))
    for name, written in (("named", named), ("counted", counted)):
        write_table(written, tmp_path / f"{name}.csv")

    again = read_table(tmp_path / "named.csv")

    assert again.rows["file"].tolist() == named.rows["file"].tolist()
    assert len(paired(named, again)) == len(paired(counted, read_table(tmp_path / "counted.csv"))) == 30


def test_tables_of_other_faces_are_refused():
    first, other = made_table(30), made_table(30, seed=4)

    with pytest.raises(DataError, match="row 0: made has the label"):
        paired(first, other)
    with pytest.raises(DataError, match=r"no row for the face '0\.jpg'"):
        paired(first, first.take(np.arange(5, 30)))


def test_a_sample_is_drawn_once_for_a_seed_and_in_order():
    chosen = sample(1000, 50, seed=1)

    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert len(chosen) == 50
    assert np.array_equal(chosen, sample(1000, 50, seed=1))
    assert chosen.max() > 500
    assert sample(7, 50, seed=1).tolist() == list(range(7))
