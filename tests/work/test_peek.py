"""Looking at queues changes nothing, and shows neither pictures nor passwords."""

from __future__ import annotations

import numpy as np
import pytest
import redis
from redis_fixtures import new_name, own_server

from toolkit.work.peek import describe, peek, queue_names
from toolkit.work.task_queue import TaskQueue


@pytest.fixture
def queue():
    with TaskQueue(new_name()) as queue:
        yield queue


def test_all_queues_of_a_redis_are_found_and_none_is_made():
    with own_server() as (_, url), TaskQueue("b {odd}:name", url) as odd, TaskQueue("a", url) as plain:
        assert queue_names(url) == []
        assert peek(url, "nowhere") == []
        odd.enqueue({})
        plain.size()

        assert queue_names(url) == ["a", "b {odd}:name"]


def test_tasks_are_seen_in_the_order_in_which_they_would_be_taken(queue):
    queue.enqueue({"n": 3}, priority="low")
    queue.enqueue_many([{"n": 1}, {"n": 2}])
    queue.enqueue({"n": 0}, priority="high")
    queue.enqueue({"n": 4}, delay_s=60)

    seen = peek(queue.url, queue.name)

    assert [task.task["n"] for task in seen] == [0, 1, 2, 3, 4]
    assert [task.priority for task in seen] == ["high", "normal", "normal", "low", "normal"]
    assert [task.state for task in seen] == ["waiting"] * 4 + ["delayed"]
    assert -60 <= seen[4].age_s < -50 < 0 <= seen[0].age_s < 10


def test_tasks_in_hand_name_their_holder_and_stay_where_they_are(queue):
    queue.enqueue_many([{"n": 1}, {"n": 2}])
    (hand,) = queue.take(1)

    seen = [peek(queue.url, queue.name) for _ in range(2)][-1]

    assert [(task.state, task.holder, task.attempts) for task in seen] == [
        ("in hand", queue.holder, 1),
        ("waiting", "", 0),
    ]
    assert queue.finish([hand.done()]) == 0
    assert queue.dequeue() == {"n": 2}


def test_each_state_is_shown_up_to_the_count(queue):
    queue.enqueue_many({"n": n} for n in range(20))
    queue.take(5)

    seen = peek(queue.url, queue.name, 3)

    assert [task.state for task in seen] == ["in hand"] * 3 + ["waiting"] * 3
    assert [task.task["n"] for task in seen] == [0, 1, 2, 5, 6, 7]


def test_big_tasks_are_seen_with_their_size(queue):
    frame = np.zeros((720, 1280, 3), np.uint8)
    queue.enqueue({"frame": frame})

    (task,) = peek(queue.url, queue.name)

    assert task.size_bytes > frame.nbytes
    assert describe(task.task) == "frame=uint8 (720, 1280, 3)"


@pytest.mark.parametrize("fields", [{"x": "1"}, {"i": "a", "b": b"\xc1\xff", "a": "many"}])
def test_what_a_stranger_puts_in_is_seen_too(queue, fields):
    queue.size()
    with redis.Redis.from_url(queue.url) as client:
        client.xadd(f"toolkit:{{{queue.name}}}:tasks:normal", fields)

    (task,) = peek(queue.url, queue.name)

    assert (task.state, task.task, task.attempts) == ("waiting", None, 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, 2.5, None]}, "a=[1, 2.5, None]"),
        ({"crops": [np.zeros((2, 3), np.float32)]}, "crops=[float32 (2, 3)]"),
        ({"jpeg": b"\xff\xd8" * 10}, "jpeg=20 bytes"),
        ({"url": "rtsp://me:1234@door/1"}, "url='rtsp://***@door/1'"),
        ({"camera": {"Password": "1234", "name": "door"}}, "camera={Password=***, name='door'}"),
        ({"text": "x" * 500}, f"text='{'x' * 59}..."),
        ({"many": [0] * 10}, "many=[0, 0, 0, 0, 0, 0, 0, 0, 2 more]"),
    ],
)
def test_data_is_described_in_a_line(value, text):
    assert describe(value) == text
