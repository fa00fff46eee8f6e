"""Messages that help."""

from __future__ import annotations

from toolkit.errors import did_you_mean


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
