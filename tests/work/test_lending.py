"""Tasks read where they lie in shared memory: no copy, and never another task's bytes."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import redis
from redis_fixtures import new_name, own_server, wait_for

from toolkit.work import arena
from toolkit.work.handlers import reads_in_place
from toolkit.work.task_queue import TaskQueue
from toolkit.work.worker_pool import WorkerPool

FRAME = np.arange(60_000, dtype=np.uint16).reshape(300, 200)


@pytest.fixture
def queue():
    with own_server() as (_, url), TaskQueue(new_name(), url, lease_s=0.3) as queue:
        yield queue


@pytest.fixture
def narrow(monkeypatch):
    """Shared memory for one frame."""
    monkeypatch.setattr(arena, "SEGMENT_BYTES", 1)
    monkeypatch.setattr(arena, "MOST_BYTES", 140_000)


def _lent(queue):
    (hand,) = queue.take_unopened(1, 1.0)
    queue.lend([hand])
    return hand


def _bodies_in_redis(queue):
    with redis.Redis.from_url(queue.url) as client:
        return len(client.keys("*:body:*"))


def test_a_handler_that_says_so_gets_its_frame_without_a_copy_and_cannot_write_to_it(queue):
    frames = []
    handlers = {"reads": reads_in_place(lambda task: frames.append(task["frame"])), "draws": _draw}

    with WorkerPool(1, handlers, queue) as pool:
        pool.submit_task({"type": "reads", "frame": FRAME}).result(timeout=10)
        drawn = pool.submit_task({"type": "draws", "frame": FRAME}).result(timeout=10)

    np.testing.assert_array_equal(frames[0], FRAME)
    assert not frames[0].flags.writeable
    assert drawn == 0


def _draw(task):
    task["frame"][:] = 0
    return int(task["frame"].max())


def test_what_a_handler_keeps_stays_its_own_while_others_pass_through_the_same_memory(queue):
    kept = []
    keep = reads_in_place(lambda task: kept.append(task["frame"][::2]))
    with WorkerPool(1, {"keep": keep}, queue) as pool:
        for n in range(30):
            pool.submit_task({"type": "keep", "frame": np.full((300, 200), n, np.uint16)}).result(timeout=10)
            del kept[:-3]

    assert [int(rows.min()) for rows in kept] == [int(rows.max()) for rows in kept] == [27, 28, 29]


def test_a_late_reader_keeps_its_bytes_and_the_next_task_goes_another_way(queue, narrow):
    queue.enqueue({"frame": FRAME, "type": "x"})
    late = _lent(queue)
    assert queue.open(late, {"x"}) is None
    (again,) = queue.take(1, timeout=5)
    queue.finish([again.done()])

    queue.enqueue({"frame": FRAME[::-1]})

    assert _bodies_in_redis(queue) == 1
    np.testing.assert_array_equal(late.task["frame"], FRAME)
    np.testing.assert_array_equal(queue.dequeue()["frame"], FRAME[::-1])
    assert queue.finish([late.done()]) == 1


def test_memory_is_used_again_as_soon_as_nothing_refers_to_it(queue, narrow):
    queue.enqueue({"frame": FRAME, "type": "x"})
    hand = _lent(queue)
    queue.open(hand, {"x"})
    part = hand.task["frame"][5:7]
    queue.finish([hand.done()])
    hand.task = {}
    queue.enqueue({"n": 0, "frame": FRAME})
    while_part_lives = _bodies_in_redis(queue)
    queue.clear()

    del part
    gc.collect()
    queue.enqueue({"n": 1, "frame": FRAME})

    assert (while_part_lives, _bodies_in_redis(queue)) == (1, 0)


def test_a_reader_that_comes_too_late_reads_nothing(queue, narrow):
    queue.enqueue({"frame": FRAME})
    (late,) = queue.take_unopened(1, 0.0)
    (again,) = queue.take(1, timeout=5)
    queue.finish([again.done()])
    queue.enqueue({"frame": FRAME[::-1]})

    queue.lend([late])

    assert queue.open(late, {"x"}).outcome == "failed"
    np.testing.assert_array_equal(queue.dequeue()["frame"], FRAME[::-1])


def test_one_task_twice_in_one_process_is_lent_once(queue, narrow):
    queue.enqueue({"frame": FRAME, "type": "x"})
    first = _lent(queue)
    queue.open(first, {"x"})
    (second,) = queue.take_unopened(1, 5.0)

    queue.lend([second])
    queue.open(second, {"x"})

    assert second.task["frame"].flags.writeable
    np.testing.assert_array_equal(second.task["frame"], first.task["frame"])


_READER = """
import sys, time
from toolkit.work.task_queue import TaskQueue
queue = TaskQueue(sys.argv[1], sys.argv[2], lease_s=0.3)
hands = queue.take_unopened(1, 5.0)
queue.lend(hands)
queue.open(hands[0], {"x"})
assert not hands[0].task["frame"].flags.writeable
print("reads", flush=True)
time.sleep(60)
"""


def test_a_killed_reader_holds_no_memory(queue, narrow):
    queue.enqueue({"frame": FRAME, "type": "x"})
    command = [sys.executable, "-c", _READER, queue.name, queue.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ}) as reader:
        assert reader.stdout.readline() == b"reads\n"
        reader.send_signal(signal.SIGKILL)

    wait_for(lambda: queue.dequeue() is not None)
    queue.enqueue({"frame": FRAME})

    assert _bodies_in_redis(queue) == 0


def test_many_crops_are_lent_together_and_come_in_order(queue):
    count = reads_in_place(lambda task: (task["n"], int(task["crop"].min()), task["crop"].flags.writeable))
    with WorkerPool(1, {"count": count}, queue) as pool:
        crops = (np.full((128, 128, 3), n, np.uint8) for n in range(200))
        handles = pool.submit_tasks({"type": "count", "crop": crop, "n": n} for n, crop in enumerate(crops))
        results = [handle.result(timeout=10) for handle in handles]

    assert results == [(n, n, False) for n in range(200)]
