"""The pool: every task ends in a result, whatever happens to handlers, workers and Redis."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from fakes import Speechless
from redis_fixtures import frozen, new_name, own_server, pid_of, wait_for

from toolkit.errors import ConfigError, QueueUnavailable, TaskError
from toolkit.work.handlers import takes_batch
from toolkit.work.results import as_completed
from toolkit.work.task_queue import TaskQueue
from toolkit.work.worker_pool import WorkerPool


@pytest.fixture
def queue():
    with TaskQueue(new_name(), lease_s=1) as queue:
        yield queue


def _analyse(task):
    x, y, w, h = task["bbox"]
    face = task["frame"][y : y + h, x : x + w]
    return {"person_id": task["person_id"], "camera_id": task["camera_id"], "mean": float(face.mean())}


HANDLERS = {
    "gender_age_analysis": _analyse,
    "double": lambda task: 2 * task["n"],
    "sleep": lambda task: time.sleep(task["s"]),
    "bad": lambda task: {}["missing"],
    "object": lambda task: object(),
}


# The words of the user's document


def test_the_documented_use_works_call_for_call(queue):
    frame = np.full((40, 40, 3), 7, np.uint8)
    detected_persons = [SimpleNamespace(id=n, frame=frame, bbox=(2, 3, 10, 20)) for n in range(5)]

    # Create worker pool
    pool = WorkerPool(num_workers=4, handlers=HANDLERS, queue=queue)
    # Start pool
    pool.start()
    # Submit tasks
    for person in detected_persons:
        task = {
            "type": "gender_age_analysis",
            "person_id": person.id,
            "frame": person.frame,
            "bbox": person.bbox,
            "camera_id": "camera_1",
        }
        pool.submit_task(task)
    # Get results
    results = pool.get_results(max_results=10, timeout=10)
    # Stop pool
    pool.stop()

    assert {result["status"] for result in results} == {"done"}
    assert sorted(result["result"]["person_id"] for result in results) == [0, 1, 2, 3, 4]
    assert results[0]["result"] == {**results[0]["result"], "camera_id": "camera_1", "mean": 7.0}


def test_the_default_pool_needs_nothing_but_its_handlers():
    with WorkerPool(num_workers=2, handlers=HANDLERS) as pool:
        assert pool.submit_task({"type": "double", "n": 4}).result(timeout=10) == 8
        assert pool.get_statistics()["workers"] == 2


# Results


def test_a_handle_is_the_task_id_and_gives_the_result_again_and_again(queue):
    with WorkerPool(2, HANDLERS, queue) as pool:
        handle = pool.submit_task({"type": "double", "n": 4})

        assert handle.result(timeout=10) == 8
        assert handle.result() == 8
        assert handle.record() == {
            "task_id": handle,
            "type": "double",
            "status": "done",
            "result": 8,
            "attempts": 1,
        }


def test_a_result_fetched_in_bulk_is_also_in_its_handle_and_comes_once(queue):
    with WorkerPool(2, HANDLERS, queue) as pool:
        handles = pool.submit_tasks({"type": "double", "n": n} for n in range(20))

        results = pool.get_results(max_results=100, timeout=10)

        assert {result["task_id"] for result in results} == set(handles)
        assert [handle.result() for handle in handles] == [2 * n for n in range(20)]
        assert pool.get_results() == []


def test_get_results_does_not_wait_for_a_task_that_was_refused(queue):
    with pytest.raises(ConfigError):
        queue.submit({"type": "double", "n": 1}, priority="hihg")
    start = time.monotonic()

    assert queue.get_results(timeout=30) == []
    assert time.monotonic() - start < 10


def test_get_results_is_back_when_nothing_more_can_come(queue):
    with WorkerPool(2, HANDLERS, queue) as pool:
        start = time.monotonic()
        assert pool.get_results(timeout=30) == []
        pool.submit_task({"type": "double", "n": 1})

        assert len(pool.get_results(max_results=10, timeout=30)) == 1
        assert time.monotonic() - start < 10


def test_get_results_without_a_timeout_does_not_wait(queue):
    pool = WorkerPool(2, HANDLERS, queue)
    pool.submit_task({"type": "double", "n": 1})
    start = time.monotonic()

    assert pool.get_results() == []
    assert time.monotonic() - start < 0.4


def test_a_result_behind_many_others_is_found_without_waiting(queue):
    handles = [queue.submit({"n": n}) for n in range(50)]
    for _ in handles:
        queue.finish([queue.take()[0].done()])

    assert handles[-1].is_done()
    assert len(queue.get_results(max_results=100)) == 49


def test_a_handle_whose_result_does_not_come_raises_timeout(queue):
    handle = queue.submit({"type": "double"})

    assert not handle.is_done()
    with pytest.raises(TimeoutError, match="it goes on"):
        handle.result(timeout=0.1)


def test_as_completed_yields_the_quick_before_the_slow(queue):
    with WorkerPool(2, HANDLERS, queue) as pool:
        slow = pool.submit_task({"type": "sleep", "s": 0.5})
        quick = pool.submit_tasks({"type": "double", "n": n} for n in range(5))

        order = list(as_completed([slow, *quick], timeout=10))

    assert set(order) == {slow, *quick}
    assert order[-1] == slow
    assert all(handle.is_done() for handle in order)


def test_as_completed_gives_up_in_time(queue):
    handles = queue.submit_many([{}, {}])

    with pytest.raises(TimeoutError, match="2 tasks have no result"):
        list(as_completed(handles, timeout=0.1))


def test_many_threads_may_wait_for_their_results_at_once(queue):
    results: dict[int, int] = {}

    def ask(n: int) -> None:
        results[n] = pool.submit_task({"type": "double", "n": n}).result(timeout=20)

    with WorkerPool(2, HANDLERS, queue) as pool:
        threads = [threading.Thread(target=ask, args=[n]) for n in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert results == {n: 2 * n for n in range(24)}


def test_results_survive_the_pool_until_they_are_fetched(queue):
    with WorkerPool(2, HANDLERS, queue) as pool:
        handle = pool.submit_task({"type": "double", "n": 3})
        wait_for(lambda: queue.statistics()["done"] == 1)

    assert pool.get_results(timeout=5)[0]["result"] == 6
    assert handle.result() == 6


def test_each_sender_gets_its_own_results():
    name = new_name()
    with TaskQueue(name) as mine, TaskQueue(name) as yours, WorkerPool(1, HANDLERS, mine):
        my_handle, your_handle = (
            mine.submit({"type": "double", "n": 1}),
            yours.submit({"type": "double", "n": 2}),
        )

        assert [result["task_id"] for result in yours.get_results(timeout=10)] == [your_handle]
        assert [result["task_id"] for result in mine.get_results(timeout=10)] == [my_handle]


def test_a_thread_that_waits_for_a_result_is_not_disturbed_by_a_stop():
    pool = WorkerPool(1, HANDLERS)
    pool.start()
    handle = pool.submit_task({"type": "double", "n": 2}, delay_s=1.0)
    results: list[int] = []
    waiter = threading.Thread(target=lambda: results.append(handle.result(timeout=20)))
    waiter.start()

    pool.stop()
    pool.start()
    waiter.join(20)
    pool.stop()

    assert results == [4]


def test_an_idle_pool_stops_at_once(queue):
    pool = WorkerPool(4, HANDLERS, queue)
    pool.start()
    wait_for(lambda: queue._connection._waiting_ids)
    start = time.monotonic()

    pool.stop()

    assert time.monotonic() - start < 0.3


# What goes wrong in a handler


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ({"type": "bad"}, "KeyError: 'missing'"),
        ({"type": "doubel"}, "did you mean 'double'"),
        ({}, "no handler for tasks of type None"),
        ({"type": "object"}, "TaskError: result is a object"),
        ({"type": "gender_age_analysis"}, "KeyError: 'bbox'"),
    ],
)
def test_a_task_that_cannot_be_done_fails_with_its_reason(queue, task, text):
    with WorkerPool(1, HANDLERS, queue) as pool:
        handle = pool.submit_task(task)

        with pytest.raises(TaskError, match=text):
            handle.result(timeout=10)
        assert pool.get_results() == []
        assert handle.record()["status"] == "failed"
        # The worker goes on.
        assert pool.submit_task({"type": "double", "n": 1}).result(timeout=10) == 2


def test_an_error_that_cannot_say_what_it_is_fails_its_task_and_not_the_worker(queue):
    def fail(task):
        raise Speechless

    with WorkerPool(1, {"bad": fail, "double": HANDLERS["double"]}, queue) as pool:
        with pytest.raises(TaskError, match="Speechless without a text"):
            pool.submit_task({"type": "bad"}).result(timeout=10)

        assert pool.submit_task({"type": "double", "n": 2}).result(timeout=10) == 4


def test_a_task_may_be_tried_again_more_often_than_a_float_can_double(queue):
    with WorkerPool(1, HANDLERS, queue, retries=1100, retry_wait_s=0.0) as pool:
        record = pool.submit_task({"type": "bad"}).record(timeout=60)

    assert (record["status"], record["attempts"]) == ("failed", 1101)


def test_a_failing_task_is_tried_again_as_often_as_asked(queue):
    calls = []

    def fail_twice(task):
        calls.append(time.monotonic())
        if len(calls) < 3:
            raise OSError("not yet")
        return "at last"

    with WorkerPool(1, {"shaky": fail_twice}, queue, retries=2, retry_wait_s=0.1) as pool:
        handle = pool.submit_task({"type": "shaky"})

        assert handle.result(timeout=10) == "at last"
        assert handle.record()["attempts"] == 3
    assert calls[1] - calls[0] >= 0.1
    assert calls[2] - calls[1] >= 0.2


def test_a_task_that_fails_for_good_is_in_the_dead_letters(queue):
    with WorkerPool(1, HANDLERS, queue) as pool, pytest.raises(TaskError):
        pool.submit_task({"type": "bad"}).result(timeout=10)

    assert queue.statistics()["dead"] == queue.statistics()["failed"] == 1


def test_an_error_that_names_a_file_whose_name_is_not_utf8_stops_no_worker(queue):
    def read(task):
        raise OSError("cannot read " + os.fsdecode(b"f\xe4ce.jpg"))

    with WorkerPool(1, {**HANDLERS, "read": read}, queue) as pool:
        # Nobody waits for it: its error alone has to travel.
        queue.enqueue({"type": "read"})

        assert pool.submit_task({"type": "double", "n": 1}).result(timeout=10) == 2
        with pytest.raises(TaskError, match=r"OSError: cannot read f\\udce4ce\.jpg"):
            pool.submit_task({"type": "read"}).result(timeout=10)
    assert len(queue.dead_letters) == 2


def test_tasks_of_a_type_are_handled_in_batches_and_fail_alone(queue):
    sizes = []

    @takes_batch(max_items=8)
    def inverse(tasks):
        sizes.append(len(tasks))
        return [1 / task["n"] for task in tasks]

    pool = WorkerPool(1, {"inverse": inverse}, queue)
    handles = pool.submit_tasks({"type": "inverse", "n": n} for n in [1, 2, 0, 4, 5, 10])
    with pool:
        records = [handle.record(timeout=10) for handle in handles]

    assert [record.get("result") for record in records] == [1, 0.5, None, 0.25, 0.2, 0.1]
    assert "ZeroDivisionError" in records[2]["error"]
    assert sizes[0] == 6


@takes_batch(max_items=4)
def _double_all(tasks):
    return [2 * task["n"] for task in tasks]


@pytest.mark.parametrize("double", [HANDLERS["double"], _double_all], ids=["singly", "in batches"])
def test_what_waits_behind_a_task_that_hangs_is_done_by_another_in_its_old_order(queue, double):
    release, order = threading.Event(), []
    handlers = {
        "double": double,
        "hang": lambda task: release.wait(30),
        "note": lambda task: order.append(task["n"]),
    }
    with WorkerPool(1, handlers, queue) as pool:
        # After many quick tasks a worker takes many ahead.
        list(as_completed(pool.submit_tasks([{"type": "double", "n": 1}] * 400), timeout=10))
        hang, *behind = pool.submit_tasks([{"type": "hang"}, *({"type": "note", "n": n} for n in range(20))])
        try:
            wait_for(lambda: queue.size() == 20)
            last = pool.submit_task({"type": "note", "n": 20})
            with WorkerPool(1, handlers, queue):
                records = [handle.record(timeout=10) for handle in [*behind, last]]
            assert not hang.is_done()
        finally:
            release.set()

    assert order == list(range(21))
    assert {record["attempts"] for record in records} == {1}
    assert queue.statistics()["in_hand"] == 0


# Starting and stopping


def test_stop_may_be_called_early_twice_and_between_two_starts(queue):
    pool = WorkerPool(2, HANDLERS, queue)
    assert pool.stop() == []
    for _ in range(2):
        pool.start()
        pool.start()
        assert pool.submit_task({"type": "double", "n": 1}).result(timeout=10) == 2
        assert pool.stop() == pool.stop() == []


def test_tasks_wait_for_a_pool_that_is_not_started(queue):
    pool = WorkerPool(2, HANDLERS, queue)
    handle = pool.submit_task({"type": "double", "n": 5})
    assert not handle.is_done()

    with pool:
        assert handle.result(timeout=10) == 10


def test_stop_finishes_what_is_begun_and_hands_back_the_rest(queue):
    begun = threading.Event()

    def slow(task):
        begun.set()
        time.sleep(0.3)
        return task["n"]

    pool = WorkerPool(1, {"slow": slow, "quick": lambda task: None}, queue)
    # After many quick tasks a worker takes many ahead.
    quick = pool.submit_tasks([{"type": "quick"}] * 200)
    slow_ones = pool.submit_tasks({"type": "slow", "n": n} for n in range(5))
    pool.start()
    assert begun.wait(10)
    pool.stop()

    done = [handle for handle in slow_ones if handle.is_done()]
    assert all(handle.is_done() for handle in quick)
    assert [handle.result() for handle in done] == list(range(len(done)))
    assert 1 <= len(done) < 5
    assert queue.size() == 5 - len(done)
    assert queue.statistics()["in_hand"] == 0
    assert queue.take()[0].attempt == 1


def test_stop_is_back_in_time_and_names_the_worker_that_hangs(queue):
    release = threading.Event()
    pool = WorkerPool(2, {"hang": lambda task: release.wait(30)}, queue)
    pool.start()
    handle = pool.submit_task({"type": "hang"})
    wait_for(lambda: pool.statistics()["busy"] == 1)

    start = time.monotonic()
    busy = pool.stop(timeout_s=0.3)

    assert time.monotonic() - start < 2
    assert len(busy) == 1
    release.set()
    wait_for(lambda: not any(thread.name in busy for thread in threading.enumerate()))
    # Its task is another's when the lease ends.
    with WorkerPool(1, {"hang": lambda task: "done by another"}, queue):
        assert handle.result(timeout=10) == "done by another"


def test_a_slow_task_is_renewed_and_run_once():
    runs = []

    def slow(task):
        runs.append(task["n"])
        time.sleep(1.5)

    with TaskQueue(new_name(), lease_s=0.4) as queue, WorkerPool(2, {"slow": slow}, queue) as pool:
        pool.submit_task({"type": "slow", "n": 1}).result(timeout=10)

        assert runs == [1]
        assert queue.statistics()["taken_over"] == 0


def test_statistics_count_what_happened(queue):
    with WorkerPool(2, HANDLERS, queue) as pool:
        handles = pool.submit_tasks([{"type": "double", "n": 1}] * 6 + [{"type": "bad"}] * 2)
        list(as_completed(handles, timeout=10))

        numbers = pool.get_statistics()

    assert (numbers["running"], numbers["workers"], numbers["done"], numbers["failed"]) == (True, 2, 6, 2)
    assert numbers["run_ms"]["p99"] > 0
    assert numbers["queue"]["done"] == 6
    assert pool.statistics()["running"] is False


@pytest.mark.parametrize(
    "settings",
    [
        {"num_workers": 0},
        {"retries": -1},
        {"retries": math.nan},
        {"retry_wait_s": -1.0},
        {"retry_wait_s": math.nan},
        {"retry_wait_s": math.inf},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError, match="num_workers must be at least 1"):
        WorkerPool(handlers={}, **settings)


@pytest.mark.parametrize("name", ["num_workers", "max_workers"])
@pytest.mark.parametrize("number", [1.5, math.nan, "4"])
def test_a_number_of_workers_is_a_whole_one(name, number):
    with pytest.raises(ConfigError, match=f"{name} must be a whole number"):
        WorkerPool(handlers={}, **{name: number})


def test_a_run_limit_is_a_number():
    with pytest.raises(ConfigError, match="run_limit_s must be above 0"):
        WorkerPool(2, "module:handlers", backend="processes", run_limit_s=math.nan)


def test_handlers_that_cannot_be_found_are_said_on_start_and_not_before(queue):
    pool = WorkerPool(2, "no_such_module_here:handlers", queue)

    with pytest.raises(ConfigError, match="cannot be imported"):
        pool.start()
    assert pool.stop() == []


# Workers and Redis killed

_WORKER = """
import os, sys, time
from toolkit.work.task_queue import TaskQueue
from toolkit.work.worker_pool import WorkerPool

def handle(task):
    if task["n"] == 20 and sys.argv[3] == "hang":
        print("begun", flush=True)
        time.sleep(60)
    return os.getpid()

pool = WorkerPool(2, {"step": handle}, TaskQueue(sys.argv[1], sys.argv[2], lease_s=1))
pool.start()
time.sleep(60)
"""


def _start_worker(queue: TaskQueue, behaviour: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _WORKER, queue.name, queue.url, behaviour]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def test_no_task_is_lost_with_a_worker_process_that_is_killed(queue):
    handles = queue.submit_many({"type": "step", "n": n} for n in range(200))
    with _start_worker(queue, "hang") as hanging:
        assert hanging.stdout is not None
        assert hanging.stdout.readline() == b"begun\n"
        hanging.send_signal(signal.SIGKILL)
    with WorkerPool(2, {"step": lambda task: "other"}, queue):
        pids = [handle.result(timeout=20) for handle in handles]

    assert set(pids) <= {hanging.pid, "other"}
    assert pids[20] == "other"
    assert queue.size() == queue.statistics()["in_hand"] == queue.statistics()["dead"] == 0
    assert queue.get_results() == []


def test_workers_outlive_a_redis_that_is_killed_and_comes_back():
    with (
        own_server() as (server, url),
        TaskQueue(new_name(), url, lease_s=1) as queue,
        WorkerPool(2, HANDLERS, queue) as pool,
    ):
        pool.submit_task({"type": "double", "n": 1}).result(timeout=10)
        os.kill(pid_of(url), signal.SIGKILL)
        wait_for(lambda: not queue.is_available())
        with pytest.raises(QueueUnavailable):
            pool.submit_task({"type": "double", "n": 2})
        wait_for(lambda: pool.statistics()["outages"])
        assert "error" in pool.statistics()["queue"]

        server.start()

        assert pool.submit_task({"type": "double", "n": 3}).result(timeout=10) == 6


def test_results_wait_for_a_redis_that_is_frozen():
    with (
        own_server() as (_, url),
        TaskQueue(new_name(), url, lease_s=30) as queue,
        WorkerPool(1, HANDLERS, queue) as pool,
    ):
        handle = pool.submit_task({"type": "sleep", "s": 0.3})
        wait_for(lambda: pool.statistics()["busy"] == 1)
        with frozen(pid_of(url)):
            time.sleep(2.6)  # longer than a worker waits for an answer

        assert handle.result(timeout=15) is None
        assert handle.record()["attempts"] == 1


def test_a_pool_whose_redis_is_away_says_so_on_start():
    pool = WorkerPool(2, HANDLERS, TaskQueue(url="redis://127.0.0.1:1"))

    with pytest.raises(QueueUnavailable, match=r"127\.0\.0\.1:1"):
        pool.start()
    assert pool.stop() == []
