"""What the README and the pages show is as it stands there."""

import re
import shlex
import tomllib
from pathlib import Path

import click
import numpy as np
import pytest
from clips import write_clip

from toolkit.cli import cli
from toolkit.records import Detection, Prediction

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PYTHON = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def test_the_ten_lines_print_what_each_camera_did(tmp_path, monkeypatch, capsys):
    write_clip(tmp_path / "hall.mp4")
    monkeypatch.chdir(tmp_path)

    exec(PYTHON[0], {})

    assert capsys.readouterr().out == "hall 30 frames, 0 persons\n"


def test_cameras_queues_and_batches_work_by_themselves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {
        "frame": np.zeros((120, 160, 3), np.uint8),
        **{"x": 10, "y": 10, "w": 60, "h": 60},
        "model": lambda items: [-item for item in items],
        "items": range(3),
    }

    # The example's address leads nowhere: the camera is refused, and the rest goes on.
    exec(PYTHON[1], names)

    assert names["task"] == {"id": 1, "type": "analysis"}
    assert names["results"] == [0, -1, -2]
    names["processor"].close()
    names["queue"].close()


def test_a_reader_who_comes_from_a_capture_loop_can_run_the_page(tmp_path, monkeypatch):
    told = []
    names = {
        "detect": lambda pictures: [[Detection((10.0, 10.0, 60.0, 60.0), 0.9)] for _ in pictures],
        "model": lambda crops: [Prediction("female", 0.9, 40.0, 8.0) for _ in crops],
        "show": told.append,
    }

    _run_page("coming-from-videocapture.md", tmp_path, monkeypatch, names)

    cameras = names["street"].statistics()["cameras"]
    assert {name: of_one["analysed"] for name, of_one in cameras.items()} == {"door": 30, "hall": 30}


def test_a_reader_who_comes_from_rq_can_run_the_page(tmp_path, monkeypatch):
    (tmp_path / "my_tasks.py").write_text("handlers = {'analyse': lambda task: task['person_id']}\n")
    names = {"frame": np.zeros((12, 16, 3), np.uint8)}

    _run_page("coming-from-rq-celery.md", tmp_path, monkeypatch, names)

    assert names["handle"].result(timeout=0) == 7
    names["queue"].close()


def test_a_reader_who_comes_from_inference_can_run_the_page(tmp_path, monkeypatch):
    seen = []

    _run_page("coming-from-roboflow-inference.md", tmp_path, monkeypatch, {"on_result": seen.append})

    assert sorted(result.frame.camera for result in seen) == ["door"] * 30 + ["hall"] * 30


def _run_page(page, folder, monkeypatch, names):
    """Run the block of a page that is ours, with two clips in place of its cameras."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text("utf-8"), re.DOTALL)
    [ours] = [block for block in blocks if "from toolkit import" in block]
    for name in ("door", "hall"):
        write_clip(folder / f"{name}.mp4")
    monkeypatch.chdir(folder)
    for theirs, clip in (('"rtsp://door.example/1"', '"door.mp4"'), ('"hall": 0', '"hall": "hall.mp4"')):
        ours = ours.replace(theirs, clip)
    exec(ours, names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_shown_is_understood(page):
    for line in _commands_of(page):
        # As a shell takes it apart; the command line's own parser says whether it is right.
        _, *words = shlex.split(line, comments=True)
        command, context = cli, click.Context(cli)
        while isinstance(command, click.Group) and words and words[0] in command.commands:
            name, *words = words
            command = command.commands[name]
        if not {"--help", "-h"} & set(words):
            assert not isinstance(command, click.Group), line
            command.make_context(command.name, words, parent=context)


def _shell_lines_of(page: Path) -> list[str]:
    """Every line of its shell blocks."""
    return "\n".join(re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)).splitlines()


def _commands_of(page: Path) -> list[str]:
    """Lines of shell blocks that call ``toolkit`` and hand nothing on."""
    return [line for line in _shell_lines_of(page) if line.startswith("toolkit ") and " | " not in line]


def test_every_make_target_and_extra_shown_is_there():
    script = (ROOT / "run.py").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)

    # In shell blocks and between backticks: prose may say "make one" at the start of a line.
    shell = "\n".join(line for page in PAGES for line in _shell_lines_of(page))
    targets = {*re.findall(r"`make (\w+)", text), *re.findall(r"(?m)^make (\w+)", shell)}
    assert {"demo", "test"} <= targets <= set(re.findall(r"(?m)^  (\w+)  ", script))
    assert set(re.findall(r"toolkit\[(\w+)\]", text)) <= set(project["optional-dependencies"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_a_page_points_to_is_there(page):
    text = page.read_text(encoding="utf-8")

    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []
