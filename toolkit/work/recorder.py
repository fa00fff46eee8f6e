"""The books of one worker process: results stored in bulk, leases kept while tasks are in hand."""

from __future__ import annotations

import logging
import operator
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from toolkit.errors import QueueUnavailable
from toolkit.work.parcels import Entry, Finished
from toolkit.work.task_queue import TaskInHand, TaskQueue

_log = logging.getLogger(__name__)

_AT_ONCE, _AT_ONCE_BYTES = 500, 4_000_000
_LOOK_S = 0.05

_Place = tuple[int, bytes, int]
_place: Callable[[Entry], _Place] = operator.itemgetter(0, 1, 2)
_entry: Callable[[TaskInHand], Entry] = operator.attrgetter("entry")


class Recorder:
    """Stores what workers have finished, and renews what they still hold.

    A worker with nothing left in hand stores all that is finished: a lone result leaves at once, and many
    leave together. One thread looks for what nobody stores, because all workers are at something slow, and
    for leases that are to be renewed.

    Args:
        queue: where results go.
        look: called by that thread too, some twenty times a second; may raise :class:`QueueUnavailable`.
    """

    def __init__(self, queue: TaskQueue, look: Callable[[], None] = lambda: None) -> None:
        self._queue, self._look = queue, look
        # By their place in Redis, which no other task ever has.
        self._held: dict[_Place, TaskInHand] = {}
        self._ends: list[Finished] = []
        self._stored_at = 0.0
        self._lock, self._storing = threading.Lock(), threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"recorder-{queue.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Store what is finished and end; whether that was done in time."""
        deadline = time.monotonic() + timeout_s
        while self._ends and time.monotonic() < deadline:
            try:
                self.store()
            except QueueUnavailable:
                self._is_over.wait(_LOOK_S)
        self._is_over.set()
        self._thread.join(max(_LOOK_S, deadline - time.monotonic()))
        return not (self._ends or self._thread.is_alive())

    def hold(self, in_hand: Sequence[TaskInHand]) -> None:
        """Keep the leases of these tasks until they are recorded or let go."""
        with self._lock:
            self._held.update(zip(map(_place, map(_entry, in_hand)), in_hand, strict=True))

    def let_go(self, in_hand: Iterable[TaskInHand]) -> None:
        """Keep these leases no longer: the tasks were put back, or will be another's when the lease ends."""
        with self._lock:
            for hand in in_hand:
                self._held.pop(_place(hand.entry), None)

    def record(self, end: Finished) -> None:
        """Store this end soon, or with the next :meth:`store`."""
        self._ends.append(end)

    def store_if_older(self, age_s: float, now: float) -> None:
        """As :meth:`store`, when that was not done for so long by now (``time.monotonic``)."""
        # After a stop, what was still running then is another's.
        if now - self._stored_at > age_s and not self._is_over.is_set():
            self.store()

    def store(self) -> None:
        """Store all that is finished now.

        Raises:
            QueueUnavailable: Redis does not answer; what is not stored stays here.
        """
        self._stored_at = time.monotonic()
        while self._ends:
            with self._storing:
                bulk = self._first_bulk()
                late = self._queue.finish(bulk)
                with self._lock:
                    del self._ends[: len(bulk)]
                    for end in bulk:
                        self._held.pop(_place(end.entry), None)
            if late:
                _log.info("%d tasks had been finished by another worker; their results were let go", late)

    @property
    def held(self) -> int:
        """Number of tasks in hand or not yet stored."""
        return len(self._held)

    def _run(self) -> None:
        every_s = self._queue.lease_s / 3
        look_s = min(_LOOK_S, every_s)
        renew_at = time.monotonic() + every_s
        while not self._is_over.wait(look_s):
            try:
                self._look()
                self.store()
                if time.monotonic() >= renew_at:
                    renew_at = time.monotonic() + every_s
                    self._renew()
            except QueueUnavailable as error:
                _log.debug("results wait for Redis: %s", error)

    def _renew(self) -> None:
        with self._lock:
            in_hand = list(self._held.values())
        lost = self._queue.renew(in_hand)
        if lost:
            _log.info("%d of %d tasks in hand went to another worker", lost, len(in_hand))

    def _first_bulk(self) -> list[Finished]:
        """As many ends as one command may carry; they stay in the list until they are stored."""
        total = 0
        for number, end in enumerate(self._ends[:_AT_ONCE]):
            total += len(end.result)
            if number and total > _AT_ONCE_BYTES:
                return self._ends[:number]
        return self._ends[:_AT_ONCE]
