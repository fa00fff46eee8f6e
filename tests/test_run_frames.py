"""Recorded runs as frames, from a real store."""

import pandas as pd
import pytest

from toolkit.errors import ConfigError, StoreUnavailable
from toolkit.run_frames import (
    best_runs,
    camera_history,
    compare_runs,
    find_runs,
    metric_history,
    pareto_front,
    run_frame,
    smaller_is_better,
    with_children,
)
from toolkit.tracking import RunRecord

RUNS = {
    "small": ({"batch": 1}, {"live/fps": 10.0, "live/latency_p99_ms": 20.0}),
    "large": ({"batch": 32}, {"live/fps": 90.0, "live/latency_p99_ms": 80.0}),
    "worse": ({"batch": 33}, {"live/fps": 80.0, "live/latency_p99_ms": 90.0}),
    "other": ({"batch": 2}, {"eval/gender_accuracy": 0.9}),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory, new_store):
    """A store with four live runs, and a sweep of two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path_factory.mktemp("runs")))
        for name, (params, metrics) in RUNS.items():
            record = RunRecord("live", name, params | {"detector": "haar"})
            record.log_metrics(metrics, step=1)
            record.close()
        parent = RunRecord("train", "sweep", {})
        tags = {"mlflow.parentRunId": parent.wait_for_id()}
        for name in ("one", "two"):
            RunRecord("train", name, {}, tags).close()
        parent.close()
        yield


@pytest.fixture(autouse=True)
def in_a_store(store):
    """All of these tests read it."""


def test_a_frame_has_a_row_for_each_run_newest_first():
    runs = run_frame("live")

    assert list(runs["run"]) == ["other", "worse", "large", "small"]
    assert runs.iloc[-1]["params.batch"] == "1"
    assert runs.iloc[-1]["live/fps"] == 10.0
    assert pd.isna(runs.iloc[0]["live/fps"])
    assert list(run_frame(newest=2)["run"]) == ["two", "one"]


def test_an_experiment_that_is_not_there_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'live'"):
        run_frame("lvie")


def test_runs_are_found_by_name_or_by_the_beginning_of_their_id():
    small = find_runs(["small"]).index[0]

    assert list(find_runs([small[:8], "large"])["run"]) == ["small", "large"]
    with pytest.raises(ConfigError, match="did you mean 'small'"):
        find_runs(["smal"])


def test_what_runs_have_in_common_is_left_out_of_their_comparison():
    table = compare_runs(find_runs(["small", "large"]))

    assert list(table.columns) == ["small", "large"]
    assert table.loc["params.batch"].tolist() == ["1", "32"]
    assert table.loc["live/fps"].tolist() == [10.0, 90.0]
    assert "params.detector" not in table.index
    assert "eval/gender_accuracy" not in table.index


def test_a_sweep_stands_for_its_trainings():
    assert set(with_children(find_runs(["sweep", "small"]))["run"]) == {"one", "two", "small"}


def test_the_best_run_goes_by_what_the_metric_means():
    runs = run_frame()

    assert list(best_runs(runs, "live/fps")["run"]) == ["large", "worse", "small"]
    assert next(iter(best_runs(runs, "live/latency_p99_ms")["run"])) == "small"
    assert next(iter(best_runs(runs, "live/fps", lowest=True)["run"])) == "small"
    with pytest.raises(ConfigError, match=r"no run has a metric 'live/fsp'; perhaps live/fps"):
        best_runs(runs, "live/fsp")


@pytest.mark.parametrize("metric", ["live/latency_p99_ms", "eval/age_mae_years", "train/loss", "eval/ece"])
def test_less_is_better_of_times_and_errors(metric):
    assert smaller_is_better(metric)
    assert not smaller_is_better("val/gender_accuracy")
    assert not smaller_is_better("train/images_per_s")


def test_a_run_is_on_the_front_unless_another_beats_it_in_both():
    runs = run_frame("live").set_index("run")

    front = pareto_front(runs, ["live/fps", "live/latency_p99_ms"])

    assert front.to_dict() == {"small": True, "large": True, "worse": False, "other": False}


def test_a_run_is_read_back_over_time(tmp_path, monkeypatch, new_store):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path))
    record = RunRecord("live", "timed", {})
    for second, read, analysed in ((1, 10, 10), (2, 20, 14), (3, 20, 14)):
        counts = {"read": read, "analysed": analysed, "skipped": read - analysed, "failed": 0}
        record.log_metrics({f"live/door/{name}": count for name, count in counts.items()}, step=second)
    run_id = record.close()

    history = metric_history(run_id, "live/door/read")
    counts = camera_history(run_id)

    assert history["value"].tolist() == [10.0, 20.0, 20.0]
    assert counts["analysed"].tolist() == [10.0, 4.0, 0.0]
    assert counts["skipped"].tolist() == [0.0, 6.0, 0.0]
    assert counts[["from_s", "to_s"]].to_numpy().tolist() == [[0, 1], [1, 2], [2, 3]]


def test_a_run_without_cameras_has_an_empty_history():
    assert camera_history(find_runs(["small"]).index[0]).empty


def test_who_only_looks_makes_no_store(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")

    with pytest.raises(StoreUnavailable, match=r"no run is recorded yet.*toolkit demo"):
        run_frame()
    assert not (tmp_path / "mlflow.db").exists()


def test_a_foreign_file_is_no_store(tmp_path, monkeypatch):
    (tmp_path / "mlflow.db").write_text("these are words, and no tables at all, " * 20)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")

    with pytest.raises(StoreUnavailable, match="the file is something else"):
        run_frame()


def test_a_store_of_an_older_mlflow_is_told_how_to_become_newer(tmp_path, monkeypatch, new_store):
    import sqlite3

    uri = new_store(tmp_path)
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        store.execute("update alembic_version set version_num = '451aebb31d03'")
    store.close()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)

    with pytest.raises(StoreUnavailable, match=f"mlflow db upgrade {uri}"):
        run_frame()


def test_an_address_where_nobody_answers_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    with pytest.raises(StoreUnavailable, match="no MLflow server answers there") as told:
        run_frame()
    assert "secret" not in str(told.value)
