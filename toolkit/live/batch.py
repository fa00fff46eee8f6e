"""Many items, one call: collect until full, due, or nobody else is on the way."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from toolkit.live.answers import Answer, WaitingRoom, closed_gate
from toolkit.live.batch_books import BatchBooks, Reason, check_settings, one_each

# A processor nobody feeds lets its thread go after this long, so that one that was never closed leaves none.
_IDLE_S = 0.5


class BatchProcessor:
    """Runs ``process_fn`` once for many items, in a thread of its own.

    A batch closes when it holds ``batch_size`` items, or when its oldest item has waited ``timeout`` seconds;
    nobody has to add another item for that. It closes earlier when a caller waits for an answer and nobody
    else is on the way: every caller that came back soon the last time is waiting already
    (:class:`toolkit.live.regulars.Regulars`). Eight callers that ask, wait and ask again make batches of
    eight, and sit out no wait.

    Ways in:

    * :meth:`ask` gives each caller the result of its own item; for many threads. Who has something else to do
      meanwhile takes :meth:`submit`, and asks its answer later.
    * :meth:`add_item` and :meth:`flush` give results in the order of the items; for one loop.

    For asyncio there is :class:`toolkit.live.batch_async.AsyncBatchProcessor`.

    Args:
        batch_size: most items in a batch.
        timeout: longest wait of an item for others, in seconds.
        process_fn: takes a list of items and returns one result for each, in order.

    Raises:
        ConfigError: a size or time that makes no sense, or a ``process_fn`` that cannot be called.
    """

    def __init__(
        self,
        batch_size: int = 10,
        timeout: float = 1.0,
        process_fn: Callable[[list[Any]], Sequence[Any]] | None = None,
    ) -> None:
        check_settings(batch_size, timeout, process_fn)
        self._batch_size = batch_size
        self._timeout_s = float(timeout)
        self._process_fn: Callable[[list[Any]], Sequence[Any]] = process_fn  # type: ignore[assignment]
        self._waiting: deque[Answer] = deque()
        self._own = threading.local()
        self._undelivered: list[deque[Answer]] = []
        # A flush takes from the lists of other threads.
        self._delivering = threading.Lock()
        self._room = WaitingRoom(self._timeout_s, self._wake_if_needed)
        self._lock = self._room.lock
        self._changed = threading.Condition(self._lock)
        # The thread sleeps until then unless it is woken; 0 while it is awake.
        self._sleeps_until = 0.0
        self._free_since = 0.0
        self._flush_up_to = 0
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._books = BatchBooks()

    def ask(self, item: Any, timeout: float | None = None) -> Any:
        """Add one item and wait for its result: ``submit(item).result(timeout)`` in one step, for less.

        Raises:
            TimeoutError: the result was not there in time.
            RuntimeError: the processor is closed.
            BaseException: whatever ``process_fn`` raised for the batch.
        """
        answer = Answer(self._room, item)
        gate = closed_gate()
        with self._lock:
            self._take_in((answer,))
            self._room.let_stand(answer, gate, answer.caller)
        answer.wait_at(gate, timeout)
        return answer.result()

    def submit(self, item: Any) -> Answer:
        """Add one item; its answer holds its own result, or the error of its batch.

        Raises:
            RuntimeError: the processor is closed.
        """
        answer = Answer(self._room, item)
        self._add((answer,))
        return answer

    def submit_many(self, items: Iterable[Any]) -> list[Answer]:
        """Add items at once, so that none of them leaves in a batch before the others are there."""
        answers = [Answer(self._room, item) for item in items]
        if answers:
            self._add(answers)
        return answers

    def add_item(self, item: Any) -> list[Any] | None:
        """Add one item.

        Returns:
            The results of this caller's items that are ready, in order: a whole batch when this item filled
            it, those of a batch that was processed in the meantime, or None when there are none.

        Raises:
            Exception: whatever ``process_fn`` raised, once for each batch that failed.
        """
        answer = Answer(self._room, item)
        is_full = self._add((answer,))
        mine = self._my_answers()
        mine.append(answer)
        if is_full:
            answer.exception()
        with self._delivering:
            return _ready_results(mine) or None

    def flush(self) -> list[Any]:
        """Process what waits now and return every result not returned yet, of all callers of ``add_item``."""
        with self._lock:
            self._flush_up_to = self._books.taken + len(self._waiting)
            self._wake_if_needed()
        results: list[Any] = []
        for mine in list(self._undelivered):
            for answer in list(mine):
                answer.exception()
            with self._delivering:
                results.extend(_ready_results(mine))
        return results

    def get_statistics(self) -> dict[str, Any]:
        """Items, batches and why they closed, sizes and times, as plain values."""
        with self._lock:
            return self._books.statistics(len(self._waiting))

    def close(self, timeout_s: float | None = None) -> bool:
        """Process what waits and end the thread; may be called twice. False when it is stuck."""
        with self._lock:
            self._is_closed = True
            self._wake()
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def __enter__(self) -> BatchProcessor:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _my_answers(self) -> deque[Answer]:
        """Answers to the calling thread's items, in order."""
        if not hasattr(self._own, "answers"):
            self._own.answers = deque()
            self._undelivered.append(self._own.answers)
        return self._own.answers

    def _add(self, answers: Sequence[Answer]) -> bool:
        """Let items wait for their batch; whether the last one filled its batch."""
        with self._lock:
            self._take_in(answers)
            # Not "at least": behind a full batch that is not taken yet, an item begins the next one.
            return len(self._waiting) % self._batch_size == 0

    def _take_in(self, answers: Sequence[Answer]) -> None:
        if self._is_closed:
            raise RuntimeError("the batch processor is closed; make a new one to add items")
        self._waiting.extend(answers)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="batch", daemon=True)
            self._thread.start()
        elif len(self._waiting) == len(answers) or len(self._waiting) >= self._batch_size:
            # In between nothing changes for the thread.
            self._wake_if_needed()

    def _wake_if_needed(self) -> None:
        """Wake the thread if it would sleep too long; the lock is held."""
        is_asleep = self._sleeps_until > 0
        if is_asleep and self._waiting and (self._due_at() < self._sleeps_until or self._reason_to_close()):
            self._wake()

    def _wake(self) -> None:
        self._sleeps_until = 0.0
        self._changed.notify_all()

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._process(batch)

    def _next_batch(self) -> list[Answer] | None:
        """Wait for a batch; None when the processor is closed and empty, or idle."""
        with self._lock:
            idle_at = time.monotonic() + _IDLE_S
            while (reason := self._reason_to_close()) is None:
                now = time.monotonic()
                if self._waiting and now >= self._due_at():
                    reason = "due"
                    self._room.regulars.give_up()
                    break
                if not self._waiting and (self._is_closed or now >= idle_at):
                    self._thread = None
                    self._room.let_go()
                    return None
                self._sleep(now, idle_at)
            batch = [self._waiting.popleft() for _ in range(min(self._batch_size, len(self._waiting)))]
            self._books.closed(reason, len(batch))
            self._room.regulars.came(
                [answer.caller for answer in batch], [answer.added_at for answer in batch]
            )
            return batch

    def _reason_to_close(self) -> Reason | None:
        """Why the oldest items may go now, whatever the time; the lock is held."""
        if len(self._waiting) >= self._batch_size:
            return "full"
        if self._waiting and (self._is_closed or self._books.taken < self._flush_up_to):
            return "flush"
        # Nobody is in a batch now: who stands, stands for an item that waits.
        if self._room.standing and not self._room.regulars.awaited:
            return "early"
        return None

    def _due_at(self) -> float:
        """When the oldest item has waited for others long enough; the lock is held."""
        waits_since = self._waiting[0].added_at
        if self._room.regulars.awaited:
            # While a batch is processed nobody waits for others; its callers get the time to come back.
            waits_since = max(waits_since, self._free_since)
        return waits_since + self._timeout_s

    def _sleep(self, now: float, idle_at: float) -> None:
        """Sleep until there may be a batch, or the thread is no longer needed; the lock is held."""
        if self._waiting:
            until = self._due_at()
        elif self._room.regulars.awaited:
            # Nothing that comes now is due before then: its caller need not wake us for that.
            until = min(now + self._timeout_s, idle_at)
        else:
            until = idle_at
        self._sleeps_until = until
        self._room.let_go()
        self._changed.wait(until - now)
        self._sleeps_until = 0.0

    def _process(self, batch: list[Answer]) -> None:
        # Those of the batch before.
        self._room.let_go()
        started = time.monotonic()
        results: Sequence[Any] = [None] * len(batch)
        error: BaseException | None = None
        try:
            results = one_each(len(batch), self._process_fn([answer.item for answer in batch]))
        except BaseException as raised:  # noqa: BLE001 - the user's function: its error goes to its items
            results, error = [None] * len(batch), raised
            self._books.failed(len(batch))
        self._free_since = time.monotonic()
        self._room.settle(batch, results, error)
        with self._lock:
            self._books.took(started - batch[0].added_at, self._free_since - started)


def _ready_results(mine: deque[Answer]) -> list[Any]:
    """Take the results that are ready from the left; a failed batch raises when it is the first."""
    results: list[Any] = []
    while mine and mine[0].done():
        error = mine[0].exception()
        if error is not None:
            if results:
                break
            while mine and mine[0].done() and mine[0].exception() is error:
                mine.popleft()
            raise error
        results.append(mine.popleft().result())
    return results
