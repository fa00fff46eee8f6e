"""``toolkit scene`` as a person uses it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from toolkit.cli_scene import scene
from toolkit.errors import ConfigError, SourceError
from toolkit.live.source import open_source
from toolkit.truth import load_truths

_SMALL = "hall?seconds=1&frames_per_s=5&width=320&height=180&face_px=36-60&ways=stand"


def _run(*words: str):
    return CliRunner().invoke(scene, words, catch_exceptions=False)


def test_a_preview_leaves_films_truth_and_a_picture(tmp_path: Path) -> None:
    words = (f"{_SMALL}&cameras=2", "--out", str(tmp_path / "new"), "--json", str(tmp_path / "said.json"))

    result = _run("preview", *words)

    said = json.loads((tmp_path / "said.json").read_text())
    assert result.exit_code == 0
    assert all(word in result.output for word in ("camera-1.mp4", "camera-2.mp4", "truth.json", "2 cameras"))
    assert [Path(film).is_file() for film in said["films"]] == [True, True]
    assert len(load_truths(Path(said["truth"]))["camera-2"]) == said["frames"] == 5
    assert Path(said["picture"]).read_bytes()[:2] == b"\xff\xd8"


def test_the_list_names_every_scene_with_its_settings(tmp_path: Path) -> None:
    result = _run("list", "--json", str(tmp_path / "scenes.json"))

    scenes = json.loads((tmp_path / "scenes.json").read_text())
    assert result.exit_code == 0
    assert {"hall", "street", "night"} <= set(scenes)
    assert scenes["night"]["night"] > 0 == scenes["hall"]["night"]
    assert "face_px" in result.output


def test_a_wrong_word_is_named_with_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'street'"):
        _run("preview", "stret", "--out", str(tmp_path))


def test_what_cannot_be_served_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="without a codec cannot be sent"):
        _run("preview", f"{_SMALL}&codec=none", "--out", str(tmp_path), "--rtsp", "0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(SourceError, match=f"port {port} of 127.0.0.1 cannot be had"):
            _run("preview", _SMALL, "--out", str(tmp_path), "--rtsp", port)


def test_it_is_served_as_cameras_until_ctrl_c(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "toolkit.cli",
        "scene",
        "preview",
        _SMALL,
        "--out",
        str(tmp_path),
        "--rtsp",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        url = next(line.strip() for line in server.stdout if line.startswith("rtsp://127.0.0.1:"))
        source = open_source(url)
        frame = source.read()
        source.close()
        server.send_signal(signal.SIGINT)
        _, said = server.communicate(timeout=30)

    assert frame is not None
    assert frame.image.shape == (180, 320, 3)
    assert server.returncode == 0
    assert "stopped" in said
    assert "Traceback" not in said
