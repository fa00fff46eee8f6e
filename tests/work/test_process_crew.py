"""Worker processes: they do the work, die alone, are replaced, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from redis_fixtures import new_name, own_server, pid_of, wait_for

from toolkit.errors import ConfigError, TaskError
from toolkit.work.process_crew import _Seat
from toolkit.work.results import as_completed
from toolkit.work.task_queue import TaskQueue
from toolkit.work.worker_pool import WorkerPool

# Handlers that the worker processes import from this very file.
HANDLERS = {
    "pid": lambda task: os.getpid(),
    "sum": lambda task: int(task["frame"].sum()),
    "sleep": lambda task: time.sleep(task["s"]),
    "print": lambda task: print("this is not an answer"),
    "exit": lambda task: os._exit(3),
    "sys.exit": lambda task: sys.exit(3),
    "threads": lambda task: os.environ["OMP_NUM_THREADS"],
}


def broken():
    raise FileNotFoundError("weights.safetensors")


@pytest.fixture
def queue():
    with TaskQueue(new_name(), lease_s=2) as queue:
        yield queue


def _pool(queue, num_workers=1, **options):
    return WorkerPool(num_workers, f"{__name__}:HANDLERS", queue, backend="processes", **options)


def test_tasks_are_done_in_another_process_frames_included(queue):
    frame = np.ones((720, 1280, 3), np.uint8)
    with _pool(queue) as pool:
        pid = pool.submit_task({"type": "pid"}).result(timeout=20)
        total = pool.submit_task({"type": "sum", "frame": frame}).result(timeout=20)

    assert pid != os.getpid()
    assert total == frame.size


def test_what_handlers_print_does_not_disturb_the_pool(queue):
    with _pool(queue) as pool:
        pool.submit_task({"type": "print"}).result(timeout=20)

        numbers = pool.statistics()

    assert (numbers["workers"], numbers["done"], len(numbers["processes"])) == (1, 1, 1)


def test_a_worker_process_uses_one_thread_unless_told_otherwise(queue, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with _pool(queue) as pool:
        assert pool.submit_task({"type": "threads"}).result(timeout=20) == "1"


def test_a_task_that_kills_its_worker_ends_in_the_dead_letters_and_takes_no_other_along(queue):
    with _pool(queue, 2) as pool:
        deadly = pool.submit_task({"type": "exit"})
        others = pool.submit_tasks([{"type": "pid"}] * 20)

        assert all(handle.result(timeout=60) for handle in others)
        with pytest.raises(TaskError, match="its worker died 3 times"):
            deadly.result(timeout=60)
        wait_for(lambda: pool.statistics()["workers"] == 2)
        assert pool.statistics()["replaced"] >= 3
    assert [letter.task_id for letter in queue.dead_letters.newest()] == [deadly]


def test_a_handler_that_calls_exit_fails_its_task_alone(queue):
    with _pool(queue) as pool:
        with pytest.raises(TaskError, match="SystemExit"):
            pool.submit_task({"type": "sys.exit"}).result(timeout=20)

        assert pool.statistics()["replaced"] == 0


def test_no_task_is_lost_when_workers_are_killed_again_and_again():
    # With a lease longer than the test: what a dead worker held is taken over at once.
    with TaskQueue(new_name(), lease_s=60, max_attempts=50) as queue, _pool(queue, 2) as pool:
        handles = pool.submit_tasks({"type": "sleep", "s": 0.01} for _ in range(200))
        for _ in range(3):
            time.sleep(0.3)
            children = [p for p in psutil.Process().children() if "toolkit.work.child" in p.cmdline()]
            children[0].send_signal(signal.SIGKILL)

        assert len(list(as_completed(handles, timeout=30))) == 200
        assert {handle.record()["status"] for handle in handles} == {"done"}
        assert queue.size() == queue.statistics()["in_hand"] == len(queue.dead_letters) == 0
        assert queue.get_results(timeout=0.1) == []


def test_a_task_over_the_run_limit_is_given_up_and_its_neighbours_done():
    with (
        TaskQueue(new_name(), lease_s=2, max_attempts=1) as queue,
        _pool(queue, 1, run_limit_s=0.5) as pool,
    ):
        hanging = pool.submit_task({"type": "sleep", "s": 60})
        neighbour = pool.submit_task({"type": "pid"})

        assert neighbour.result(timeout=30)
        with pytest.raises(TaskError, match="its worker died 1 times"):
            hanging.result(timeout=30)


def test_stop_kills_a_worker_that_hangs_and_its_task_comes_back(queue):
    pool = _pool(queue)
    pool.start()
    pool.submit_task({"type": "sleep", "s": 60})
    wait_for(lambda: pool.statistics()["busy"] == 1)

    start = time.monotonic()
    assert len(pool.stop(timeout_s=0.5)) == 1
    assert time.monotonic() - start < 3

    assert queue.dequeue(timeout=5) == {"type": "sleep", "s": 60}


def test_handlers_that_cannot_be_made_are_said_on_start(queue):
    pool = WorkerPool(2, f"{__name__}:broken", queue, backend="processes")

    with pytest.raises(ConfigError, match=r"did not start: FileNotFoundError: weights\.safetensors"):
        pool.start()
    assert pool.stop() == []


def test_no_process_stays_when_the_start_is_interrupted(queue, monkeypatch):
    def interrupted(seat):
        raise KeyboardInterrupt

    monkeypatch.setattr(_Seat, "wait_until_ready", interrupted)
    before = psutil.Process().children()

    with pytest.raises(KeyboardInterrupt):
        _pool(queue, 2).start()
    assert psutil.Process().children() == before


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"handlers": HANDLERS, "backend": "processes"}, "put them into a module"),
        ({"backend": "proceses"}, "did you mean 'processes'"),
        ({"run_limit_s": 1.0}, "threads cannot be ended"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, text):
    with pytest.raises(ConfigError, match=text):
        WorkerPool(2, **settings)


def test_an_outage_of_redis_is_told_once_and_not_by_every_worker(capfd):
    with (
        own_server() as (server, url),
        TaskQueue(new_name(), url, lease_s=2) as queue,
        _pool(queue, 3) as pool,
    ):
        os.kill(pid_of(url), signal.SIGKILL)
        wait_for(lambda: sum(each["outages"] for each in pool.statistics()["processes"]) == 3)
        server.start()

        assert pool.submit_task({"type": "pid"}).result(timeout=20)
    assert capfd.readouterr().err.count("no tasks until Redis is back") == 1


def slow_to_start_again():
    mark = Path(os.environ["SLOW_TO_START_AGAIN"])
    if mark.exists():
        time.sleep(3)
    mark.touch()
    return HANDLERS


def test_statistics_do_not_wait_for_a_worker_that_is_starting(queue, monkeypatch, tmp_path):
    monkeypatch.setenv("SLOW_TO_START_AGAIN", str(tmp_path / "mark"))
    with WorkerPool(1, f"{__name__}:slow_to_start_again", queue, backend="processes") as pool:
        os.kill(pool.statistics()["processes"][0]["pid"], signal.SIGKILL)
        wait_for(lambda: pool.statistics()["replaced"])

        start = time.monotonic()
        assert pool.statistics()["workers"] == 0
        assert time.monotonic() - start < 1.5
        assert pool.submit_task({"type": "pid"}).result(timeout=30)


_PARENT = """
import sys, time
from toolkit.work.task_queue import TaskQueue
from toolkit.work.worker_pool import WorkerPool
pool = WorkerPool(2, "test_process_crew:HANDLERS", TaskQueue(sys.argv[1], sys.argv[2]), backend="processes")
pool.start()
print(*[p["pid"] for p in pool.statistics()["processes"]], flush=True)
time.sleep(60)
"""


def test_worker_processes_end_when_their_parent_is_killed(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path or "." for path in sys.path))
    with own_server() as (_, url):
        command = [sys.executable, "-c", _PARENT, new_name(), url]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None
            pids = [int(pid) for pid in parent.stdout.readline().split()]
            parent.send_signal(signal.SIGKILL)

        assert len(pids) == 2
        wait_for(lambda: not any(psutil.pid_exists(pid) for pid in pids))


def test_a_worker_process_that_is_asked_to_end_puts_back_what_it_holds(queue):
    with _pool(queue) as pool:
        pid = pool.submit_task({"type": "pid"}).result(timeout=20)
        handles = pool.submit_tasks({"type": "sleep", "s": 0.02} for _ in range(20))
        os.kill(pid, signal.SIGTERM)

        assert [handle.result(timeout=30) for handle in handles] == [None] * 20
        assert {handle.record()["attempts"] for handle in handles} == {1}
