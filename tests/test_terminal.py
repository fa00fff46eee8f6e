"""What commands print is what they were given."""

from __future__ import annotations

import pytest

from toolkit.terminal import out, plain


@pytest.mark.parametrize(
    "text", [r"films\[old]\hall.mp4", r"films\\[old]", r"films\[2024]", "[/x] [b]", "a[b", "a\\"]
)
def test_brackets_and_backslashes_are_printed_as_they_are(text, capsys):
    out.print(plain(text), soft_wrap=True)

    assert capsys.readouterr().out == f"{text}\n"
