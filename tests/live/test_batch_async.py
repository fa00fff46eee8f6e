"""Many items, one call, in an event loop."""

import asyncio
import threading

import pytest
from fakes import Table

from toolkit.errors import BatchSizeMismatch, ConfigError
from toolkit.live.batch_async import AsyncBatchProcessor


async def doubled(items):
    return [2 * item for item in items]


def test_every_task_gets_the_result_of_its_own_item():
    async def run():
        processor = AsyncBatchProcessor(8, 0.01, doubled)

        async def ask(first):
            return [await processor.submit(n) == 2 * n for n in range(first, first + 50)]

        answers = await asyncio.gather(*[ask(1000 * n) for n in range(16)])
        return answers, processor.get_statistics()

    answers, statistics = asyncio.run(run())

    assert all(all(mine) for mine in answers)
    assert statistics["items"] == 800
    assert statistics["mean_batch_size"] > 6


def test_who_asks_alone_does_not_wait_for_others():
    async def run():
        processor = AsyncBatchProcessor(10, 60, doubled)
        return [await processor.submit(n) for n in range(3)], processor.get_statistics()

    answers, statistics = asyncio.run(run())

    assert answers == [0, 2, 4]
    assert statistics["closed_early"] == 3


def test_one_task_may_ask_for_more_than_a_batch_holds():
    async def run():
        processor = AsyncBatchProcessor(32, 60, doubled)
        for _ in range(3):
            answers = await asyncio.gather(*map(processor.submit, range(40)))
        return answers

    assert asyncio.run(run()) == [2 * n for n in range(40)]


def test_a_loop_that_begins_its_tasks_at_once_changes_nothing():
    def begin_at_once(loop, coroutine, **settings):
        """As asyncio.eager_task_factory of Python 3.12, for one that never waits."""
        with pytest.raises(StopIteration):
            coroutine.send(None)
        over = loop.create_future()
        over.set_result(None)
        return over

    async def run():
        asyncio.get_running_loop().set_task_factory(begin_at_once)
        processor = AsyncBatchProcessor(10, 60, doubled)
        answers = [processor.submit(n) for n in range(3)]
        await asyncio.wait(answers, timeout=5)
        return [answer.done() and answer.result() for answer in answers], processor.get_statistics()

    answers, statistics = asyncio.run(run())

    assert answers == [0, 2, 4]
    assert statistics["batches"] == 1


def test_tasks_that_soon_come_again_are_waited_for():
    async def slowly(items):
        await asyncio.sleep(0.02)
        return items

    async def run():
        processor = AsyncBatchProcessor(32, 1, slowly)

        async def ask():
            for n in range(12):
                await asyncio.sleep(0.002)
                await processor.submit(n)

        async def join_late():
            await asyncio.sleep(0.03)
            await ask()

        await asyncio.gather(ask(), ask(), join_late())
        return processor.get_statistics()

    statistics = asyncio.run(run())

    assert statistics["mean_batch_size"] > 1.8
    assert statistics["closed_due"] <= 3


def test_an_ordinary_function_runs_beside_the_loop():
    began, go_on = threading.Event(), threading.Event()

    def process(items):
        began.set()
        assert go_on.wait(10)
        return [threading.current_thread() is threading.main_thread()] * len(items)

    async def run():
        processor = AsyncBatchProcessor(1, 0, process)
        answer = processor.submit(1)
        while not began.is_set():
            await asyncio.sleep(0.001)
        go_on.set()
        return await answer

    assert asyncio.run(run()) is False


@pytest.mark.parametrize("form", ["async", "thread"])
@pytest.mark.parametrize("error", [ValueError, StopIteration])
def test_a_failing_batch_fails_its_items_and_not_the_next_batch(form, error):
    def fail_on_negative(items):
        if min(items) < 0:
            raise error("negative")
        return items

    async def in_the_loop(items):
        return fail_on_negative(items)

    async def run():
        processor = AsyncBatchProcessor(2, 60, in_the_loop if form == "async" else fail_on_negative)
        answers = await asyncio.gather(*map(processor.submit, [1, -1, 2, 3]), return_exceptions=True)
        return answers, processor.get_statistics()["failed_items"]

    (first, second, *others), failed_items = asyncio.run(run())

    assert first is second
    assert isinstance(first, ValueError if error is ValueError else RuntimeError)
    assert others == [2, 3]
    assert failed_items == 2


def test_a_wrong_number_of_results_is_named():
    async def run():
        await AsyncBatchProcessor(2, 60, lambda items: items[1:]).submit(1)

    with pytest.raises(BatchSizeMismatch, match="1 items went in, 0 came out"):
        asyncio.run(run())


def test_a_table_that_is_no_list_of_results_fails_its_batch_and_not_the_next():
    answers = iter([Table(rows=1), ["good"]])

    async def run():
        processor = AsyncBatchProcessor(1, 60, lambda items: next(answers))
        return await asyncio.wait_for(
            asyncio.gather(*map(processor.submit, range(2)), return_exceptions=True), 10
        )

    mismatch, good = asyncio.run(run())

    assert isinstance(mismatch, BatchSizeMismatch)
    assert good == "good"


def test_a_caller_that_is_cancelled_does_not_hurt_its_neighbours():
    async def run():
        go_on = asyncio.Event()

        async def process(items):
            await go_on.wait()
            return items

        processor = AsyncBatchProcessor(2, 60, process)
        leaving, staying = (asyncio.ensure_future(processor.submit(name)) for name in "ab")
        await asyncio.sleep(0)
        leaving.cancel()
        go_on.set()
        return await staying, await processor.submit("next")

    assert asyncio.run(run()) == ("b", "next")


def test_when_the_loop_ends_nobody_waits_for_an_answer_that_will_not_come():
    async def for_ever(items):
        await asyncio.Event().wait()

    async def run():
        processor = AsyncBatchProcessor(1, 0, for_ever)
        answers = [processor.submit(n) for n in range(2)]
        await asyncio.sleep(0)
        processor._worker.cancel()
        return await asyncio.gather(*answers, return_exceptions=True)

    assert [type(answer) for answer in asyncio.run(run())] == [asyncio.CancelledError] * 2


@pytest.mark.parametrize("turns_of_the_loop", [0, 1, 2])
@pytest.mark.parametrize("is_async", [True, False])
def test_a_loop_that_was_closed_in_the_middle_does_not_hold_up_the_next_one(turns_of_the_loop, is_async):
    released = threading.Event()

    def answer(items):
        released.wait(10)
        return items

    async def answer_async(items):
        await asyncio.sleep(0 if released.is_set() else 60)
        return items

    processor = AsyncBatchProcessor(2, 60, answer_async if is_async else answer)

    async def leave():
        for _ in range(3):
            processor.submit("left behind")
        for _ in range(turns_of_the_loop):
            await asyncio.sleep(0)

    async def ask():
        released.set()
        return await asyncio.wait_for(asyncio.gather(processor.submit(1), processor.submit(2)), 10)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave())
    loop.close()

    assert asyncio.run(ask()) == [1, 2]


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match="batch_size must be at least 1"):
        AsyncBatchProcessor(0, 1.0, doubled)
