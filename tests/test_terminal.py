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


def test_no_emoji_is_drawn_in_an_address(capsys):
    address = "rtsp://[fe80::b:1]/door"

    out.print(plain(address), soft_wrap=True)
    out.print(address, markup=False, soft_wrap=True)

    assert capsys.readouterr().out == f"{address}\n{address}\n"
