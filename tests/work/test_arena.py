"""Shared memory for big tasks: used again, never read by mistake, and nobody's for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgpack
import numpy as np
import pytest
import redis
from redis_fixtures import new_name, own_server, wait_for

from toolkit.work import arena, layout, segments
from toolkit.work.arena import Arena
from toolkit.work.codec import decode, encode_pieces
from toolkit.work.connection import RedisConnection
from toolkit.work.parcels import packed_runs
from toolkit.work.segments import ArenaReader
from toolkit.work.task_queue import TaskQueue

FRAME = np.arange(60_000, dtype=np.uint16).reshape(300, 200)


@pytest.fixture
def queue():
    with own_server() as (_, url), TaskQueue(new_name(), url, lease_s=0.3) as queue:
        yield queue


def _folder(url: str) -> Path:
    return Path(url.removeprefix("unix://")).parent / "bodies"


def _in_use(queue: TaskQueue) -> int:
    with redis.Redis.from_url(queue.url) as client:
        return sum(client.bitcount(key) for key in client.keys("*:used:*"))


def test_the_same_memory_serves_task_after_task(queue):
    for n in range(50):
        queue.enqueue({"frame": FRAME, "n": n})
        assert queue.dequeue()["n"] == n

    assert len(list(_folder(queue.url).iterdir())) == 1
    assert _in_use(queue) == 0


def test_many_sizes_at_once_come_back_equal(queue):
    frames = [np.full(size, size % 251, np.uint8) for size in range(33_000, 3_000_000, 240_000)]
    queue.enqueue_many({"frame": frame} for frame in frames)

    for frame, task in zip(frames, queue.dequeue_many(100), strict=True):
        np.testing.assert_array_equal(task["frame"], frame)


def test_memory_is_in_use_from_the_put_of_a_task_to_its_end_whether_ended_together_or_alone(queue):
    queue.enqueue_many([*({"crop": FRAME[:, :100], "n": n} for n in range(40)), {"n": 40}] * 2)
    put = _in_use(queue)
    first, *others = queue.take(41)
    queue.finish([first.done()])
    alone = _in_use(queue)
    queue.finish(hand.done() for hand in others)

    assert (put, alone, _in_use(queue)) == (80, 79, 40)
    assert len(queue.dequeue_many(100)) == 41
    assert _in_use(queue) == 0


@pytest.mark.parametrize(
    ("slots", "runs"),
    [([], []), ([7], [(7, 1)]), ([5, 3, 4, 9], [(3, 3), (9, 1)]), (range(40), [(0, 32), (32, 8)])],
)
def test_slots_that_lie_side_by_side_are_told_as_one_run(slots, runs):
    segment = b"01234567-0123456789ab-4096"
    places = [b"@%b:%d:4000" % (segment, slot) for slot in slots]

    told = msgpack.unpackb(packed_runs([*places, b"", b"@", b"@../x:1:2"]) or b"\x90", raw=True)

    assert told == [value for first, number in runs for value in (segment, first, number)]


def test_a_late_worker_neither_reads_nor_frees_what_took_the_place_of_its_task(queue, monkeypatch):
    # Room for one task.
    monkeypatch.setattr(arena, "SEGMENT_BYTES", 1)
    monkeypatch.setattr(arena, "MOST_BYTES", 140_000)
    queue.enqueue({"frame": FRAME})
    (late,) = queue.take_unopened(1, 0.0)
    (again,) = queue.take(1, timeout=5)
    queue.finish([again.done()])
    queue.enqueue({"frame": FRAME[::-1]})

    assert queue.open(late).outcome == "failed"
    assert queue.finish([late.done()]) == 1
    np.testing.assert_array_equal(queue.dequeue()["frame"], FRAME[::-1])


def test_a_worker_that_is_quicker_than_the_sender_waits_for_it():
    with own_server() as (_, url):
        home, reader = Arena(str(_folder(url)), RedisConnection(url), "used:"), ArenaReader(str(_folder(url)))
        stored = home.announce([("a-1", encode_pieces({"frame": FRAME}))])
        writer = threading.Timer(0.1, stored.write)
        writer.start()

        body = reader.read(stored.places["a-1"], "a-1")

        writer.join()
        np.testing.assert_array_equal(decode(body)["frame"], FRAME)


def test_what_a_sender_had_not_written_when_it_died_is_given_up(monkeypatch):
    monkeypatch.setattr(segments, "_PATIENCE_S", 0.05)
    with own_server() as (_, url):
        home, reader = Arena(str(_folder(url)), RedisConnection(url), "used:"), ArenaReader(str(_folder(url)))
        stored = home.announce([("a-1", encode_pieces({"frame": FRAME}))])

        assert reader.read(stored.places["a-1"], "a-1") is None


@pytest.mark.parametrize(
    "place",
    ["@", "@x:1:1", "@../../etc/passwd:0:10", "@{name}:70000:10", "@{name}:0:999999999", "@{name}:1:2", "@:"],
)
def test_a_strangers_place_stops_nobody_and_shows_nothing(queue, place):
    queue.enqueue({"frame": FRAME})
    name = next(_folder(queue.url).iterdir()).name
    with redis.Redis.from_url(queue.url) as client:
        key = f"toolkit:{{{queue.name}}}:tasks:high"
        client.xadd(key, {"i": "stranger", "b": place.format(name=name)})

    np.testing.assert_array_equal(queue.dequeue()["frame"], FRAME)
    assert [letter.task for letter in queue.dead_letters.newest()] == [None]


def test_with_the_last_task_a_closed_sender_leaves_no_memory_to_the_next_one():
    with own_server() as (_, url):
        name = new_name()
        with TaskQueue(name, url) as sender:
            sender.enqueue({"frame": FRAME})
        assert len(list(_folder(url).iterdir())) == 1

        with TaskQueue(name, url) as other:
            np.testing.assert_array_equal(other.dequeue()["frame"], FRAME)
            other.enqueue({"frame": FRAME})
            assert len(list(_folder(url).iterdir())) == 1
            other.clear()

        assert list(_folder(url).iterdir()) == []


_SENDER = """
import sys, time, numpy as np
from toolkit.work.parcels import packed_runs
from toolkit.work.segments import ArenaReader
from toolkit.work.task_queue import TaskQueue
queue = TaskQueue(sys.argv[1], sys.argv[2])
queue.enqueue_many({"frame": np.full((300, 200), n, np.uint16), "n": n} for n in range(5))
print("sent", flush=True)
time.sleep(60)
"""


def test_tasks_of_a_killed_sender_are_done_and_its_memory_is_taken_over(queue):
    command = [sys.executable, "-c", _SENDER, queue.name, queue.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sender:
        assert sender.stdout.readline() == b"sent\n"
        sender.send_signal(signal.SIGKILL)
    left = set(_folder(queue.url).iterdir())

    first = queue.dequeue()
    queue.enqueue({"frame": FRAME, "n": 5})
    tasks = [first, *queue.dequeue_many(10)]

    assert [task["n"] for task in tasks] == [0, 1, 2, 3, 4, 5]
    assert all((task["frame"] == n).all() for n, task in enumerate(tasks[:5]))
    assert set(_folder(queue.url).iterdir()) == left
    assert _in_use(queue) == 0


def test_a_forked_child_writes_into_memory_of_its_own(queue):
    queue.enqueue({"frame": FRAME, "n": 0})
    if (child := os.fork()) == 0:
        queue.enqueue({"frame": FRAME[::-1], "n": 1})
        os._exit(0)
    os.waitpid(child, 0)
    queue.enqueue({"frame": FRAME, "n": 2})

    tasks = queue.dequeue_many(3)

    assert [task["n"] for task in tasks] == [0, 1, 2]
    np.testing.assert_array_equal(tasks[1]["frame"], FRAME[::-1])


def test_a_dead_letter_does_not_keep_shared_memory_and_can_be_put_in_again(queue):
    queue.enqueue({"frame": FRAME})
    queue.finish([queue.take()[0].failed("no")])
    assert _in_use(queue) == 0

    assert queue.dead_letters.requeue() == 1

    np.testing.assert_array_equal(queue.dequeue()["frame"], FRAME)
    with redis.Redis.from_url(queue.url) as client:
        assert client.keys("*:body:*") == []


def test_big_dead_letters_are_kept_up_to_a_limit_and_the_newest_always(queue, monkeypatch):
    monkeypatch.setattr(layout, "KEPT_DEAD_BYTES", 2.5 * FRAME.nbytes)
    for n in range(4):
        queue.enqueue({"frame": FRAME, "n": n})
        queue.finish([queue.take()[0].failed("no")])
    assert [letter.task["n"] for letter in queue.dead_letters.newest()] == [3, 2]

    monkeypatch.setattr(layout, "KEPT_DEAD_BYTES", 0)
    queue.enqueue({"frame": FRAME, "n": 4})
    queue.finish([queue.take()[0].failed("no")])

    assert [letter.task["n"] for letter in queue.dead_letters.newest()] == [4]


def test_a_task_that_was_not_put_gives_its_slot_back(queue):
    with TaskQueue(queue.name, queue.url, max_waiting=1, when_full="refuse") as narrow:
        narrow.enqueue({"frame": FRAME})
        for _ in range(200):
            with pytest.raises(Exception, match="holds its 1 tasks"):
                narrow.enqueue({"frame": FRAME})

    assert _in_use(queue) == 1
    assert len(list(_folder(queue.url).iterdir())) == 1
    wait_for(lambda: queue.size() == 1)
