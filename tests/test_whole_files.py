"""A file under its name is a whole one, whatever befalls its writing."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

import av
import pytest

from toolkit.whole_files import whole_file


def test_a_file_takes_its_place_when_all_of_it_is_there(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")

    with whole_file(path) as part:
        part.write_text("new")
        during = path.read_text()

    assert (during, path.read_text(), [*tmp_path.iterdir()]) == ("old", "new", [path])


def test_what_was_there_stays_when_the_writing_is_broken_off(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")

    with suppress(KeyboardInterrupt), whole_file(path) as part:
        part.write_text("ne")
        raise KeyboardInterrupt

    assert (path.read_text(), [*tmp_path.iterdir()]) == ("old", [path])


def test_an_error_that_names_its_file_for_good_is_told_as_it_is(tmp_path):
    with pytest.raises(av.error.OSError, match="No space left"), whole_file(tmp_path / "film.mp4"):
        raise av.error.OSError(28, "No space left on device", "film.mp4.part")


def test_a_link_such_as_that_of_standard_output_is_written_in_place(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)

    with whole_file(link) as part:
        part.write_text("new")

    assert link.is_symlink()
    assert target.read_text() == "new"


@pytest.mark.parametrize("words", ["data draw FILE.parquet", "scene list --json FILE.json"])
def test_a_command_without_room_for_its_file_leaves_the_one_that_was_there(tmp_path, words):
    path = tmp_path / words.split()[-1]
    path.write_text("old")
    # No file may become larger than nothing, as on a disk that is full.
    command = [
        "bash",
        "-c",
        'ulimit -f 0; exec "$@"',
        "bash",
        sys.executable,
        "-m",
        "toolkit.cli",
        *words.split(),
    ]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert path.name in ended.stderr.splitlines()[-1]
    assert (path.read_text(), [*tmp_path.iterdir()]) == ("old", [path])
