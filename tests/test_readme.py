"""What the README shows runs as it stands there."""

import re
from pathlib import Path

import numpy as np
from clips import write_clip

ROOT = Path(__file__).parents[1]
PYTHON, SHELL = (
    re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    for language in ("python", "sh")
)


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


def test_every_command_shown_is_a_command_and_every_option_its_own():
    from toolkit.cli import cli

    for line in "\n".join(SHELL).splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["toolkit"]:
            command = cli.commands[words[1]]
            command = getattr(command, "commands", {}).get(words[2], command)
            known = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= known, line


def test_every_file_the_readme_points_to_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]

    assert [link for link in links if not (ROOT / link).exists()] == []
