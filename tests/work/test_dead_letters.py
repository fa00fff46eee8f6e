"""Dead letters: what failed for good can be read, tried again, and dropped."""

from __future__ import annotations

import time

import numpy as np
import pytest
import redis
from redis_fixtures import new_name, wait_for

from toolkit.errors import TaskError
from toolkit.work.task_queue import TaskQueue
from toolkit.work.worker_pool import WorkerPool


@pytest.fixture
def queue():
    with TaskQueue(new_name()) as queue:
        yield queue


def _fail(queue, *tasks):
    """Run tasks with a handler that is broken."""
    with WorkerPool(1, {"t": lambda task: task["missing"]}, queue) as pool:
        for handle in pool.submit_tasks({"type": "t", **task} for task in tasks):
            with pytest.raises(TaskError):
                handle.result(timeout=10)
    return [letter.task_id for letter in reversed(queue.dead_letters.newest())]


def test_a_letter_tells_what_failed_and_where(queue):
    _fail(queue, {"n": 1, "frame": np.arange(50_000)})

    (letter,) = queue.dead_letters.newest()

    assert letter.task is not None
    assert letter.task["n"] == 1
    np.testing.assert_array_equal(letter.task["frame"], np.arange(50_000))
    assert letter.error == "KeyError: 'missing'"
    assert 'task["missing"]' in letter.traceback
    assert abs(letter.died_at - time.time()) < 60


def test_the_newest_letter_comes_first_and_no_more_than_asked(queue):
    _fail(queue, {"n": 1}, {"n": 2}, {"n": 3})

    assert [letter.task["n"] for letter in queue.dead_letters.newest(2)] == [3, 2]
    assert len(queue.dead_letters) == 3


def test_a_letter_put_in_again_is_done_by_a_better_handler(queue):
    _fail(queue, {"n": 1, "frame": np.zeros(50_000)}, {"n": 2})

    assert queue.dead_letters.requeue() == 2
    with WorkerPool(1, {"t": lambda task: task["n"]}, queue):
        wait_for(lambda: queue.statistics()["done"] == 2)

    assert [result["result"] for result in queue.get_results()] == [1, 2]
    assert len(queue.dead_letters) == 0


def test_one_letter_is_named_by_its_id_alone(queue):
    first, second = _fail(queue, {"n": 1}, {"n": 2})

    assert queue.dead_letters.requeue(second) == 1
    assert queue.dead_letters.drop(first) == 1

    assert queue.dequeue() == {"type": "t", "n": 2}


def test_only_the_named_letters_are_put_in_again_or_dropped(queue):
    first, second, third = _fail(queue, {"n": 1}, {"n": 2}, {"n": 3})

    assert queue.dead_letters.requeue([second]) == 1
    assert queue.dead_letters.drop([third, "no such task"]) == 1

    assert queue.dequeue() == {"type": "t", "n": 2}
    assert [letter.task_id for letter in queue.dead_letters.newest()] == [first]


def test_a_letter_that_cannot_be_read_is_listed_all_the_same(queue):
    queue.size()
    with redis.Redis.from_url(queue.url) as client:
        client.xadd(f"toolkit:{{{queue.name}}}:tasks:normal", {"i": "strange", "b": b"\xc1"})
    assert queue.dequeue() is None

    (letter,) = queue.dead_letters.newest()
    assert (letter.task_id, letter.task) == ("strange", None)
    assert "cannot be read" in letter.error
    assert queue.dead_letters.requeue() == 1
