"""Big tasks: in shared memory or in Redis, equal either way, and gone when they are done."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import redis
from redis_fixtures import new_name, own_server

from toolkit.errors import TaskError
from toolkit.work import arena
from toolkit.work.task_queue import TaskQueue

FRAME = np.arange(60_000, dtype=np.uint16).reshape(300, 200)


@pytest.fixture(params=["shared memory", "redis"])
def place(request):
    """A queue, and a function that counts the bodies that lie apart."""
    with own_server() as (_, url):
        folder = Path(url.removeprefix("unix://")).parent / "bodies"
        if request.param == "redis":
            os.unlink(folder)
        with TaskQueue(new_name(), url, lease_s=0.3) as queue, redis.Redis.from_url(url) as client:

            def count() -> int:
                return len(client.keys("*:body:*")) + sum(
                    client.bitcount(key) for key in client.keys("*:used:*")
                )

            yield queue, count


def test_a_frame_comes_back_equal_and_writable_and_leaves_nothing(place):
    queue, count = place
    queue.enqueue({"frame": FRAME, "n": 1})
    assert count() == 1

    task = queue.dequeue()

    np.testing.assert_array_equal(task["frame"], FRAME)
    task["frame"][:] = 0
    assert count() == 0


def test_a_small_task_does_not_lie_apart(place):
    queue, count = place
    queue.enqueue({"crop": np.zeros(1000)})

    assert count() == 0


def test_a_second_worker_gets_the_frame_as_it_was_sent(place):
    queue, _ = place
    queue.enqueue({"frame": FRAME})
    queue.take()[0].task["frame"][:] = 0

    again = queue.take(timeout=5)[0]

    np.testing.assert_array_equal(again.task["frame"], FRAME)


@pytest.mark.parametrize("options", [{}, {"delay_s": 60}])
def test_clear_removes_bodies(place, options):
    queue, count = place
    queue.enqueue_many([{"frame": FRAME}] * 3, **options)

    assert queue.clear() == 3
    assert count() == 0


def test_an_expired_task_leaves_no_body(place):
    queue, count = place
    queue.enqueue({"frame": FRAME}, deadline_s=0.001)
    queue.enqueue({"n": 2})
    time.sleep(0.02)

    assert queue.dequeue() == {"n": 2}
    assert count() == 0


def test_a_task_that_a_full_queue_drops_leaves_no_body(place):
    queue, count = place
    with TaskQueue(queue.name, queue.url, max_waiting=2, when_full="drop_oldest") as bounded:
        bounded.enqueue_many([{"frame": FRAME}] * 5)

    assert count() == 2


def test_a_dead_letter_keeps_its_body_until_it_is_dropped(place):
    queue, count = place
    queue.enqueue({"frame": FRAME})
    queue.finish([queue.take()[0].failed("no")])

    (letter,) = queue.dead_letters.newest()
    np.testing.assert_array_equal(letter.task["frame"], FRAME)
    assert count() == 1
    assert queue.dead_letters.drop() == 1
    assert count() == 0


def test_a_task_whose_body_is_gone_fails_and_says_so(place):
    queue, _ = place
    handle = queue.submit({"frame": FRAME})
    folder = Path(queue.url.removeprefix("unix://")).parent / "bodies"
    for path in folder.iterdir() if folder.exists() else []:
        path.unlink()
    with redis.Redis.from_url(queue.url) as client:
        client.delete(*client.keys("*:body:*") or ["none"])

    assert queue.dequeue() is None
    with pytest.raises(TaskError, match="cannot be read"):
        handle.result(timeout=5)


def test_where_shared_memory_is_full_redis_takes_the_frame(monkeypatch):
    with own_server() as (_, url), TaskQueue(new_name(), url) as queue:
        monkeypatch.setattr(arena, "MOST_BYTES", 0)
        queue.enqueue({"frame": FRAME})

        task = queue.dequeue()

    assert task is not None
    np.testing.assert_array_equal(task["frame"], FRAME)


def test_a_stranger_cannot_name_another_file(tmp_path):
    with own_server() as (_, url), TaskQueue(new_name(), url) as queue:
        victim = Path(url.removeprefix("unix://")).parent / "victim"
        victim.write_bytes(b"\x80")
        queue.size()
        with redis.Redis.from_url(url) as client:
            client.xadd(f"toolkit:{{{queue.name}}}:tasks:normal", {"i": "../victim", "b": ""})

        assert queue.dequeue() is None
        assert victim.exists()


def test_the_folder_of_shared_memory_goes_with_the_server():
    with own_server() as (_, url), TaskQueue(new_name(), url) as queue:
        folder = (Path(url.removeprefix("unix://")).parent / "bodies").resolve()
        queue.enqueue({"frame": FRAME})
        assert len(list(folder.iterdir())) == 1

    assert not folder.exists()
