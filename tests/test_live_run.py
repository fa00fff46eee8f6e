"""How a live run ends is how MLflow has it; what it counts, and what it does not wait for."""

import socket
import threading

import cv2
import pytest
from fakes import EchoModel, FixedDetector, Opener, picture

from toolkit import live_run
from toolkit.errors import ConfigError
from toolkit.experiment import Experiment, LiveConfig
from toolkit.live.camera_config import CameraConfig
from toolkit.live.pipeline import LivePipeline
from toolkit.live.zones import LineConfig, ZoneConfig
from toolkit.live_run import LiveRun, run_live
from toolkit.notebook.runs import newest_runs
from toolkit.run_frames import metric_history


@pytest.fixture
def experiment(clip_path, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    cameras, camera = {"door": str(clip_path)}, CameraConfig(realtime=True, loop=True)
    return Experiment("ends", live=LiveConfig(cameras, duration_s=20, detector="haar", camera=camera))


def raising(error: BaseException):
    def on_progress(statistics, elapsed_s):
        raise error

    return on_progress


def test_ctrl_c_ends_a_run_with_its_report(experiment, tmp_path):
    report = run_live(experiment, tmp_path, raising(KeyboardInterrupt()))

    assert newest_runs()["status"].tolist() == ["KILLED"]
    assert newest_runs()["run_id"].tolist() == [report.statistics["mlflow_run_id"]]
    assert report.statistics["elapsed_s"] < 10


def test_a_run_whose_display_fails_is_recorded_as_failed(experiment, tmp_path):
    with pytest.raises(ValueError, match="no screen"):
        run_live(experiment, tmp_path, raising(ValueError("no screen")))

    assert newest_runs()["status"].tolist() == ["FAILED"]


def test_ctrl_c_while_the_cameras_are_opened_leaves_nothing_running(tmp_path, monkeypatch):
    def interrupted(pipeline):
        raise KeyboardInterrupt

    monkeypatch.setattr(live_run, "prepare_store", lambda: None)
    monkeypatch.setattr(live_run, "_refuse_if_none_is_there", interrupted)
    opener, live = Opener(True, door=[[threading.Event()]]), LiveConfig({"door": "door"})
    with pytest.raises(KeyboardInterrupt):
        LiveRun(Experiment("early", live=live), tmp_path, make=street_of(opener)).start()

    assert opener.opened[0].is_closed.is_set()


def test_an_experiment_without_cameras_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no part 'live'"):
        run_live(Experiment("empty"), tmp_path)


def test_faces_are_cut_with_the_margin_that_suits_the_shipped_model():
    from toolkit.live.pipeline import PipelineConfig
    from toolkit.models.preprocess import LIVE_CROP_MARGIN

    assert PipelineConfig().crop_margin == LIVE_CROP_MARGIN


def fake_street(**scripts):
    """Makes pipelines over scripted cameras."""
    return street_of(Opener(**scripts))


def street_of(opener: Opener):
    parts = {"detect": FixedDetector(), "predict": EchoModel(), "opener": opener}
    return lambda config, listeners: LivePipeline(config.cameras, listeners=listeners, **parts)


def finished(run: LiveRun):
    run.start()
    while not run.wait(0.05):
        pass
    return run.finish()


def test_a_store_that_never_answers_takes_no_frame_from_the_street(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        live = LiveConfig({"door": "door"})
        make = fake_street(door=[[picture(n % 200) for n in range(300)]])
        report = finished(LiveRun(Experiment("held", live=live), tmp_path, make=make))

    assert report.statistics["cameras"]["door"]["analysed"] == 300
    assert report.statistics["mlflow_run_id"] is None
    assert list((tmp_path / "runs").glob("unsent-held-*.jsonl"))


def test_a_run_whose_pictures_cannot_be_saved_is_recorded_without_them(
    tmp_path, new_store, monkeypatch, caplog
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path))
    (tmp_path / "pictures").write_text("no folder")
    make = fake_street(door=[[picture(1)] * 3])
    run = LiveRun(
        Experiment("full", live=LiveConfig({"door": "door"})), tmp_path / "pictures" / "door", make=make
    )

    report = finished(run)

    assert report.pictures == {}
    [told] = [r for r in caplog.records if "leaves no sample picture: " in r.message]
    assert "Not a directory" in told.message
    assert told.exc_info is None
    assert report.statistics["cameras"]["door"]["analysed"] == 3
    assert newest_runs()["status"].tolist() == ["FINISHED"]


def test_the_latency_of_each_second_is_recorded_and_none_where_nothing_came(tmp_path, new_store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path))
    make = fake_street(door=[[*[picture(1)] * 3, threading.Event()]])
    run = LiveRun(Experiment("held", live=LiveConfig({"door": "door"})), tmp_path, make=make)

    run.start()
    while run.elapsed_s < 2.5:
        run.wait(0.05)
    report = run.finish()

    history = metric_history(report.statistics["mlflow_run_id"], "live/latency_p50_ms").groupby("metric")
    assert len(history.get_group("live/latency_p50_ms_now")) == 1, "three pictures in the first second"
    assert len(history.get_group("live/latency_p50_ms")) == 3, "each second, and the end"


def test_zones_and_lines_are_counted_recorded_and_drawn(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    zones = {"door": {"all": ZoneConfig(((0, 0), (1, 0), (1, 1), (0, 1)))}}
    lines = {"door": {"gate": LineConfig((0.9, 1.0), (0.9, 0.0))}}
    live = LiveConfig({"door": "door"}, zones=zones, lines=lines)
    make = fake_street(door=[[picture(n, width=256, height=192) for n in range(6)]])

    report = finished(LiveRun(Experiment("places", live=live), tmp_path, make=make))

    door = report.statistics["cameras"]["door"]
    assert door["zones"]["all"] == {"inside": 1, "entered": 0, "left": 0, "persons": 1}
    assert door["lines"]["gate"] == {"to_left": 0, "to_right": 0}
    assert report.statistics["resources"]["cpu_s"] > 0
    from mlflow import MlflowClient

    run = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").get_run(report.statistics["mlflow_run_id"])
    assert run.data.metrics["live/door/all/persons"] == 1
    assert run.data.metrics["live/stage/detect_mean_ms"] > 0
    saved = cv2.imread(str(report.pictures["door"]))
    assert saved[150:180, 228:233].max() > 60 > saved[150:180, 60:200].max(), "the line"
