"""Runs in a real MLflow store, and in one that fails."""

import json
import os
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading

import pytest
from mlflow_server import mlflow_server
from waiting import wait_until

from toolkit import tracking
from toolkit.machine import machine
from toolkit.mlflow_store import open_store, shown_by
from toolkit.tracking import RunRecord, add_to_run, flatten, prepare_store, run_name, store_uri
from toolkit.unsent import send, unsent_files


@pytest.fixture
def client(tmp_path, monkeypatch, new_store):
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path / "store"))
    return MlflowClient(tracking_uri=store_uri())


@pytest.fixture
def impatient(monkeypatch):
    """A record that writes, and asks a store that failed again, after a fraction of a second."""
    monkeypatch.setattr(tracking, "_WRITE_EVERY_S", 0.1)
    monkeypatch.setattr(tracking, "_LEFT_ALONE_S", 0.2)


@pytest.fixture
def no_store(tmp_path, monkeypatch):
    """An address where no store can be, until the test has left."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").write_text("in the way")
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/a-file/mlflow.db")
        yield away


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
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [{"path": "labels.json", "type": "table"}]
    table = tmp_path / "store" / "artifacts" / run.info.run_id / "artifacts" / "labels.json"
    assert json.loads(table.read_text()) == {"columns": ["camera", "age_years"], "data": [["door", 30.5]]}


def test_the_pages_show_who_ran_what_and_why(client, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/toolkit", "live", "-c", "door=rtsp://me:secret@door/1"])
    monkeypatch.setenv(tracking.PARENT_RUN, "0123")
    record = RunRecord("live", "first", {"question": "who is at the door?"}, {"kind": "try"})
    tags = client.get_run(record.close()).data.tags

    assert tags["mlflow.source.name"] == "toolkit live"
    assert tags["mlflow.source.git.commit"] == machine()["git.revision"]
    assert tags["mlflow.note.content"] == "who is at the door?"
    assert (tags["mlflow.parentRunId"], tags["kind"]) == ("0123", "try")
    assert "secret" not in str(tags)


def test_the_machine_is_measured_by_the_names_of_mlflows_own_system_metrics(client, impatient):
    record = RunRecord("live", "long", {})
    record.log_metrics({"live/fps": 25.0})
    wait_until(lambda: any(name.startswith("system/") for name in _metrics(client, record)), 30)

    metrics = client.get_run(record.close()).data.metrics
    assert 0 <= metrics["system/cpu_utilization_percentage"] <= 100
    assert metrics["system/system_memory_usage_megabytes"] > 0


def test_mlflow_compares_runs_by_a_metric_of_theirs_and_not_by_the_machines(client, impatient, monkeypatch):
    samples = []
    monkeypatch.setattr(tracking, "system_metrics", lambda: lambda: samples.append(1) or {"system/cpu": 50.0})
    record = RunRecord("train", "compared", {})
    wait_until(lambda: len(samples) > 2, 30)
    record.log_metrics({"val/gender_accuracy": 0.9, "train/loss": 1.0})
    wait_until(lambda: "system/cpu" in _metrics(client, record), 30)
    metrics = client.get_run(record.close()).data.metrics

    # The comparison begins with the first one that all runs have.
    assert next(iter(metrics)) == "val/gender_accuracy"


def test_what_the_machine_did_is_kept_of_a_run_without_metrics_of_its_own(client, impatient, monkeypatch):
    samples = []
    monkeypatch.setattr(tracking, "system_metrics", lambda: lambda: samples.append(1) or {"system/cpu": 50.0})
    record = RunRecord("notebook", "silent", {})
    wait_until(lambda: len(samples) > 1, 30)
    run_id = record.close()

    assert len(client.get_metric_history(run_id, "system/cpu")) == len(samples)


def test_a_model_becomes_a_version_that_is_the_newest_and_if_it_is_the_best(client, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}")
    for score in (0.8, 0.9, 0.7):
        record = RunRecord("train", f"scored-{score}", {})
        record.log_model(tmp_path / "model", "faces", score)
        record.close()

    assert client.get_model_version_by_alias("faces", "newest").version == 3
    best = client.get_model_version_by_alias("faces", "best")
    assert client.get_run(best.run_id).info.run_name == "scored-0.9"


def test_a_run_that_has_ended_can_be_added_to(client, tmp_path):
    (tmp_path / "page.html").write_text("<p>")
    run_id = RunRecord("live", "first", {}).close()

    add_to_run(run_id, {"model/images_per_s": 99.0}, (tmp_path / "page.html",))

    assert client.get_run(run_id).data.metrics == {"model/images_per_s": 99.0}
    assert [file.path for file in client.list_artifacts(run_id)] == ["page.html"]


def test_runs_that_begin_at_the_same_moment_create_one_store(tmp_path):
    begun = textwrap.dedent("""
        import pathlib, time, mlflow
        from toolkit.mlflow_store import experiment_id, open_store
        pathlib.Path(f"ready-{__import__('os').getpid()}").touch()
        while len(list(pathlib.Path().glob("ready-*"))) < 2:
            time.sleep(0.01)
        print(experiment_id(open_store(), "same"))
    """)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/store/mlflow.db"}

    runs = [
        subprocess.Popen(
            [sys.executable, "-c", begun], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    told = [run.communicate(timeout=120)[0].strip() for run in runs]

    assert [run.returncode for run in runs] == [0, 0]
    assert told[0] == told[1] != ""


def test_a_store_whose_making_was_broken_off_is_made_anew(tmp_path, monkeypatch):
    from sqlalchemy import Engine, event

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")

    def break_off(connection, cursor, statement, *rest):
        if statement.startswith("ALTER TABLE"):
            raise KeyboardInterrupt

    event.listen(Engine, "after_cursor_execute", break_off)
    with pytest.raises(KeyboardInterrupt):
        open_store()
    event.remove(Engine, "after_cursor_execute", break_off)

    assert [found.name for found in open_store().search_experiments()] == ["Default"]
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


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


def test_a_store_that_does_not_answer_costs_the_record_and_not_the_run(no_store, tmp_path, caplog):
    record = RunRecord("live", "lost: a/b", {})
    record.log_metrics({"live/fps": 25.0}, step=1)

    assert record.close() is None
    assert caplog.text.count("does not take the data") == 1
    lines = (tmp_path / "runs" / "unsent-lost-a-b.jsonl").read_text().splitlines()
    assert json.loads(lines[1])["metrics"] == {"live/fps": 25.0}


def test_a_run_ends_also_where_neither_the_store_nor_the_disk_takes_its_data(no_store, tmp_path, caplog):
    (tmp_path / "runs").write_text("no folder")
    record = RunRecord("live", "lost", {})
    record.log_metrics({"live/fps": 25.0}, step=1)

    assert record.close() is None
    assert "cannot be kept" in caplog.text


def test_ctrl_c_at_the_end_of_a_run_leaves_it_ended(client, monkeypatch):
    record = RunRecord("evaluate", "hurried", {})
    run_id = record.wait_for_id()
    write, looked = tracking.write_piece, threading.Event()

    def write_interrupted(*piece):
        os.kill(os.getpid(), signal.SIGINT)
        looked.wait(1.0)
        write(*piece)

    monkeypatch.setattr(tracking, "write_piece", write_interrupted)
    with pytest.raises(KeyboardInterrupt):
        record.close("KILLED")
    status = client.get_run(run_id).info.status
    looked.set()

    assert status == "KILLED"


def test_what_was_not_sent_is_sent_later_with_its_files(no_store, tmp_path, new_store):
    from mlflow import MlflowClient

    (tmp_path / "picture.jpg").write_bytes(b"jpeg")
    record = RunRecord("live", "lost", {"seed": 7})
    record.log_metrics({"live/fps": 25.0}, step=1)
    record.log_file(tmp_path / "picture.jpg", "pictures")
    record.close("KILLED")
    (tmp_path / "picture.jpg").unlink()

    no_store.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path / "store"))
    [path] = unsent_files()
    sent = send(path)

    client = MlflowClient(store_uri())
    run = client.get_run(sent.run_id)
    assert (run.info.run_name, run.info.status, run.data.params) == ("lost", "KILLED", {"seed": "7"})
    assert run.data.metrics == {"live/fps": 25.0}
    assert [file.path for file in client.list_artifacts(sent.run_id, "pictures")] == ["pictures/picture.jpg"]
    assert list((tmp_path / "runs").iterdir()) == []


def test_what_waits_long_lies_in_the_file_and_is_sent_when_the_store_is_back(
    no_store, tmp_path, new_store, impatient, monkeypatch, caplog
):
    from mlflow import MlflowClient

    monkeypatch.setattr(tracking, "_MOST_WAITING", 20)
    record = RunRecord("live", "away", {})
    wait_until(lambda: record.error, 30)
    for step in range(50):
        record.log_metrics({"live/fps": 1.0}, step)
        if step % 25 == 0:
            (tmp_path / "told.txt").write_text(str(step))
            record.log_file(tmp_path / "told.txt", f"at-{step}")
            wait_until(lambda: not record._new, 30)
    wait_until(lambda: len(record._waiting) < 20 and not record._new, 30)
    assert len(unsent_files()) == 1

    no_store.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path / "store"))
    wait_until(lambda: not unsent_files(), 60)
    run_id = record.close()

    client = MlflowClient(store_uri())
    steps = {point.step for point in client.get_metric_history(run_id, "live/fps")}
    told = [client.list_artifacts(run_id, f"at-{step}")[0].path for step in (0, 25)]
    assert told == ["at-0/told.txt", "at-25/told.txt"]
    assert steps == set(range(50))
    assert caplog.text.count("until the store is back") == 1


def test_what_is_refused_stays_in_the_file_and_holds_nothing_up(client, tmp_path, impatient):
    record = RunRecord("live", "mixed", {})
    record.log_file(tmp_path / "nowhere.jpg")
    record.log_text("kept", "experiment.yaml")
    record.close()

    assert [file.path for file in client.list_artifacts(record.run_id)] == ["experiment.yaml"]
    assert client.get_run(record.run_id).info.status == "FINISHED"
    [path] = unsent_files()
    sent = send(path)
    assert (sent.run_id, sent.entries, sent.refused) == (record.run_id, 0, 1)
    assert unsent_files() == [path]


def test_settings_that_mlflow_refuses_take_neither_the_run_nor_other_settings_with_them(client, tmp_path):
    record = RunRecord("live", "odd", {"seed": 7, "is it?": True, "size": 8})
    record.log_metrics({"live/fps": 25.0})
    run = client.get_run(record.close())

    assert (run.info.status, run.data.params) == ("FINISHED", {"seed": "7", "size": "8"})
    assert run.data.metrics == {"live/fps": 25.0}
    sent = send(tmp_path / "runs" / "unsent-odd.jsonl")
    assert (sent.run_id, sent.refused) == (run.info.run_id, 1)
    assert "is it?" in sent.reasons[0]
    assert len(client.search_runs([run.info.experiment_id])) == 1


def test_a_file_that_has_the_settings_in_its_start_is_sent_with_them(client, tmp_path):
    path = tmp_path / "unsent-old.jsonl"
    start = {"kind": "start", "experiment": "live", "name": "old", "params": {"seed": "7"}, "tags": {}}
    path.write_text(json.dumps(start | {"run_id": None}) + "\n")

    assert client.get_run(send(path).run_id).data.params == {"seed": "7"}


@pytest.fixture
def short_lock_wait():
    """SQLite gives a lock up after a tenth of a second, not after MLflow's twenty."""
    from sqlalchemy import Engine, event

    def shorten(connection, cursor, statement, parameters, context, is_many):
        return statement.replace("busy_timeout = 20000", "busy_timeout = 100"), parameters

    event.listen(Engine, "before_cursor_execute", shorten, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", shorten)


def test_a_locked_store_gets_the_data_when_it_is_free_again(
    client, tmp_path, impatient, short_lock_wait, caplog
):
    record = RunRecord("live", "patient", {})
    wait_until(lambda: record.run_id, 30)
    other = sqlite3.connect(tmp_path / "store" / "mlflow.db")
    other.execute("BEGIN EXCLUSIVE")
    record.log_metrics({"live/fps": 25.0}, step=1)
    wait_until(lambda: record.error, 30)
    other.close()
    record.close()

    assert "another program holds it" in caplog.text
    assert caplog.text.count("does not take the data") == 1
    assert _metrics(client, record)["live/fps"] == 25.0
    assert unsent_files() == []


@pytest.fixture
def server(client, tmp_path):
    """A real ``mlflow server`` over the client's store: its process and its address."""
    with mlflow_server(store_uri(), tmp_path) as served:
        yield served


def test_a_server_that_freezes_and_then_dies_loses_nothing(client, server, impatient, monkeypatch, caplog):
    process, address = server
    store = store_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    record = RunRecord("live", "survivor", {})
    record.log_metrics({"live/fps": 1.0}, step=1)
    wait_until(lambda: "live/fps" in _metrics(client, record), 60)

    os.killpg(process.pid, signal.SIGSTOP)
    record.log_metrics({"live/fps": 2.0}, step=2)
    wait_until(lambda: record.error, 60)
    os.killpg(process.pid, signal.SIGCONT)
    wait_until(lambda: _metrics(client, record)["live/fps"] == 2.0, 60)
    os.killpg(process.pid, signal.SIGKILL)
    record.log_metrics({"live/fps": 3.0}, step=3)
    record.close()

    assert caplog.text.count("does not take the data") == 1
    [path] = unsent_files()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    assert send(path).run_id == record.run_id
    points = client.get_metric_history(record.run_id, "live/fps")
    assert [point.value for point in points] == [1.0, 2.0, 3.0]
    assert client.get_run(record.run_id).info.status == "FINISHED"


def _metrics(client, record: RunRecord) -> dict[str, float]:
    return client.get_run(record.run_id).data.metrics if record.run_id else {}


def test_nested_settings_become_dotted_names():
    assert flatten({"a": {"b": {"c": 1}}, "d": [2]}) == {"a.b.c": 1, "d": [2]}


def test_the_store_is_a_sqlite_file_in_runs_unless_the_environment_names_one(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)

    assert store_uri() == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert run_name("door").startswith("door-")


def test_a_store_may_be_named_by_a_path_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db?timeout=9")

    record = RunRecord("live", "door", {})
    record.log_text("words", "told.txt")

    assert record.close() is not None
    assert store_uri() == f"sqlite:///{tmp_path}/mine.db?timeout=9"
    assert [path.read_text() for path in tmp_path.rglob("told.txt")] == ["words"]


def test_the_command_that_shows_a_store_can_be_copied_into_a_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///my runs/mlflow.db")

    command = shown_by().removesuffix(" shows it")

    assert shlex.split(command)[-1] == store_uri() == f"sqlite:///{tmp_path}/my runs/mlflow.db"


@pytest.fixture
def silent_server():
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_never_answers_holds_nobody(silent_server, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent_server)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
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

    calls = []

    def fail(self, run_id, text, artifact):
        calls.append(artifact)
        raise OSError("no space")

    monkeypatch.setattr(MlflowClient, "log_text", fail)
    record = RunRecord("live", "full", {})
    for name in ("one", "two", "three", "four"):
        record.log_text("x", name)
        wait_until(lambda: record.error, 30)
    record.close()

    # The first, then nothing until the end, when it is asked again and given up.
    assert len(calls) == 3
    assert (tmp_path / "runs" / "unsent-full.jsonl").read_text().count('"artifact"') == 4
