"""Results come back once, whatever happens to the connection that brings them."""

from __future__ import annotations

import gc

import pytest
import redis
from redis_fixtures import new_name, wait_for

from toolkit.errors import QueueUnavailable
from toolkit.work.connection import _Line
from toolkit.work.task_queue import TaskQueue


@pytest.fixture
def queue():
    with TaskQueue(new_name()) as queue:
        yield queue


def _finished(queue, number):
    handles = queue.submit_many({"n": n} for n in range(number))
    queue.finish(hand.done(hand.task["n"]) for hand in queue.take(number))
    return handles


class _CutLine(_Line):
    """A connection that dies when the answer is on its way: Redis has given it, and nobody has got it."""

    def ask(self, command, meanwhile=None):
        super().ask(command, meanwhile)
        raise redis.ConnectionError("cut")

    def ask_all(self, commands):
        super().ask_all(commands)
        raise redis.ConnectionError("cut")


@pytest.mark.parametrize("fetched_before", [0, 3])
def test_results_that_were_lost_on_their_way_are_read_again(queue, fetched_before):
    connection = queue._connection
    _finished(queue, fetched_before)
    queue.get_results(10)
    _finished(queue, 5)

    connection._lines = [_CutLine(connection._client.connection_pool.make_connection())]
    with pytest.raises(QueueUnavailable):
        queue.get_results(10, timeout=5)

    assert [record["result"] for record in queue.get_results(10, timeout=5)] == [0, 1, 2, 3, 4]
    assert queue.get_results(10) == []


def test_results_that_nobody_fetches_in_time_are_deleted():
    with TaskQueue(new_name(), results_expire_s=0.5) as queue:
        client = redis.Redis.from_url(queue.url)
        key = queue._streams.result_key
        _finished(queue, 2)
        assert client.exists(key)

        wait_for(lambda: not client.exists(key))
        assert queue.get_results(10, timeout=0.1) == []
        _finished(queue, 1)
        assert [record["result"] for record in queue.get_results(1, timeout=5)] == [0]


def test_results_that_were_fetched_leave_redis_with_the_next_fetch_or_with_the_queue(queue):
    client = redis.Redis.from_url(queue.url)
    key = queue._streams.result_key
    _finished(queue, 5)
    queue.get_results(10)
    _finished(queue, 1)
    queue.get_results(10)

    assert client.xlen(key) == 1
    queue.close()
    assert not client.exists(key)


def test_a_handle_knows_its_result_after_another_fetched_it(queue):
    handles = _finished(queue, 300)
    late = handles.pop()
    handles.clear()

    assert len(queue.get_results(300, timeout=5)) == 300
    assert (late.is_done(), late.result(timeout=0)) == (True, 299)


def test_results_of_handles_that_nobody_holds_are_not_kept(queue):
    _finished(queue, 3)
    gc.collect()

    assert len(queue.get_results(3, timeout=5)) == 3
    wait_for(lambda: not queue._results._sent)
    assert not queue._results._arrived


@pytest.mark.parametrize("mess", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\x95\x01\x02\x03\x04\x05"])
def test_a_result_that_cannot_be_read_keeps_no_other_back(queue, mess, caplog):
    (handle,) = _finished(queue, 1)
    hand_made = b"\x91\xa0" if not mess else b"\x91" + bytes([0xA0 + len(mess)]) + mess
    redis.Redis.from_url(queue.url).xadd(queue._streams.result_key, {"r": hand_made})
    queue._results._outstanding += 1

    assert [record["task_id"] for record in queue.get_results(10, timeout=5)] == [handle]
    assert "cannot be read" in caplog.text
