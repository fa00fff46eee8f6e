"""Messages that help."""

from __future__ import annotations

import pytest
from fakes import Speechless

from toolkit.errors import did_you_mean, text_of


def test_the_nearest_name_is_told_or_all_of_a_few() -> None:
    assert did_you_mean("blurr", ["jpeg", "blur"]) == "did you mean 'blur'?"
    assert did_you_mean("zzz", ["jpeg", "blur"]) == "known: blur, jpeg"


def test_of_many_names_some_from_all_over_are_told() -> None:
    names = [f"{letter}{number:03}" for letter in "abc" for number in range(500)]

    told = did_you_mean("zzz", names)

    assert "a000" in told
    assert "b0" in told
    assert "c4" in told
    assert told.endswith(" and 1,460 more")


@pytest.mark.parametrize("write", [str, repr])
def test_an_error_that_cannot_say_what_it_is_has_a_text_all_the_same(write) -> None:
    assert text_of(ValueError("x"), write) == write(ValueError("x"))
    assert text_of(Speechless(), write) == "<Speechless without a text: its own raises RuntimeError>"
