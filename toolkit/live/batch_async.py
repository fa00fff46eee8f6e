"""Many items, one call, for callers that are tasks of an event loop."""

from __future__ import annotations

import asyncio
import inspect
import time
from asyncio import current_task, get_running_loop
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from weakref import ref

from toolkit.live.batch_books import BatchBooks, Reason, check_settings, one_each
from toolkit.live.regulars import Regulars

ProcessFn = Callable[[list[Any]], Sequence[Any] | Awaitable[Sequence[Any]]]
"""Takes a list of items and gives one result for each, in order; ``async def`` or not."""

_Entry = tuple[Any, asyncio.Future, ref, float]
"""An item, its answer, the task that handed it in, and when."""

# While the items always fill a batch it does not matter who comes back, and learning it would cost a tenth.
_LEARN_FROM = 8


class AsyncBatchProcessor:
    """Runs ``process_fn`` once for the items of many tasks of one event loop.

    ::

        processor = AsyncBatchProcessor(batch_size=32, timeout=0.005, process_fn=model)
        label = await processor.submit(crop)

    A batch closes as that of :class:`toolkit.live.batch.BatchProcessor` does: full, due, or early, when every
    task that came back soon the last time is waiting already. One batch is processed at a time. It holds no
    thread and no task while nothing waits, so there is nothing to close.

    Args:
        batch_size: most items in a batch.
        timeout: longest wait of an item for others, in seconds.
        process_fn: takes a list of items and gives one result for each, in order. An ``async def`` runs in
            the event loop; anything else runs in a thread, so that the loop goes on.

    Raises:
        ConfigError: a size or time that makes no sense, or a ``process_fn`` that cannot be called.
    """

    def __init__(
        self, batch_size: int = 10, timeout: float = 1.0, process_fn: ProcessFn | None = None
    ) -> None:
        check_settings(batch_size, timeout, process_fn)
        self._batch_size = batch_size
        self._timeout_s = float(timeout)
        self._process_fn: Any = process_fn
        self._call: Any = (
            self._process_fn if inspect.iscoroutinefunction(process_fn) else self._call_in_thread
        )
        self._waiting: list[_Entry] = []
        self._regulars = Regulars(self._timeout_s)
        self._books = BatchBooks()
        self._worker: asyncio.Task | None = None
        # That of the newest item.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._free_since = 0.0
        # Batches since there were too few items for a full one.
        self._full_in_a_row = 0
        # Set while the worker waits for more items.
        self._alarm: asyncio.Future | None = None

    def submit(self, item: Any) -> asyncio.Future:
        """Add one item; await what comes back for the item's own result, or the error of its batch.

        Raises:
            RuntimeError: no event loop runs here.
        """
        loop = get_running_loop()
        if loop is not self._loop:
            self._move_to(loop)
        answer = loop.create_future()
        # A weak reference: a task that is done must not be kept for what it returned.
        self._waiting.append((item, answer, ref(current_task(loop) or loop), time.monotonic()))
        if self._worker is None:
            # It begins when the loop comes round: after all who are about to hand in something now. One that
            # the loop's factory begins at once (asyncio.eager_task_factory) may be over before it is kept.
            self._worker = asyncio.Task(self._run(loop), loop=loop)
        elif self._alarm is not None and self._reason_to_close():
            _ring(self._alarm)
        return answer

    def get_statistics(self) -> dict[str, Any]:
        """Items, batches and why they closed, sizes and times, as plain values."""
        return self._books.statistics(len(self._waiting))

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve another loop from now on; a closed one may have left its worker in the middle."""
        left, self._loop = self._worker, loop
        if left is not None and left.get_loop().is_closed():
            # Nobody is left there to be answered, and a closed loop takes no answers.
            self._waiting = []
            with suppress(RuntimeError):
                left.get_coro().close()
            self._worker = None

    async def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Process until nothing waits."""
        try:
            while self._waiting:
                reason = self._reason_to_close()
                if reason is None and time.monotonic() >= self._due_at():
                    reason = "due"
                    self._regulars.give_up()
                if reason is None:
                    await self._sleep(loop)
                else:
                    await self._process(reason)
        except BaseException:
            # Somebody ends the loop or this task: nobody may wait for what will not come.
            for _, answer, *_ in self._waiting:
                answer.cancel()
            self._waiting = []
            raise
        finally:
            self._worker = None

    def _reason_to_close(self) -> Reason | None:
        if len(self._waiting) >= self._batch_size:
            return "full"
        self._full_in_a_row = 0
        # Who waits for an answer brings nothing until it is there.
        self._regulars.awaited.difference_update([caller for _, _, caller, _ in self._waiting])
        return None if self._regulars.awaited else "early"

    def _due_at(self) -> float:
        # Here somebody is awaited. While a batch is processed nobody waits for others.
        return max(self._waiting[0][3], self._free_since) + self._timeout_s

    async def _sleep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sleep until the oldest item is due, or until something else closes the batch."""
        self._alarm = loop.create_future()
        timer = loop.call_later(self._due_at() - time.monotonic(), _ring, self._alarm)
        try:
            await self._alarm
        finally:
            self._alarm = None
            timer.cancel()

    async def _process(self, reason: Reason) -> None:
        batch, self._waiting = self._waiting[: self._batch_size], self._waiting[self._batch_size :]
        items, answers, callers, added_at = zip(*batch, strict=True)
        self._books.closed(reason, len(batch))
        self._full_in_a_row += 1
        if is_learning := self._full_in_a_row < _LEARN_FROM:
            self._regulars.came(callers, added_at)
        started = time.monotonic()
        try:
            results = one_each(len(batch), await self._call(list(items)))
        except BaseException as error:
            self._books.failed(len(batch))
            for answer in answers:
                if isinstance(error, asyncio.CancelledError | GeneratorExit):
                    # The loop ends: an error that nobody asks for any more would be told as one of ours.
                    answer.cancel()
                elif not answer.cancelled():
                    answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for answer, result in zip(answers, results, strict=True):
                if not answer.cancelled():
                    answer.set_result(result)
        self._free_since = time.monotonic()
        if is_learning:
            self._regulars.left(callers, self._free_since)
        self._books.took(started - added_at[0], self._free_since - started)

    async def _call_in_thread(self, items: list[Any]) -> Sequence[Any]:
        return await asyncio.to_thread(_call, self._process_fn, items)


def _ring(alarm: asyncio.Future) -> None:
    if not alarm.done():
        alarm.set_result(None)


def _call(process_fn: Callable[[list[Any]], Any], items: list[Any]) -> Any:
    try:
        return process_fn(items)
    except StopIteration as error:
        # A future cannot carry it: its callers would wait for ever.
        raise RuntimeError("process_fn raised StopIteration") from error
