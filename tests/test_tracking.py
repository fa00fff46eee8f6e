"""Runs in a real MLflow store."""

import json
import socket
import threading

import pytest
from waiting import wait_until

from toolkit.machine import machine
from toolkit.tracking import RunRecord, flatten, prepare_store, run_name, store_uri


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


@pytest.fixture
def silent_server():
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_never_answers_holds_nobody(silent_server, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent_server)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    prepare_store(timeout_s=0.2)
    record = RunRecord("live", "held", {})
    for step in range(1000):
        record.log_metrics({"live/fps": 25.0}, step)
    is_still_asking = any(thread.name == "mlflow" for thread in threading.enumerate())

    assert is_still_asking, "a call came back only when the server had let it go"
    assert record.close(timeout_s=0.1) is None
    unsent = (tmp_path / "runs" / "unsent-held.jsonl").read_text().splitlines()
    assert len([line for line in unsent if "live/fps" in line]) == 1000
    wait_until(lambda: not any(t.name.startswith("mlflow") for t in threading.enumerate()), 30)


def test_metrics_of_some_seconds_are_written_in_one_call_at_their_own_times(client, monkeypatch):
    from mlflow import MlflowClient

    calls = []
    log_batch = MlflowClient.log_batch

    def counted(self, run_id, metrics=(), **others):
        calls.append(len(metrics))
        return log_batch(self, run_id, metrics=metrics, **others)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    record = RunRecord("live", "gathered", {})
    for step in range(30):
        record.log_metrics({f"live/{name}": 1.0 for name in range(50)}, step)
    record.close()

    assert sorted(calls, reverse=True)[:2] == [1000, 500]
    assert len(client.get_metric_history(record.run_id, "live/49")) == 30


def test_a_store_that_fails_is_left_alone_for_a_while(client, monkeypatch, tmp_path):
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    calls = []

    def fail(self, run_id, text, artifact):
        calls.append(artifact)
        raise OSError("no space")

    monkeypatch.setattr(MlflowClient, "log_text", fail)
    record = RunRecord("live", "full", {})
    for name in ("one", "two", "three"):
        record.log_text("x", name)
    record.close()

    assert calls == ["one"]
    assert (tmp_path / "runs" / "unsent-full.jsonl").read_text().count("artifact") == 3
