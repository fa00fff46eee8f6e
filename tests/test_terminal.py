"""What commands print is what they were given."""

from __future__ import annotations

import json
import subprocess
import sys

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


def test_a_reader_that_has_gone_away_costs_no_json(tmp_path):
    command = [sys.executable, "-m", "toolkit.cli", "scene", "list", "--json", "scenes.json"]

    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()

    assert (process.wait(60), said) == (0, b"")
    assert "hall" in json.loads((tmp_path / "scenes.json").read_text())
