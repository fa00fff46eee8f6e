"""The bench of how cameras are read: every contender delivers, and the figures are those of pictures."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from clips import write_clip

from toolkit.bench.cameras.cases import CONTENDERS, camera_cases, camera_film
from toolkit.bench.config import CameraBenchConfig
from toolkit.bench.rounds import run_rounds
from toolkit.errors import ConfigError


def measure(film: Path, case: str, *contenders: str, **settings: Any) -> dict[str, Any]:
    """One short round of one case."""
    config = CameraBenchConfig(cases=(case,), contenders=contenders, seconds=0.5, **settings)
    return run_rounds(camera_cases(config, film), CONTENDERS, rounds=1, timeout_s=60)[case]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", frames=60, fps=30, size_wh=(320, 192))


def test_the_command_reads_files_compares_and_leaves_json_and_a_record(tmp_path, monkeypatch):
    from click.testing import CliRunner
    from mlflow import MlflowClient

    from toolkit.cli import cli

    monkeypatch.setattr("toolkit.bench.cameras.cases._FILM_S", 1.0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    few = "bench.camera.cases=[files-4] bench.camera.contenders=[ours,pyav] bench.camera.rounds=1"
    small = "bench.camera.seconds=0.5 bench.camera.width=320 bench.camera.height=192"

    CliRunner().invoke(
        cli,
        ["bench", "camera", *few.split(), *small.split(), "--json", "bench.json"],
        catch_exceptions=False,
    )

    result = json.loads(Path("bench.json").read_text())
    case = result["cases"]["files-4"]
    ours, limit = (case["contenders"][name] for name in ("ours", "pyav"))
    assert min(ours["frames"], limit["frames"]) > 10
    assert case["ratios"]["vs_limit"] == pytest.approx(ours["rate_per_s"] / limit["rate_per_s"], rel=0.01)
    record = MlflowClient(f"sqlite:///{tmp_path}/runs/mlflow.db").get_run(result["mlflow_run_id"])
    assert record.data.metrics["bench/camera/files-4/ours/rate_per_s"] == ours["rate_per_s"]


def test_cameras_deliver_at_their_own_pace_and_a_lower_cost_is_better(clip):
    case = measure(clip, "rtsp-8", "ours", "pyav")

    told = case["contenders"]["ours"]
    assert told["rate_per_s"] == pytest.approx(8 * 30, rel=0.35)
    assert told["slowest_share"] > 0.5
    assert case["figure"] == "cpu_ms_per_frame"
    limit = case["contenders"]["pyav"]["cpu_ms_per_frame"]
    assert case["ratios"]["vs_limit"] == pytest.approx(told["cpu_ms_per_frame"] / limit, rel=0.05)


def test_a_camera_is_opened_as_often_as_asked_for(clip):
    told = measure(clip, "open", "ours", openings=3)["contenders"]["ours"]

    assert told["openings"] == 3
    assert 0 < told["p50_ms"] <= told["p99_ms"] < 5000


def test_vidgear_reads_too(clip):
    if CONTENDERS["vidgear"].missing():
        pytest.skip("needs pip install 'toolkit[peers]'")

    assert measure(clip, "files-4", "vidgear")["contenders"]["vidgear"]["frames"] > 0


def test_a_peer_that_is_not_installed_is_said_to_be_missing(clip, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    case = measure(clip, "open", "vidgear")

    assert "not installed" in case["contenders"]["vidgear"]["missing"]


def test_the_film_has_the_size_and_the_rate_that_were_asked_for(monkeypatch):
    import av

    monkeypatch.setattr("toolkit.bench.cameras.cases._FILM_S", 0.4)
    with camera_film(CameraBenchConfig(width=640, height=368, fps=10)) as film, av.open(str(film)) as opened:
        stream = opened.streams.video[0]
        assert (stream.width, stream.height, float(stream.average_rate)) == (640, 368, 10.0)
        assert sum(1 for _ in opened.decode(video=0)) == 4


def test_a_name_that_is_not_there_is_refused(clip):
    with pytest.raises(ConfigError, match="no case 'rtsp'; did you mean 'rtsp-8'"):
        camera_cases(CameraBenchConfig(cases=("rtsp",)), clip)
