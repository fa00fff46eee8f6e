"""What data sets write for gender and age, and what it means."""

from __future__ import annotations

import pytest

from toolkit.data.labels import read_age, read_gender
from toolkit.errors import DataError


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("31", (31, 31)),
        ("31.0", (31, 31)),
        ("20-29", (20, 29)),
        ("(25, 32)", (25, 32)),
        ("70+", (70, 100)),
        ("60 and over", (60, 100)),
        ("over 60", (60, 100)),
        ("≥70", (70, 100)),
        ("under 20", (0, 19)),
        ("<3", (0, 2)),
        ("4 to 6", (4, 6)),
        ("more than 70", (70, 100)),
        ("116", (116, 116)),
        ("", (0, 100)),
        ("None", (0, 100)),
    ],
)
def test_an_age_is_read_however_it_is_written(text: str, years: tuple[int, int]) -> None:
    assert read_age(text, "row 1") == years


@pytest.mark.parametrize("text", ["old", "18 months", "-5", "1e2", "25 -", "25.9", "20-29-39"])
def test_an_age_that_is_none_is_refused_by_its_row(text: str) -> None:
    with pytest.raises(DataError, match=rf"row 7 .*31, 20-29.*got '{text}'"):
        read_age(text, "row 7 (a.jpg)")


@pytest.mark.parametrize(("text", "gender"), [("m", 0), ("Male", 0), ("0", 0), (" F ", 1), ("female", 1)])
def test_a_gender_is_read_however_it_is_written(text: str, gender: int) -> None:
    assert read_gender(text, "row 1") == gender


def test_a_gender_that_is_neither_is_refused_by_its_row() -> None:
    with pytest.raises(DataError, match=r"row 7: gender must be male or female .*got 'u'"):
        read_gender("u", "row 7")
