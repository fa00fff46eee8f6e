"""The Ray backend, on a real cluster of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from redis_fixtures import new_name, wait_for

from toolkit.errors import ConfigError
from toolkit.work.task_queue import TaskQueue
from toolkit.work.worker_pool import WorkerPool

# Handlers that the actors import from this very file.
HANDLERS = {
    "pid": lambda task: os.getpid(),
    "sum": lambda task: int(task["frame"].sum()),
}


def die_the_first_time(task):
    try:
        os.close(os.open(task["marker"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "survived"
    os._exit(3)


HANDLERS["die once"] = die_the_first_time


@pytest.fixture
def queue():
    with TaskQueue(new_name(), lease_s=1) as queue:
        yield queue


def test_actors_do_the_tasks_frames_included_and_one_that_dies_loses_none(queue, tmp_path):
    frame = np.ones((720, 1280, 3), np.uint8)
    with WorkerPool(1, f"{__name__}:HANDLERS", queue, backend="ray") as pool:
        pids = {pool.submit_task({"type": "pid"}).result(timeout=60) for _ in range(3)}
        total = pool.submit_task({"type": "sum", "frame": frame}).result(timeout=60)
        survivor = pool.submit_task({"type": "die once", "marker": str(tmp_path / "died")})
        handles = pool.submit_tasks([{"type": "pid"}] * 50)
        outcomes = {handle.record(timeout=90)["status"] for handle in [survivor, *handles]}
        statistics = pool.statistics()
        # Here and not by itself, because starting a cluster takes longer than all else.
        with pytest.raises(ConfigError, match="no_such_module"):
            WorkerPool(1, "no_such_module:HANDLERS", queue, backend="ray").start()
    import ray

    assert os.getpid() not in pids
    assert total == frame.size
    assert outcomes == {"done"}
    assert survivor.result() == "survived"
    assert statistics["queue"]["taken_over"] >= 1
    assert not ray.is_initialized()


def test_without_ray_its_backend_says_what_to_install(queue, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(ConfigError, match=r"toolkit\[ray\]"):
        WorkerPool(1, f"{__name__}:HANDLERS", queue, backend="ray").start()


def test_handlers_that_have_no_name_cannot_travel(queue):
    with pytest.raises(ConfigError, match="module:attribute"):
        WorkerPool(1, {"pid": print}, queue, backend="ray")


def test_a_cluster_that_is_late_is_started_again_and_leaves_nothing_behind(queue, monkeypatch):
    ray = pytest.importorskip("ray")
    begun = []

    def be_late(**_settings):
        begun.append(
            subprocess.Popen([sys.executable, "-c", "input()", "/ray/raylet"], stdin=subprocess.PIPE)
        )
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", be_late)
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with pytest.raises(ConfigError, match=r"Ray does not start on this machine: .*timed out"):
            WorkerPool(1, f"{__name__}:HANDLERS", queue, backend="ray").start()

        assert [psutil.pid_exists(process.pid) for process in begun] == [False] * 4
        assert other.poll() is None, "what is not Ray's goes on"
    finally:
        for process in (*begun, other):
            process.communicate(b"\n")


def test_what_ended_by_itself_while_a_cluster_started_is_no_child_any_more(queue, monkeypatch):
    ray = pytest.importorskip("ray")
    begun = []

    def lose_a_process(**_settings):
        process = subprocess.Popen([sys.executable, "-c", "", "/ray/raylet"])
        begun.append(process.pid)
        process.itself = process
        wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", lose_a_process)
    with pytest.raises(ConfigError, match="timed out") as caught:
        WorkerPool(1, f"{__name__}:HANDLERS", queue, backend="ray").start()

    assert caught.value.__cause__, "the error still knows where it was raised"
    assert begun
    assert not {child.pid for child in psutil.Process().children()} & set(begun)


def test_ctrl_c_while_a_cluster_starts_leaves_nothing_behind(queue, monkeypatch):
    ray = pytest.importorskip("ray")
    begun = []

    def be_interrupted(**_settings):
        begun.append(
            subprocess.Popen([sys.executable, "-c", "input()", "/ray/raylet"], stdin=subprocess.PIPE)
        )
        raise KeyboardInterrupt

    monkeypatch.setattr(ray, "init", be_interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            WorkerPool(1, f"{__name__}:HANDLERS", queue, backend="ray").start()

        assert [psutil.pid_exists(process.pid) for process in begun] == [False]
    finally:
        for process in begun:
            process.communicate(b"\n")


def test_ctrl_c_while_the_actors_start_ends_them_however_few_cores_there_are(queue, monkeypatch):
    ray = pytest.importorskip("ray")
    actor, killed, needs = SimpleNamespace(is_ready=_Remote(), stop=_Remote()), [], []

    def be_interrupted(answers, timeout):
        if isinstance(answers, list):
            raise KeyboardInterrupt
        return []

    def make_worker(num_cpus, **_):
        needs.append(num_cpus)
        return lambda _worker: _Remote(actor)

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "nodes", list)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(ray, "remote", make_worker)
    monkeypatch.setattr(ray, "get", be_interrupted)
    monkeypatch.setattr(ray, "kill", killed.append)
    with pytest.raises(KeyboardInterrupt):
        WorkerPool(3, f"{__name__}:HANDLERS", queue, backend="ray").start()

    assert killed == [actor] * 3
    assert needs == [0.6666], "three share the two cores there are"


class _Remote:
    """What is called on another node, and what it gives."""

    def __init__(self, gives=None):
        self._gives = gives

    def remote(self, *_):
        return self._gives
