"""Splits: whole groups, the stricter one first."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from toolkit.data.splits import assign_splits
from toolkit.errors import DataError


def names(count: int) -> list[str]:
    return [f"{number}.jpg" for number in range(count)]


def test_the_data_sets_own_splits_are_kept() -> None:
    assert assign_splits(np.arange(3), ["train", "val", "test"], names(3)) == ["train", "val", "test"]


def test_of_pictures_alike_those_of_the_split_that_is_looked_at_least_stay_and_others_are_left_out() -> None:
    given = ["train", "test", "train", "val", "train", ""]

    splits = assign_splits(np.array([0, 0, 0, 3, 3, 3]), given, names(6))

    assert splits == ["", "test", "", "val", "", "val"]


def test_pictures_without_a_split_are_dealt_out_by_groups() -> None:
    groups = np.arange(5000) // 2 * 2

    splits = assign_splits(groups, [""] * 5000, names(5000))

    assert splits[::2] == splits[1::2]
    shares = {split: count / 5000 for split, count in Counter(splits).items()}
    assert shares == pytest.approx({"train": 0.7, "val": 0.1, "test": 0.2}, abs=0.02)


def test_more_pictures_do_not_move_those_there_were() -> None:
    few = assign_splits(np.arange(100), [""] * 100, names(100))

    assert assign_splits(np.arange(200), [""] * 200, names(200))[:100] == few


def test_where_there_is_a_test_split_the_rest_gives_only_validation() -> None:
    splits = assign_splits(np.arange(1000), ["test"] + [""] * 999, names(1000))

    assert splits.count("test") == 1
    assert 70 < splits.count("val") < 130


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(DataError, match=r"0\.jpg: .*one of train, val, test, got 'dev'"):
        assign_splits(np.arange(1), ["dev"], names(1))
