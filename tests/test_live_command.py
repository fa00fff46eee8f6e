"""``toolkit live`` beside the run: numbers for Prometheus, and why a camera is not live."""

import json
import sys

import pytest

from toolkit import cli_live
from toolkit.cli import main
from toolkit.cli_live import _metrics
from toolkit.cli_live_view import remarks


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


def test_a_run_counts_at_a_line_and_leaves_its_numbers_for_prometheus(
    in_a_folder, clip_path, monkeypatch, capsys
):
    words = ["--every-frame", "-c", f"door={clip_path}", "live.detector=haar", "--json", "live.json"]
    words += ["live.lines.door.gate={start: [0.5, 1], end: [0.5, 0]}", "--metrics-file", "live.prom"]
    monkeypatch.setattr(sys, "argv", ["toolkit", "live", *words])

    with pytest.raises(SystemExit, match="0"):
        main()

    text = (in_a_folder / "live.prom").read_text()
    door = json.loads((in_a_folder / "live.json").read_text())["cameras"]["door"]
    assert f'toolkit_live_frames_total{{camera="door",fate="analysed"}} {door["analysed"]}\n' in text
    assert door["lines"] == {"gate": {"to_left": 0, "to_right": 0}}
    printed = capsys.readouterr().out
    assert "door is ended: the recording is over" in printed
    assert "door, gate: 0 to the left, 0 to the right" in printed


def test_the_newest_numbers_are_served_while_the_run_is_on(capsys):
    import urllib.request

    with _metrics(0, None) as publish:
        url = capsys.readouterr().err.split("metrics: ")[1].strip()
        before = urllib.request.urlopen(url, timeout=5).read()
        publish({"queues": {"crops": 7}})
        after = urllib.request.urlopen(url, timeout=5).read().decode()

    assert before == b""
    assert 'toolkit_live_queue_depth{queue="crops"} 7\n' in after


def test_a_file_is_written_once_a_second_and_at_the_end(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(cli_live.time, "monotonic", lambda: now[0])
    path, seen = tmp_path / "live.prom", []
    with _metrics(None, path) as publish:
        for crops, passed_s in ((1, 0.0), (2, 0.5), (3, 0.6)):
            now[0] += passed_s
            publish({"queues": {"crops": crops}})
            seen.append(path.read_text().splitlines()[-1][-1])
        publish({"queues": {"crops": 4}, "elapsed_s": 1.2})

    assert seen == ["1", "1", "3"]
    assert path.read_text().endswith(" 4\n")


def test_a_file_that_cannot_be_written_is_told_once_and_ends_no_run(tmp_path, caplog):
    (tmp_path / "full").write_text("no folder")
    with _metrics(None, tmp_path / "full" / "live.prom") as publish:
        for elapsed_s in (1.0, 2.0):
            publish({"queues": {"crops": 1}, "elapsed_s": elapsed_s})

    assert caplog.text.count("metrics cannot be written") == 1


def test_a_camera_that_is_not_live_says_why_and_where_its_frames_went():
    door = {"state": "retrying", "reason": "no route to host", "causes": {"replaced": 3, "ValueError": 1}}
    door |= {"zones": {"till": {"inside": 1, "entered": 2, "left": 1, "persons": 2}}, "lines": {}}
    used = {"cpu_cores_used": 1.26, "cpu_cores": 4, "memory_mb": 512.0, "gpus": []}
    statistics = {"cameras": {"door": door}, "stages": {"detect": {"mean_ms": 8.04}}, "resources": used}
    statistics["runtime"] = None

    told = [str(text) for text in remarks(statistics | {"looks": {"saved_fraction": 0.5}})]

    assert told == [
        "door is retrying: no route to host",
        "door lost frames: 3 replaced, 1 ValueError",
        "door, till: 1 inside, 2 came in, 1 went out",
        "mean ms: detect 8.0",
        "1.3 of 4 cores, 512 MB; 50% of the faces needed no new analysis",
    ]
