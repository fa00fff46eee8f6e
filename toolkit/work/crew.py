"""Threads that empty a queue: take a task, run its handler, have the result stored."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import operator
import os
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from toolkit.errors import QueueUnavailable, TaskError, text_of
from toolkit.work.books import Books
from toolkit.work.handlers import Handler, batch_size, run_handler, types_in_place
from toolkit.work.parcels import Finished
from toolkit.work.recorder import Recorder
from toolkit.work.task_queue import TaskInHand, TaskQueue

_log = logging.getLogger(__name__)
outage_log = logging.getLogger("toolkit.work.outage")
"""Tells that Redis is away: apart, because one of the workers of a pool is enough to say so."""

# So much work is taken ahead: enough to hide the way to Redis, too little to keep from an idle neighbour.
_AHEAD_S = 0.01
# So long are results gathered when one task follows another.
_GATHER_S = 0.005
_AHEAD_TASKS = 300
# Pictures that wait here are out of the cache when their turn comes, and missing elsewhere. Only those
# that came through Redis count: of one in shared memory there is only the place.
_AHEAD_BYTES = 4_000_000
# What waits here behind tasks that take longer goes back: another worker may be idle.
_LONG_S = 0.1
_PATIENCE_S = 60.0
_OUTAGE_LOOK_S = 0.2
_WAKE_AGAIN_S = 0.05
# After so many, nobody lives to see the next retry; and a float does not hold every power of two.
_MOST_DOUBLINGS = 60

_body: Callable[[TaskInHand], bytes] = operator.attrgetter("entry.body")


class ThreadCrew:
    """The workers of one process, from :meth:`start` to :meth:`stop`; it is not started twice.

    The threads share the tasks in hand, and one of them at a time asks Redis for more: it runs the first
    task it gets, and the next idle one asks meanwhile.

    Args:
        queue: where tasks come from and results go.
        handlers: gives the handlers of one worker, by task type; called once for each.
        num_workers: number of threads.
        retries: how often a task whose handler raised is tried again.
        retry_wait_s: wait before the first retry, doubled for each further one.
    """

    def __init__(
        self,
        queue: TaskQueue,
        handlers: Callable[[], Mapping[str, Handler]],
        num_workers: int,
        retries: int = 0,
        retry_wait_s: float = 1.0,
    ) -> None:
        self._queue = queue
        self._make_handlers = handlers
        self._retries = retries
        self._retry_wait_s = retry_wait_s
        self._recorder = Recorder(queue, self._give_back_what_waits)
        self._stopping = threading.Event()
        self._turn, self._picking = threading.Lock(), threading.Lock()
        self._ahead: deque[TaskInHand] = deque()
        self._task_s, self._task_bytes = _AHEAD_S, 1.0
        self._is_away = False
        self._idle = set[int]()
        self._begun_at: dict[int, float] = {}
        self._books = Books(["done", "failed", "retried", "outages"])
        self._surplus = 0
        self._numbers = itertools.count()
        self._threads = [self._new_thread(next(self._numbers)) for _ in range(num_workers)]

    def start(self) -> None:
        """Start the threads."""
        self._recorder.start()
        for thread in self._threads:
            thread.start()

    @property
    def size(self) -> int:
        """Number of workers, those that are about to end not counted."""
        return sum(thread.is_alive() for thread in self._threads) - self._surplus

    def grow(self) -> None:
        """Add a worker."""
        thread = self._new_thread(next(self._numbers))
        thread.start()
        self._threads = [*(each for each in self._threads if each.is_alive()), thread]

    def shrink(self) -> None:
        """Let the next worker that has nothing to do end."""
        with self._picking:
            self._surplus += 1
        with contextlib.suppress(QueueUnavailable):
            self._queue.wake()

    def stop(self, timeout_s: float) -> list[str]:
        """Finish what is begun, put back what is not, store the results; all within ``timeout_s``.

        Returns:
            Names of the threads that were still busy then. Their tasks go to others when the lease ends.
        """
        deadline = time.monotonic() + timeout_s
        self._stopping.set()
        for thread in self._threads:
            while thread.is_alive() and (left_s := deadline - time.monotonic()) > 0:
                # Again and again: it may be just about to wait. Without Redis, nobody waits in it.
                with contextlib.suppress(QueueUnavailable):
                    self._queue.wake()
                thread.join(min(left_s, _WAKE_AGAIN_S))
        try:
            self._give_back()
        except QueueUnavailable as error:
            _log.warning("%d tasks were not put back, their lease will end: %s", len(self._ahead), error)
            self._recorder.let_go(self._ahead)
        # At least a moment: results that are there already should not wait for a lease to end.
        is_stored = self._recorder.stop(max(0.5, deadline - time.monotonic()))
        names = [thread.name for thread in self._threads if thread.is_alive()]
        if names or not is_stored:
            _log.warning("still busy after %.1f s: %s", timeout_s, ", ".join(names) or "storing results")
        return names

    def longest_run_s(self) -> float:
        """How long the task that was begun first is running by now; 0.0 when none is."""
        return max((time.monotonic() - begun_at for begun_at in list(self._begun_at.values())), default=0.0)

    def statistics(self) -> dict[str, Any]:
        """Counts, tasks a second, and times of this process's workers since :meth:`start`."""
        alive = sum(thread.is_alive() for thread in self._threads)
        return {
            "pid": os.getpid(),
            "workers": alive,
            "busy": max(0, alive - len(self._idle)),
            "in_hand": self._recorder.held,
            **self._books.statistics(),
        }

    def _new_thread(self, number: int) -> threading.Thread:
        # Made here, so that what is wrong with them is told to whoever starts the crew.
        handlers = self._make_handlers()
        self._largest_batch = max(map(batch_size, handlers.values()), default=0)
        self._in_place = types_in_place(handlers)
        name = f"worker-{self._queue.name}-{number}"
        return threading.Thread(target=self._work, args=[handlers], name=name, daemon=True)

    def _work(self, handlers: Mapping[str, Handler]) -> None:
        while not self._stopping.is_set():
            try:
                in_hand = self._pick(handlers) or self._wait_for_more(handlers)
                if in_hand:
                    self._perform(handlers, in_hand)
                elif self._is_surplus():
                    return
                self._is_away = False
            except QueueUnavailable as error:
                if not self._is_away:
                    self._is_away = True
                    outage_log.warning("no tasks until Redis is back: %s", error)
                    self._books.count("outages")
                self._stopping.wait(_OUTAGE_LOOK_S)

    def _is_surplus(self) -> bool:
        with self._picking:
            self._surplus, is_surplus = max(0, self._surplus - 1), self._surplus > 0
        return is_surplus

    def _wait_for_more(self, handlers: Mapping[str, Handler]) -> list[TaskInHand]:
        self._recorder.store()
        self._idle.add(threading.get_ident())
        try:
            with self._turn:
                if not self._ahead:
                    appetite = self._appetite()
                    fresh = self._queue.take_unopened(
                        appetite, _PATIENCE_S, self._is_waiting_wanted, 2 * appetite
                    )
                    if self._in_place:
                        self._queue.lend(fresh)
                    self._recorder.hold(fresh)
                    self._ahead.extend(fresh)
                    if fresh:
                        self._task_bytes = sum(map(len, map(_body, fresh))) / len(fresh)
                return [] if self._stopping.is_set() else self._pick(handlers)
        finally:
            self._idle.discard(threading.get_ident())

    def _is_waiting_wanted(self) -> bool:
        return not (self._stopping.is_set() or self._surplus)

    def _appetite(self) -> int:
        in_time, in_memory = _AHEAD_S / max(self._task_s, 1e-6), _AHEAD_BYTES / max(self._task_bytes, 1.0)
        each = max(1, int(min(_AHEAD_TASKS, in_time, in_memory)))
        return max(each * max(len(self._idle), 1), self._largest_batch)

    def _give_back_what_waits(self) -> None:
        last_begun_at = max(list(self._begun_at.values()), default=math.inf)
        if self._ahead and time.monotonic() - last_begun_at > _LONG_S:
            self._give_back()

    def _give_back(self) -> None:
        waiting: list[TaskInHand] = []
        with self._picking, contextlib.suppress(IndexError):
            # One by one, because a thread may be taking the next one.
            while True:
                waiting.append(self._ahead.popleft())
        try:
            self._queue.put_back(waiting)
        except QueueUnavailable:
            self._ahead.extendleft(reversed(waiting))
            raise
        self._recorder.let_go(waiting)

    def _pick(self, handlers: Mapping[str, Handler]) -> list[TaskInHand]:
        """The next task, or the next batch of one type; none when nothing was taken ahead."""
        if not self._largest_batch:
            while self._ahead:
                try:
                    hand = self._ahead.popleft()
                except IndexError:  # another thread took the last one
                    break
                if self._is_to_be_done(hand):
                    return [hand]
            return []
        with self._picking:
            # What lies together in a batch is known when all are open.
            self._ahead = deque(hand for hand in self._ahead if hand.task or self._is_to_be_done(hand))
            if not self._ahead:
                return []
            first = self._ahead.popleft()
            task_type = first.task.get("type")
            size = batch_size(handlers.get(task_type)) if isinstance(task_type, str) else 0
            same = [hand for hand in self._ahead if hand.task.get("type") == task_type][: max(0, size - 1)]
            for hand in same:
                self._ahead.remove(hand)
            return [first, *same]

    def _is_to_be_done(self, hand: TaskInHand) -> bool:
        end = self._queue.open(hand, self._in_place)
        if end is not None:
            self._recorder.record(end)
            self._books.count(end.outcome)
        return end is None

    def _perform(self, handlers: Mapping[str, Handler], in_hand: list[TaskInHand]) -> None:
        begun_at = self._begun_at[threading.get_ident()] = time.monotonic()
        outcomes = run_handler(handlers, [hand.task for hand in in_hand])
        ended_at = time.monotonic()
        del self._begun_at[threading.get_ident()]
        each_s = (ended_at - begun_at) / len(in_hand)
        # Recent tasks count most, so that a change of load is followed within some ten tasks.
        self._task_s += 0.2 * (each_s - self._task_s)
        again = []
        for hand, outcome in zip(in_hand, outcomes, strict=True):
            if isinstance(outcome, BaseException) and hand.attempt <= self._retries:
                again.append(hand)
                end = "retried"
            else:
                end = self._end(hand, outcome)
            self._books.note(end, ended_at, each_s, hand.entry.waited_ms / 1000)
            # Its memory need not wait until its result is stored.
            hand.task = {}
        # A parcel that ends in parts is more work for Redis.
        if in_hand[-1].entry.part == in_hand[-1].entry.parts:
            self._recorder.store_if_older(_GATHER_S, ended_at)
        if again:
            self._retry(again)

    def _end(self, hand: TaskInHand, outcome: Any) -> str:
        try:
            end = hand.done(outcome) if not isinstance(outcome, BaseException) else _failed(hand, outcome)
        except TaskError as error:
            end = _failed(hand, error)
        self._recorder.record(end)
        return end.outcome

    def _retry(self, in_hand: list[TaskInHand]) -> None:
        # Let go first: if Redis is away now, the lease ends and another takes the task.
        self._recorder.let_go(in_hand)
        for hand in in_hand:
            wait_s = self._retry_wait_s * 2 ** min(hand.attempt - 1, _MOST_DOUBLINGS)
            self._queue.put_back([hand], wait_s, is_retry=True)


def _failed(hand: TaskInHand, error: BaseException) -> Finished:
    text = f"{type(error).__name__}: {text_of(error)}"
    return hand.failed(text, "".join(traceback.format_exception(error)))
