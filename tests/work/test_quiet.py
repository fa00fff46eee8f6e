"""Waiting for one task after the other: who knows that there is nothing else does not look for it."""

from __future__ import annotations

import threading
import time

import pytest
import redis
from redis_fixtures import new_name, own_server

from toolkit.work.quiet import LASTS_S, Quiet
from toolkit.work.task_queue import TaskQueue


@pytest.fixture
def queue():
    with own_server() as (_, url), TaskQueue(new_name(), url) as queue:
        yield queue


def test_who_waits_for_one_task_after_the_other_looks_seldom(queue):
    looks_before = _looks(queue)

    taken = _wait_for_each(queue, tasks=30, pause_s=0.002)

    assert taken == list(range(30))
    assert _looks(queue) - looks_before <= 20, "it was looked for other tasks before nearly every wait"


def test_who_finds_a_task_that_was_there_before_looks_for_the_others(queue):
    assert queue.take(timeout=0.001) == []
    queue.enqueue_many([{"n": n} for n in range(5)])
    time.sleep(0.005)

    first, others = queue.take(max_tasks=5, timeout=1.0), queue.take(max_tasks=5, timeout=1.0)

    assert [hand.task["n"] for hand in [*first, *others]] == list(range(5))


def test_a_delayed_task_is_taken_in_time_while_others_come_one_by_one(queue):
    assert queue.take(timeout=0.001) == []
    with TaskQueue(queue.name, queue.url) as sender:
        sender.enqueue({"n": -1}, delay_s=0.1)

        taken = _wait_for_each(queue, tasks=200, pause_s=0.005, until=-1)

    assert -1 in taken, f"it was not among the first {len(taken)} tasks, sent over a second"


def test_a_deadline_that_passed_since_the_last_look_has_passed(queue):
    assert queue.take(timeout=0.001) == []
    queue.enqueue({"n": 1}, deadline_s=0.004)
    time.sleep(0.015)

    assert queue.take(timeout=0.2) == []
    assert queue.statistics()["expired"] == 1


def test_what_a_look_found_lasts_for_a_moment_and_no_longer_than_a_delayed_task():
    quiet, now = Quiet(), time.monotonic()
    assert quiet.times_ms() is None, "nobody has looked"

    quiet.looked(now, 1000, -1, is_empty=True)
    now_ms, next_due_ms = quiet.times_ms()
    assert 1000 <= now_ms <= 1000 + LASTS_S * 1000
    assert next_due_ms == -1

    quiet.looked(now - 2 * LASTS_S, 1000, -1, is_empty=True)
    assert quiet.times_ms() is None, "that was long ago"

    quiet.looked(now - 0.01, 1000, 5, is_empty=True)
    assert quiet.times_ms() is None, "a delayed task is due by now"

    quiet.looked(now, 1000, -1, is_empty=False)
    assert quiet.times_ms() is None, "there was something, and there may be more"


def test_a_task_that_is_older_than_the_wait_for_it_ends_the_quiet():
    quiet = Quiet()
    quiet.looked(time.monotonic(), 1000, -1, is_empty=True)

    quiet.waited(1003, [b"1003-0", b"1004-1"])
    assert quiet.times_ms()

    quiet.waited(1003, [b"1003-0", b"1002-7"])
    assert quiet.times_ms() is None


def _looks(queue: TaskQueue) -> int:
    """How often all that can be taken was looked at: nothing else asks for what is due."""
    with redis.Redis.from_url(queue.url) as client:
        return client.info("commandstats").get("cmdstat_zrangebyscore", {"calls": 0})["calls"]


def _wait_for_each(queue: TaskQueue, tasks: int, pause_s: float, until: int | None = None) -> list[int]:
    """Take tasks one by one while a thread puts them, each some time after the last; up to a certain one."""

    def put() -> None:
        with TaskQueue(queue.name, queue.url) as sender:
            for n in range(tasks):
                time.sleep(pause_s)
                sender.enqueue({"n": n})

    thread = threading.Thread(target=put)
    thread.start()
    taken: list[int] = []
    while len(taken) < tasks and until not in taken:
        for hand in queue.take(timeout=5.0):
            queue.finish([hand.done()])
            taken.append(hand.task["n"])
    thread.join()
    return taken
