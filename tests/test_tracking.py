"""Runs in a real MLflow store."""

import json

import pytest

from toolkit.tracking import RunRecord, flatten, machine, run_name, store_uri


@pytest.fixture
def client(tmp_path, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store/mlflow.db")
    return MlflowClient(tracking_uri=store_uri())


def test_a_run_holds_settings_metrics_tables_files_and_the_machine(client, tmp_path):
    (tmp_path / "picture.jpg").write_bytes(b"jpeg")
    record = RunRecord("live", "first", {"batch": {"size": 8}})
    record.log_metrics({"live/fps": 25.0, "live/unknown": None}, step=3)
    record.log_text("question: why\n", "experiment.yaml")
    record.log_file(tmp_path / "picture.jpg", "pictures")
    record.log_table([{"camera": "door", "age_years": 30.5}], "labels.json")
    run = client.get_run(record.close())

    assert run.info.status == "FINISHED"
    assert run.data.params == {"batch.size": "8"}
    assert run.data.metrics == {"live/fps": 25.0}
    assert run.data.tags["machine.cores"] == machine()["machine.cores"]
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert names == {"experiment.yaml", "pictures", "labels.json"}


def test_two_runs_of_one_kind_share_an_experiment(client):
    ids = [RunRecord("train", name, {}).close() for name in ("one", "two")]

    assert len({client.get_run(run_id).info.experiment_id for run_id in ids}) == 1


def test_recording_never_waits_for_the_store(client):
    record = RunRecord("live", "quick", {})

    for step in range(200):
        record.log_metrics({"live/fps": 1.0}, step)

    assert record.run_id is None, "200 calls took longer than the start of the run they belong to"
    record.close("KILLED")
    assert len(client.get_metric_history(record.run_id, "live/fps")) == 200


def test_a_store_that_does_not_answer_costs_the_record_and_not_the_run(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/a-file/mlflow.db")
    (tmp_path / "a-file").write_text("in the way")
    record = RunRecord("live", "lost", {})
    record.log_metrics({"live/fps": 25.0}, step=1)

    assert record.close() is None
    assert caplog.text.count("does not take the data") == 1
    lines = (tmp_path / "runs" / "unsent-lost.jsonl").read_text().splitlines()
    assert json.loads(lines[1])["metrics"] == {"live/fps": 25.0}


def test_nested_settings_become_dotted_names():
    assert flatten({"a": {"b": {"c": 1}}, "d": [2]}) == {"a.b.c": 1, "d": [2]}


def test_the_store_is_a_sqlite_file_in_runs_unless_the_environment_names_one(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)

    assert store_uri() == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert run_name("door").startswith("door-")
