"""``toolkit worker``, each one a real process: it serves, dies, waits for its Redis, and ends when told."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from redis_fixtures import frozen, new_name, own_server, pid_of, wait_for

from toolkit.cli import main
from toolkit.work.results import as_completed
from toolkit.work.task_queue import TaskQueue

LAB_TASKS = """
import os, pathlib, time

def note(task):
    with open("ran.txt", "a") as ran:
        ran.write(f"{task['n']}\\n")
    time.sleep(task.get("s", 0))
    return os.getpid()

def make():
    return {"note": note}

handlers = make()
"""


@pytest.fixture
def worker(tmp_path):
    """Starts ``toolkit worker`` in a folder with handlers, waits until it serves, and ends it."""
    (tmp_path / "lab_tasks.py").write_text(LAB_TASKS)
    started = []

    def start(queue, *options, handlers="lab_tasks:handlers") -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "toolkit.cli", "worker", "--queue", queue.name, "--lease", "1"]
        log_path = tmp_path / f"worker-{len(started)}.log"
        process = subprocess.Popen(
            [*command, "--handlers", handlers, *options],
            cwd=tmp_path,
            env={**os.environ, "REDIS_URL": queue.url},
            stderr=log_path.open("w"),
        )
        process.log_path = log_path
        started.append(process)
        wait_for(lambda: "serve queue" in log_path.read_text() or process.poll() is not None, 30)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def queue():
    with TaskQueue(new_name(), lease_s=1) as queue:
        yield queue


def _end(process: subprocess.Popen, number: int = signal.SIGTERM) -> str:
    process.send_signal(number)
    process.wait(20)
    return process.log_path.read_text()


def _ran(tmp_path) -> Counter[int]:
    return Counter(map(int, (tmp_path / "ran.txt").read_text().split()))


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_a_worker_says_what_it_serves_does_it_and_ends_when_told(worker, queue, tmp_path, backend):
    process = worker(queue, "--backend", backend, "--workers", "2", "--json", "report.json")
    handles = queue.submit_many({"type": "note", "n": n} for n in range(20))
    pids = {handle.result(timeout=20) for handle in as_completed(handles, timeout=20)}
    # The report is that of the last look, once a second.
    time.sleep(1.2)
    said = _end(process)

    assert process.returncode == 0
    assert f"2 {backend} serve queue '{queue.name}'" in said
    assert ": note\n" in said
    assert (pids == {process.pid}) == (backend == "threads")
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["done"], report["failed"], report["task_types"], report["busy"]) == (20, 0, ["note"], [])


_is_deaf = pytest.mark.skipif(
    signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, reason="nohup started the tests"
)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGHUP, marks=_is_deaf)])
def test_ctrl_c_or_a_closed_terminal_ends_a_worker_as_sigterm_does(worker, queue, number):
    process = worker(queue, handlers="lab_tasks:make")

    assert _end(process, number).endswith("stopped\n")
    assert process.returncode == 0


def test_the_tasks_of_a_worker_that_is_killed_are_done_by_the_other(worker, queue, tmp_path):
    doomed, other = worker(queue, "--workers", "2"), worker(queue, "--workers", "2")
    handles = queue.submit_many({"type": "note", "n": n, "s": 0.05} for n in range(60))
    wait_for(lambda: (tmp_path / "ran.txt").exists())
    doomed.kill()

    assert len(list(as_completed(handles, timeout=30))) == 60
    assert {handle.record()["status"] for handle in handles} == {"done"}
    assert other.pid in {handle.result() for handle in handles}
    assert set(_ran(tmp_path)) == set(range(60))


def test_a_worker_told_to_end_runs_nothing_twice_and_hands_the_rest_back(worker, queue, tmp_path):
    first = worker(queue, "--workers", "2")
    handles = queue.submit_many({"type": "note", "n": n, "s": 0.05} for n in range(60))
    wait_for(lambda: (tmp_path / "ran.txt").exists())
    _end(first)
    waiting = queue.size()
    worker(queue, "--workers", "2")

    assert len(list(as_completed(handles, timeout=30))) == 60
    assert first.returncode == 0
    assert 0 < waiting < 60
    assert _ran(tmp_path) == Counter(range(60))
    assert {handle.record()["attempts"] for handle in handles} == {1}


def test_a_worker_cut_off_for_longer_than_its_lease_is_replaced_and_its_late_result_let_go(
    worker, queue, tmp_path
):
    cut_off = worker(queue, "--workers", "1")
    handle = queue.submit({"type": "note", "n": 1, "s": 0.5})
    wait_for(lambda: (tmp_path / "ran.txt").exists())
    with frozen(cut_off.pid):
        other = worker(queue, "--workers", "1")
        assert handle.result(timeout=20) == other.pid

    wait_for(lambda: queue.statistics()["late"] == 1)
    assert queue.get_results(timeout=0.2) == []
    assert (queue.statistics()["done"], queue.statistics()["taken_over"]) == (1, 1)
    assert _ran(tmp_path) == {1: 2}


def test_a_handler_that_hangs_is_named_and_the_exit_code_tells(worker, queue, tmp_path):
    process = worker(queue, "--workers", "1", "--stop-timeout", "0.3")
    queue.submit({"type": "note", "n": 1, "s": 60})
    wait_for(lambda: (tmp_path / "ran.txt").exists())

    said = _end(process)

    assert process.returncode == 1
    assert re.search(r"error: still busy after 0.3 s: worker-\S+-0; other workers", said)


def test_a_worker_whose_redis_goes_away_says_so_once_and_goes_on(worker):
    with own_server() as (server, url), TaskQueue(new_name(), url) as queue:
        process = worker(queue, "--workers", "4")
        os.kill(pid_of(url), signal.SIGKILL)
        wait_for(lambda: "is away" in process.log_path.read_text())
        # Long enough for every thread to have noticed, several times over.
        time.sleep(0.8)
        server.start()
        wait_for(lambda: "is back" in process.log_path.read_text())

        assert queue.submit({"type": "note", "n": 1}).result(timeout=20) == process.pid
        said = _end(process)

    assert process.returncode == 0
    assert said.count("Redis is away") == said.count("does not answer") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "which Redis? Give --redis"),
        ("--redis redis://me:secret@127.0.0.1:9/0", "Redis at redis://***@127.0.0.1:9/0 does not answer"),
        ("--redis http://me:secret@127.0.0.1:9/0", "is no address of a Redis"),
        ("--redis {url} --handlers nowhere:handlers", "No module named 'nowhere'"),
        ("--redis {url} --handlers lab_tasks:handler", "did you mean 'handlers'?"),
        ("--redis {url} --handlers lab_tasks", "named 'module:attribute'"),
        ("--redis {url} --handlers ./lab_tasks.py:handlers", "named 'module:attribute'"),
        ("--redis {url} --handlers unfinished:handlers", "(unfinished.py, line 1)"),
        ("--redis {url} --handlers lab_tasks:note --backend processes", "TypeError"),
    ],
)
def test_a_mistake_ends_in_one_line(monkeypatch, capsys, tmp_path, queue, words, said):
    (tmp_path / "lab_tasks.py").write_text(LAB_TASKS)
    (tmp_path / "unfinished.py").write_text("handlers = {")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["toolkit", "worker", *words.format(url=queue.url).split()])

    with pytest.raises(SystemExit) as ended:
        main()

    err = capsys.readouterr().err
    assert ended.value.code == 1
    assert said in err
    assert "secret" not in err
    assert err.splitlines()[-1].startswith("error:")


@pytest.mark.parametrize(
    ("option", "value"),
    [("--lease", "-1"), ("--lease", "0"), ("--run-limit", "0"), ("--stop-timeout", "-1")]
    + [
        (option, value) for option in ("--lease", "--run-limit", "--stop-timeout") for value in ("nan", "inf")
    ],
)
def test_a_time_that_is_none_is_refused_by_the_name_of_its_option(monkeypatch, capsys, option, value):
    command = ["toolkit", "worker", "--redis", "redis://127.0.0.1:9/0", option, value]
    monkeypatch.setattr(sys, "argv", command)

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert f"Invalid value for '{option}': {value}" in capsys.readouterr().err
