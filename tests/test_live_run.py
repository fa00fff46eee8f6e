"""How a live run ends is how MLflow has it."""

import pytest

from toolkit.errors import ConfigError
from toolkit.experiment import Experiment, LiveConfig
from toolkit.live.camera import CameraConfig
from toolkit.live_run import run_live
from toolkit.notebook.runs import newest_runs


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


def test_an_experiment_without_cameras_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no part 'live'"):
        run_live(Experiment("empty"), tmp_path)


def test_faces_are_cut_with_the_margin_that_suits_the_shipped_model():
    from toolkit.live.pipeline import PipelineConfig
    from toolkit.models.preprocess import LIVE_CROP_MARGIN

    assert PipelineConfig().crop_margin == LIVE_CROP_MARGIN
