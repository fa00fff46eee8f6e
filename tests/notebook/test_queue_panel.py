"""Tables and lines of a queue, drawn from a real one while workers empty it."""

from __future__ import annotations

import threading
import time
import uuid

import pytest
from waiting import wait_until

from toolkit.errors import ConfigError
from toolkit.notebook.queue_panel import QueuePanel, pool_table, queue_over_time, queue_table
from toolkit.work.redis_server import RedisServer
from toolkit.work.task_queue import TaskQueue
from toolkit.work.worker_pool import WorkerPool

HANDLERS = {"nap": lambda task: time.sleep(0.002), "bad": lambda task: {}["missing"]}


@pytest.fixture
def queue():
    with TaskQueue(f"test-{uuid.uuid4().hex[:8]}") as queue:
        yield queue


def _do(pool, *types):
    for handle in pool.submit_tasks({"type": one} for one in types):
        handle.record(timeout=20)


def test_a_queue_is_a_row_of_what_waits_and_what_became_of_the_rest(queue):
    with WorkerPool(1, HANDLERS, queue) as pool:
        _do(pool, "nap", "bad")
    queue.enqueue_many([{"type": "nap"}] * 3)

    table = queue_table(queue)

    row = table.loc[queue.name]
    assert (row["waiting"], row["in hand"], row["done"], row["failed"], row["dead"]) == (3, 0, 1, 1, 1)
    assert 0 <= row["oldest s"] < 10


def test_an_empty_queue_has_no_oldest_task(queue):
    assert queue_table(queue)["oldest s"].isna().all()


def test_threads_of_a_pool_share_a_row_and_processes_have_their_own(queue):
    pool = WorkerPool(2, HANDLERS, queue)
    assert len(pool_table(pool)) == 0
    with pool:
        _do(pool, *["nap"] * 10)
        of_threads = pool_table(pool)
    with WorkerPool(2, f"{__name__}:HANDLERS", queue, backend="processes") as other:
        of_processes = pool_table(other)

    assert of_threads[["workers", "done"]].to_numpy().tolist() == [[2, 10]]
    assert of_threads["run p50"].iloc[0] >= 2
    assert of_processes["workers"].tolist() == [1, 1]
    assert list(of_processes.columns) == list(of_threads.columns)


def test_the_panel_shows_work_as_it_is_done(queue):
    with WorkerPool(2, HANDLERS, queue) as pool, QueuePanel(pool, every_s=0.05) as panel:
        _do(pool, *["nap"] * 300)
        wait_until(lambda: (panel.history()["done/s"] > 0).sum() > 1)

    history = panel.history()
    assert history["done"].iloc[-1] == 300
    assert history["run p50"].iloc[-1] >= 2
    assert queue.name in panel._html["status"].value
    assert "<td>300</td>" in panel._html["queue"].value
    assert "run p99" in panel._html["workers"].value
    assert panel._html["counts"].value.count("<polyline") == 3
    assert panel._html["rates"].value.count("<polyline") == 2


def test_rates_are_those_between_two_looks(queue):
    panel = QueuePanel(queue, every_s=0.2)
    queue.enqueue_many([{}] * 40)
    with panel:
        wait_until(lambda: len(panel.history()))
        in_hand = queue.take(40)
        queue.finish(hand.done() for hand in in_hand)

    rates, times = panel.history()["done/s"], panel.history()["time_s"]
    assert (rates * times.diff()).sum() == pytest.approx(40)


def test_the_panel_waits_for_a_redis_that_is_away():
    server = RedisServer()
    with TaskQueue("tasks", server.start()) as queue, QueuePanel(queue, every_s=0.05) as panel:
        wait_until(lambda: len(panel.history()))
        server.stop()
        wait_until(lambda: "Redis is away" in panel._html["status"].value)

    assert len(panel.history())


def test_the_panel_ends_its_one_thread_and_starts_again(queue):
    panel = QueuePanel(queue, every_s=60)
    panel.close()
    panel.start()
    panel.start()
    assert [thread.name for thread in threading.enumerate()].count("queue-panel") == 1
    panel.close()
    panel.close()
    assert "queue-panel" not in [thread.name for thread in threading.enumerate()]

    with panel:
        pass

    assert len(panel.history()) == 4


def test_the_history_is_a_figure_too_even_when_it_is_empty(queue):
    figure = queue_over_time(QueuePanel(queue).history())

    assert [len(axes.lines) for axes in figure.axes] == [3, 2]


def test_a_panel_that_never_rests_is_refused(queue):
    with pytest.raises(ConfigError, match="every_s"):
        QueuePanel(queue, every_s=0)
