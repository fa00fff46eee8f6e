"""The books of one worker process: results stored in bulk, leases kept while tasks are in hand."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

from toolkit.errors import QueueUnavailable
from toolkit.work.parcels import Finished
from toolkit.work.task_queue import TaskInHand, TaskQueue

_log = logging.getLogger(__name__)

_AT_ONCE, _AT_ONCE_BYTES = 500, 4_000_000
_OUTAGE_LOOK_S = 0.2


class Recorder:
    """Stores what workers have finished, and renews what they still hold.

    One thread does both. While it waits for Redis to store one bulk, the next one gathers: a lone result
    leaves at once, and many leave together, without any waiting time to choose.
    """

    def __init__(self, queue: TaskQueue) -> None:
        self._queue = queue
        # By the identity of their entries, which is their own as long as they are held here, and quick.
        self._held: dict[int, TaskInHand] = {}
        self._ends: list[Finished] = []
        self._news, self._lock = threading.Event(), threading.Lock()
        self._give_up_at: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"recorder-{queue.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Store what is finished and end; whether that was done in time."""
        self._give_up_at = time.monotonic() + timeout_s
        self._news.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def hold(self, in_hand: Iterable[TaskInHand]) -> None:
        """Keep the leases of these tasks until they are recorded or let go."""
        with self._lock:
            self._held.update((id(hand.entry), hand) for hand in in_hand)

    def let_go(self, in_hand: Iterable[TaskInHand]) -> None:
        """Keep these leases no longer: the tasks were put back, or will be another's when the lease ends."""
        with self._lock:
            for hand in in_hand:
                self._held.pop(id(hand.entry), None)

    def record(self, end: Finished) -> None:
        """Store this end soon."""
        self._ends.append(end)
        # Looking first is quick, and under load the news is out already.
        if not self._news.is_set():
            self._news.set()

    @property
    def held(self) -> int:
        """Number of tasks in hand or not yet stored."""
        return len(self._held)

    def _run(self) -> None:
        every_s = self._queue.lease_s / 3
        renew_at = time.monotonic() + every_s
        is_away = False
        while True:
            if not self._ends and self._give_up_at is None:
                self._news.wait(max(0.0, renew_at - time.monotonic()))
            self._news.clear()
            if self._give_up_at is not None and (not self._ends or time.monotonic() >= self._give_up_at):
                return
            bulk = self._first_bulk()
            try:
                if bulk:
                    self._store(bulk)
                if time.monotonic() >= renew_at:
                    renew_at = time.monotonic() + every_s
                    self._renew()
                is_away = False
            except QueueUnavailable as error:
                _log.log(logging.DEBUG if is_away else logging.WARNING, "results wait for Redis: %s", error)
                is_away = True
                time.sleep(_OUTAGE_LOOK_S)

    def _store(self, bulk: list[Finished]) -> None:
        late = self._queue.finish(bulk)
        if late:
            _log.info("%d tasks had been finished by another worker; their second results were let go", late)
        with self._lock:
            del self._ends[: len(bulk)]
            for end in bulk:
                self._held.pop(id(end.entry), None)

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
