"""Many items, one call."""

import math
import threading

import numpy as np
import pytest
from fakes import Table
from waiting import wait_until

from toolkit.errors import BatchSizeMismatch, ConfigError, ShapeError
from toolkit.live.batch import BatchProcessor
from toolkit.live.batch_frames import FrameBatchProcessor


def doubled(items):
    return [2 * item for item in items]


def test_a_full_batch_comes_back_from_the_item_that_filled_it():
    with BatchProcessor(batch_size=3, timeout=60, process_fn=doubled) as processor:
        answers = [processor.add_item(n) for n in range(6)]

    assert answers == [None, None, [0, 2, 4], None, None, [6, 8, 10]]


def test_flush_returns_what_is_left_and_then_nothing():
    with BatchProcessor(batch_size=10, timeout=60, process_fn=doubled) as processor:
        for n in range(3):
            processor.add_item(n)

        assert processor.flush() == [0, 2, 4]
        assert processor.flush() == []


def test_a_half_full_batch_is_processed_when_due_though_nobody_adds_anything():
    done = threading.Event()

    def process(items):
        done.set()
        return items

    with BatchProcessor(batch_size=10, timeout=0.02, process_fn=process) as processor:
        processor.add_item("alone")

        assert done.wait(5)
        assert processor.flush() == ["alone"]
        assert processor.get_statistics()["closed_due"] == 1


def test_results_of_a_batch_that_fell_due_come_with_the_next_item():
    with BatchProcessor(batch_size=10, timeout=0.01, process_fn=doubled) as processor:
        processor.submit(0).result(5)
        processor.add_item(1)
        wait_until(lambda: processor._undelivered[0][0].done())

        assert processor.add_item(2) == [2]


@pytest.mark.parametrize("by_asking", [False, True])
def test_every_thread_gets_the_result_of_its_own_item(by_asking):
    wrong = []
    all_there = threading.Barrier(16)

    def ask(first):
        all_there.wait()
        for n in range(first, first + 50):
            result = processor.ask(n, 10) if by_asking else processor.submit(n).result(10)
            if result != 2 * n:
                wrong.append(n)

    with BatchProcessor(batch_size=8, timeout=0.002, process_fn=doubled) as processor:
        callers = [threading.Thread(target=ask, args=(1000 * n,)) for n in range(16)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        statistics = processor.get_statistics()

    assert wrong == []
    assert statistics["items"] == 800
    assert statistics["mean_batch_size"] > 2


def test_who_asks_alone_does_not_wait_for_others():
    with BatchProcessor(batch_size=10, timeout=60, process_fn=doubled) as processor:
        answers = [processor.submit(n).result(10) for n in range(5)]

        assert answers == [0, 2, 4, 6, 8]
        assert processor.get_statistics()["closed_early"] == 5


def test_an_answer_somebody_waits_for_does_not_wait_for_others_though_another_thread_asked():
    with BatchProcessor(batch_size=10, timeout=60, process_fn=doubled) as processor:
        asked: list = []
        asker = threading.Thread(target=lambda: asked.extend(processor.submit_many([1, 2])))
        asker.start()
        asker.join()

        assert [answer.result(10) for answer in asked] == [2, 4]


def test_callers_that_come_again_and_again_share_batches_and_sit_out_no_wait():
    def slowly(items):
        threading.Event().wait(0.01)
        return items

    def ask():
        for n in range(20):
            processor.submit(n).result(20)

    with BatchProcessor(batch_size=32, timeout=1, process_fn=slowly) as processor:
        callers = [threading.Thread(target=ask) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        statistics = processor.get_statistics()

    assert statistics["mean_batch_size"] > 2
    # Only those who do not come any more are waited for in vain, each once.
    assert statistics["closed_due"] <= 4


def test_a_caller_that_gives_up_does_not_hold_up_those_behind_it():
    gate = threading.Event()
    results: list = []

    def process(items):
        gate.wait(10)
        return items

    with BatchProcessor(batch_size=3, timeout=60, process_fn=process) as processor:
        first, *others = processor.submit_many("abc")
        waiting = [threading.Thread(target=lambda a=a: results.append(a.result(20))) for a in others]
        with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
            first.result(0.01)
        for thread in waiting:
            thread.start()
        wait_until(lambda: processor._room.standing == 2)
        gate.set()
        for thread in waiting:
            thread.join()

    assert sorted(results) == ["b", "c"]
    assert first.result(0) == "a"


def test_who_asks_and_gives_up_leaves_its_item_to_its_batch():
    gate = threading.Event()
    seen: list = []

    def process(items):
        gate.wait(10)
        seen.extend(items)
        return items

    with BatchProcessor(batch_size=8, timeout=60, process_fn=process) as processor:
        with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
            processor.ask("a", 0.01)
        gate.set()

        assert processor.ask("b", 10) == "b"

    assert seen == ["a", "b"]
    with pytest.raises(RuntimeError, match="closed"):
        processor.ask("c")


def test_two_threads_may_wait_for_the_same_answer():
    gate = threading.Event()
    results: list = []

    def process(items):
        gate.wait(10)
        return items

    with BatchProcessor(batch_size=1, timeout=0, process_fn=process) as processor:
        answer = processor.submit("both")
        waiting = [threading.Thread(target=lambda: results.append(answer.result(20))) for _ in range(2)]
        for thread in waiting:
            thread.start()
        wait_until(lambda: processor._room.standing == 2)
        gate.set()
        for thread in waiting:
            thread.join()

    assert results == ["both", "both"]


@pytest.mark.parametrize("error", [SystemExit(3), StopIteration("empty"), KeyError("x")])
def test_whatever_the_function_raises_reaches_the_callers_and_the_processor_goes_on(error):
    def process(items):
        if items == ["bad"]:
            raise error
        return items

    with BatchProcessor(batch_size=1, timeout=0, process_fn=process) as processor:
        bad = processor.submit("bad")

        assert bad.exception(10) is error
        assert processor.submit("good").result(10) == "good"


def test_a_function_that_returns_nothing_is_named():
    with BatchProcessor(batch_size=1, timeout=0, process_fn=lambda items: None) as processor:
        error = processor.submit(1).exception(10)

    assert isinstance(error, BatchSizeMismatch)
    assert "1 items went in, a NoneType came out" in str(error)


def test_add_item_never_returns_another_callers_results():
    collected = {}

    def feed(name):
        results = []
        for n in range(100):
            results += processor.add_item((name, n)) or []
        collected[name] = results

    with BatchProcessor(batch_size=7, timeout=60, process_fn=list) as processor:
        feeders = [threading.Thread(target=feed, args=(name,)) for name in "abc"]
        for feeder in feeders:
            feeder.start()
        for feeder in feeders:
            feeder.join()
        rest = processor.flush()

    assert all(owner == name for name, results in collected.items() for owner, _ in results)
    assert sum(map(len, collected.values())) + len(rest) == 300


def test_items_submitted_at_once_share_a_batch_even_when_nothing_waits_for_more():
    sizes = []

    def process(items):
        sizes.append(len(items))
        return items

    with BatchProcessor(batch_size=8, timeout=0, process_fn=process) as processor:
        futures = processor.submit_many(range(12))

        assert [future.result(5) for future in futures] == list(range(12))
        assert processor.submit_many([]) == []
    assert sizes == [8, 4]


def test_an_item_behind_a_full_batch_does_not_wait_for_its_own_batch_to_fill():
    gate = threading.Event()

    def process(items):
        gate.wait(5)
        return items

    with BatchProcessor(batch_size=2, timeout=60, process_fn=process) as processor:
        for n in range(4):
            processor.submit(n)

        assert processor.add_item(4) is None
        gate.set()
        assert processor.flush() == [4]


def test_a_failing_batch_fails_its_items_and_not_the_next_batch():
    def fail_on_negative(items):
        if min(items) < 0:
            raise ValueError("negative")
        return items

    with BatchProcessor(batch_size=2, timeout=60, process_fn=fail_on_negative) as processor:
        processor.add_item(1)
        with pytest.raises(ValueError, match="negative"):
            processor.add_item(-1)
        processor.add_item(2)

        assert processor.add_item(3) == [2, 3]
        assert processor.get_statistics()["failed_items"] == 2


def test_a_wrong_number_of_results_is_named():
    with BatchProcessor(batch_size=2, timeout=60, process_fn=lambda items: items[:1]) as processor:
        processor.add_item(1)
        with pytest.raises(BatchSizeMismatch, match="2 items went in, 1 came out"):
            processor.add_item(2)


def test_a_table_that_is_no_list_of_results_fails_its_batch_and_not_the_next():
    answers = iter([Table(rows=1), ["good"]])

    with BatchProcessor(batch_size=1, timeout=0, process_fn=lambda items: next(answers)) as processor:
        assert isinstance(processor.submit(1).exception(10), BatchSizeMismatch)
        assert processor.submit(2).result(10) == "good"


def test_a_processor_nobody_feeds_lets_its_thread_go_and_starts_again():
    processor = BatchProcessor(batch_size=1, timeout=0, process_fn=doubled)
    processor.add_item(1)
    thread = processor._thread
    thread.join(5)

    assert not thread.is_alive()
    assert processor.add_item(2) == [4]
    processor.close()


def test_a_closed_processor_has_done_its_work_and_takes_no_more():
    processor = BatchProcessor(batch_size=10, timeout=60, process_fn=doubled)
    waiting = processor.submit(21)

    processor.close()
    processor.close()

    assert waiting.result(0) == 42
    with pytest.raises(RuntimeError, match="closed"):
        processor.submit(1)


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 0},
        {"batch_size": 1.5},
        {"timeout": -1},
        {"timeout": math.nan},
        {"timeout": math.inf},
        {"timeout": 2 * threading.TIMEOUT_MAX},
        {"process_fn": None},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ConfigError):
        BatchProcessor(**{"batch_size": 1, "timeout": 1.0, "process_fn": doubled, **settings})


def test_frames_are_stacked_and_seen_in_one_call():
    shapes = []

    def process(frames, metadata):
        shapes.append(frames.shape)
        return [int(frame[0, 0, 0]) + number for frame, number in zip(frames, metadata, strict=True)]

    with FrameBatchProcessor(batch_size=3, timeout=60, process_fn=process) as processor:
        answers = [processor.add_frame(np.full((4, 6, 3), n, np.uint8), 100 * n) for n in range(3)]

    assert answers == [None, None, [0, 101, 202]]
    assert shapes == [(3, 4, 6, 3)]


def test_frames_of_two_sizes_in_one_batch_keep_their_order():
    def sizes(frames, metadata):
        return [frames.shape[1:3]] * len(frames)

    with FrameBatchProcessor(batch_size=3, timeout=60, process_fn=sizes) as processor:
        for size in ((4, 4), (8, 8)):
            processor.add_frame(np.zeros((*size, 3), np.uint8))
        answers = processor.add_frame(np.zeros((4, 4, 3), np.uint8))

    assert answers == [(4, 4), (8, 8), (4, 4)]


def test_without_a_function_a_full_batch_of_frames_comes_back_with_its_metadata():
    frame = np.zeros((4, 4, 3), np.uint8)
    with FrameBatchProcessor(batch_size=1) as processor:
        [answer] = processor.add_frame(frame, {"camera": "door"})

    assert answer["frame"] is frame
    assert answer["metadata"] == {"camera": "door"}


def test_what_is_not_a_frame_is_refused_at_once():
    with FrameBatchProcessor(batch_size=1) as processor, pytest.raises(ShapeError, match="float64"):
        processor.add_frame(np.zeros((4, 4, 3)))
