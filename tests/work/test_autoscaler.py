"""Pools that grow and shrink, and handlers with state of their own."""

from __future__ import annotations

import os
import threading
import time

import pytest
from redis_fixtures import new_name, wait_for

from toolkit.errors import ConfigError
from toolkit.work import autoscaler, per_worker
from toolkit.work.results import as_completed
from toolkit.work.task_queue import TaskQueue
from toolkit.work.worker_pool import WorkerPool

HANDLERS = {
    "nap": lambda task: time.sleep(task["s"]) or f"{os.getpid()}-{threading.get_ident()}",
}


@pytest.fixture
def queue(monkeypatch):
    monkeypatch.setattr(autoscaler, "_LOOK_S", 0.05)
    monkeypatch.setattr(autoscaler, "_IDLE_LOOKS", 4)
    with TaskQueue(new_name(), lease_s=2) as queue:
        yield queue


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_a_pool_grows_while_tasks_wait_and_shrinks_when_they_are_done(queue, backend):
    pool = WorkerPool(1, f"{__name__}:HANDLERS", queue, backend=backend, max_workers=3)
    with pool:
        handles = pool.submit_tasks({"type": "nap", "s": 0.1} for _ in range(200))
        wait_for(lambda: pool.statistics()["workers"] == 3, 30)
        queue.clear()
        wait_for(lambda: pool.statistics()["workers"] == 1, 30)
        last = pool.submit_task({"type": "nap", "s": 0}).result(timeout=10)
        numbers = queue.statistics()

    records = [handle.record(timeout=10) for handle in handles]
    done = {record["result"] for record in records if record["status"] == "done"}
    assert len(done) > 1
    assert last in done
    assert numbers["in_hand"] == numbers["taken_over"] == numbers["failed"] == 0


def test_an_idle_pool_keeps_its_size(queue):
    with WorkerPool(2, HANDLERS, queue, max_workers=4) as pool:
        list(as_completed(pool.submit_tasks([{"type": "nap", "s": 0}] * 20), timeout=10))
        time.sleep(0.5)

        assert pool.statistics()["workers"] == 2


@pytest.mark.parametrize(
    "settings", [{"num_workers": 3, "max_workers": 2}, {"backend": "ray", "max_workers": 9}]
)
def test_limits_that_make_no_sense_are_refused(settings):
    with pytest.raises(ConfigError, match="max_workers must be at least num_workers"):
        WorkerPool(handlers="no:matter", **settings)


def _numbered_handlers():
    made.append(None)
    mine = len(made)
    return {"who": lambda task: (barrier.wait(10) and mine) or mine}


made: list[None] = []
barrier = threading.Barrier(2)


@pytest.mark.parametrize(
    ("source", "different"), [(_numbered_handlers, 1), (per_worker(lambda: _numbered_handlers()), 2)]
)
def test_threads_share_handlers_unless_they_are_made_per_worker(queue, source, different):
    made.clear()
    with WorkerPool(2, source, queue) as pool:
        handles = [pool.submit_task({"type": "who"}) for _ in range(2)]

        assert len({handle.result(timeout=20) for handle in handles}) == different
    assert len(made) == different
