"""Runs as a notebook asks for them, and as pandas frames."""

import pytest

from toolkit.errors import StoreUnavailable
from toolkit.notebook.runs import (
    camera_table,
    live_experiment,
    newest_runs,
    place_table,
    rates_of_run,
    stage_table,
)
from toolkit.tracking import RunRecord

CAMERA = {
    "state": "live",
    "reason": "",
    "causes": {"replaced": 2, "ValueError": 1},
    "read": 10,
    "analysed": 6,
    "skipped": 2,
    "failed": 1,
    "in_flight": 1,
    "frames_per_s": 12.0,
    "frames_per_s_now": 15.0,
    "latency_ms": {"p50": 10.0, "p95": 20.0, "p99": 30.0},
    "persons": 3,
}


def test_the_experiment_of_the_environment_comes_first(tmp_path, monkeypatch):
    path = tmp_path / "mine.yaml"
    path.write_text("live: {cameras: {door: door.mp4}, duration_s: 5}")
    monkeypatch.setenv("TOOLKIT_EXPERIMENT", str(path))

    experiment = live_experiment()

    assert (experiment.name, experiment.live.cameras) == ("mine", {"door": "door.mp4"})


def test_without_one_the_demo_plays_in_a_loop(data_dir, monkeypatch):
    monkeypatch.delenv("TOOLKIT_EXPERIMENT", raising=False)

    live = live_experiment().live

    assert len(live.cameras) == 4
    assert live.camera.loop
    assert live.camera.realtime


def test_the_table_of_cameras_shows_where_the_frames_went():
    row = camera_table({"cameras": {"door": CAMERA}}).loc["door"]

    assert row["read"] == row["analysed"] + row["skipped"] + row["failed"] + row["in flight"]
    assert (row["frames/s"], row["p99 ms"], row["persons"]) == (12.0, 30.0, 3)
    assert row["remarks"] == "2 replaced; 1 ValueError"
    assert camera_table({"cameras": {"door": CAMERA}}, now=True).loc["door", "frames/s"] == 15.0


def test_a_camera_that_is_not_live_has_its_reason_in_the_table():
    lost = CAMERA | {"state": "retrying", "reason": "no route to host", "causes": {}}

    assert camera_table({"cameras": {"door": lost}}).loc["door", "remarks"] == "no route to host"


def test_stages_and_places_have_a_row_each():
    stage = {"count": 3, "total_s": 0.06, "mean_ms": 20.0, "p50_ms": 19.0, "p95_ms": 25.0, "p99_ms": 30.0}
    places = {"zones": {"till": {"inside": 1, "entered": 2, "left": 1, "persons": 2}}, "lines": {}}
    lines = {"zones": {}, "lines": {"gate": {"to_left": 4, "to_right": 5}}}
    statistics = {"stages": {"detect": stage}, "cameras": {"door": places, "hall": lines}}

    assert stage_table(statistics).loc["detect"].tolist() == [3, 20.0, 19.0, 25.0, 30.0]
    assert place_table(statistics).loc["door, zone till", "inside"] == 1
    assert place_table(statistics).loc["hall, line gate", "to right"] == 5
    assert place_table({"cameras": {}}).empty


def test_a_zone_and_a_line_of_one_name_have_a_row_each():
    zone = {"inside": 1, "entered": 2, "left": 1, "persons": 2}
    places = {"zones": {"gate": zone}, "lines": {"gate": {"to_left": 4, "to_right": 5}}}

    table = place_table({"cameras": {"door": places}})

    assert table["entered"].dropna().to_dict() == {"door, zone gate": 2}
    assert table["to left"].dropna().to_dict() == {"door, line gate": 4}


def test_a_recorded_run_is_read_back(tmp_path, monkeypatch, new_store):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path))
    assert newest_runs().empty
    record = RunRecord("live", "first", {})
    for second in (1, 2):
        record.log_metrics({"live/fps_now": 30.0, "live/door/fps_now": 10.0 + second}, step=second)
    record.log_metrics({"live/fps": 30.0})
    run_id = record.close()

    assert rates_of_run(run_id).to_dict("list") == {
        "time_s": [1, 2],
        "camera": ["door", "door"],
        "frames_per_s": [11.0, 12.0],
    }
    assert newest_runs().loc["first", ["run_id", "status", "live/fps"]].tolist() == [run_id, "FINISHED", 30.0]


def test_who_asks_for_the_newest_runs_makes_no_store(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store/mlflow.db")

    with pytest.raises(StoreUnavailable, match="no run is recorded yet"):
        newest_runs()

    assert list(tmp_path.iterdir()) == []


def test_the_rates_of_a_run_that_mlflow_did_not_take_are_told_to_be_elsewhere():
    with pytest.raises(StoreUnavailable, match=r"this run is not in MLflow.* toolkit runs send sends it"):
        rates_of_run(None)


def test_the_newest_runs_come_first(tmp_path, monkeypatch, new_store):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path))
    for name in ("one", "two", "three"):
        RunRecord("live", name, {}).close()

    assert newest_runs(2).index.tolist() == ["three", "two"]
    assert newest_runs(0).index.tolist() == []


def test_an_experiment_whose_runs_are_gone_has_an_empty_table(tmp_path, monkeypatch, new_store):
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path))
    MlflowClient().create_experiment("live")

    table = newest_runs()

    assert table.empty
    assert list(table.columns[:2]) == ["run_id", "status"]
