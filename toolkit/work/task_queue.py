"""A queue of plain dicts in Redis: what is put in comes out equal, and a task in hand is never lost."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any, Literal

from toolkit.errors import ConfigError, QueueUnavailable
from toolkit.work.codec import MAX_TASK_BYTES
from toolkit.work.connection import RedisConnection
from toolkit.work.dead_letters import DeadLetters
from toolkit.work.in_hand import Task, TaskInHand
from toolkit.work.leases import held
from toolkit.work.parcels import Finished
from toolkit.work.results import ResultBox, TaskHandle
from toolkit.work.sender import Sender
from toolkit.work.streams import TaskStreams

Priority = Literal["high", "normal", "low"]


class TaskQueue:
    """A queue of plain dicts in Redis, shared by all that give its name.

    A task that is taken stays in Redis until it is finished; when its holder dies, it comes back after
    ``lease_s``. So a task may run twice, and is never lost. Safe to use from any number of threads.

    Args:
        name: name of the queue.
        url: address of a Redis of 6.2 or later. None takes REDIS_URL, else a private server of this process.
        lease_s: how long a holder may stay silent before its tasks go to others. Holders renew three times
            in that time, so a slow task is not run twice; all users of a queue must give the same.
        max_attempts: a task whose holder dies so often is not tried again; it goes to the dead letters.
        max_waiting: the most tasks that may wait; None for no limit.
        when_full: "wait" for room, "refuse" with QueueFull, or "drop_oldest".
        max_task_bytes: the most bytes one encoded task may have.
        results_expire_s: results that nobody fetches are deleted after this time.

    Raises:
        ConfigError: a setting is out of its range, or ``url`` is no address.
        QueueUnavailable: no ``url``, and no redis-server to start. A Redis that is away raises later.

    Attributes:
        dead_letters: the tasks that failed for good, to be looked at, put in again, or dropped.

    >>> with TaskQueue("example") as queue:
    ...     task_id = queue.enqueue({"id": 1, "type": "analysis", "data": [1.5, (2, 3)]})
    ...     queue.dequeue()
    {'id': 1, 'type': 'analysis', 'data': [1.5, (2, 3)]}
    """

    def __init__(
        self,
        name: str = "tasks",
        url: str | None = None,
        *,
        lease_s: float = 15.0,
        max_attempts: int = 3,
        max_waiting: int | None = None,
        when_full: Literal["wait", "refuse", "drop_oldest"] = "wait",
        max_task_bytes: int = MAX_TASK_BYTES,
        results_expire_s: float = 3600.0,
    ) -> None:
        counted = {"lease_s": lease_s, "max_attempts": max_attempts}
        counted |= {"max_task_bytes": max_task_bytes, "results_expire_s": results_expire_s}
        for setting, value in counted.items():
            if not value > 0:  # NaN is neither above nor below
                raise ConfigError(f"{setting} must be above 0, got {value}")
        if math.inf in (lease_s, results_expire_s):
            raise ConfigError(
                f"lease_s and results_expire_s must be finite, got {lease_s} and {results_expire_s}; "
                "a year has 31,536,000 s"
            )
        self.name = name
        self.lease_s = lease_s
        self.max_attempts = max_attempts
        self._arguments = {
            "name": name,
            "lease_s": lease_s,
            "max_attempts": max_attempts,
            "max_task_bytes": max_task_bytes,
            "results_expire_s": results_expire_s,
        }
        self._connection = RedisConnection(url)
        self._streams = TaskStreams(self._connection, name, lease_s, results_expire_s)
        self._sender = Sender(self._streams, name, max_waiting, when_full, max_task_bytes)
        self._results = ResultBox(self._streams)
        self.dead_letters = DeadLetters(self._streams)

    @property
    def url(self) -> str:
        """The address for other processes; it holds the password, if there is one."""
        return self._connection.url

    @property
    def arguments(self) -> dict[str, Any]:
        """What a worker in another process gives to TaskQueue to take from this queue; see :attr:`url`."""
        return {**self._arguments, "url": self.url}

    def __enter__(self) -> TaskQueue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Putting in

    def enqueue(
        self,
        task: Task,
        *,
        priority: Priority = "normal",
        delay_s: float = 0.0,
        deadline_s: float | None = None,
    ) -> str:
        """Put one task at the end of the queue; nobody is told of its result.

        Args:
            task: a dict of plain data and arrays (:func:`toolkit.work.codec.encode`).
            priority: "high" tasks are taken before "normal" ones, these before "low" ones.
            delay_s: the task is not taken earlier.
            deadline_s: when it was not begun by then, it is skipped and counted as expired.

        Returns:
            The id of the task.

        Raises:
            TaskError: the task is no dict, is too big, or holds something that cannot travel.
            QueueFull: the queue is full and its policy is to refuse.
            QueueUnavailable: Redis does not answer. The task may have arrived all the same.
        """
        return self.enqueue_many([task], priority=priority, delay_s=delay_s, deadline_s=deadline_s)[0]

    def enqueue_many(
        self,
        tasks: Iterable[Task],
        *,
        priority: Priority = "normal",
        delay_s: float = 0.0,
        deadline_s: float | None = None,
    ) -> list[str]:
        """Put many tasks at the end of the queue, in order and in bulk; as :meth:`enqueue`."""
        bodies = self._sender.encoded(tasks)
        task_ids = self._streams.new_ids(len(bodies))
        self._sender.send(task_ids, bodies, "", priority, delay_s, deadline_s)
        return task_ids

    def submit(self, task: Task, **options: Any) -> TaskHandle:
        """As :meth:`enqueue`, and the result comes back: ask the handle, or :meth:`get_results`."""
        return self.submit_many([task], **options)[0]

    def submit_many(
        self,
        tasks: Iterable[Task],
        *,
        priority: Priority = "normal",
        delay_s: float = 0.0,
        deadline_s: float | None = None,
    ) -> list[TaskHandle]:
        """As :meth:`enqueue_many`, and the results come back: ask the handles, or :meth:`get_results`."""
        bodies = self._sender.encoded(tasks)
        task_ids = self._streams.new_ids(len(bodies))
        handles = self._results.handles(task_ids)
        try:
            self._sender.send(task_ids, bodies, self._streams.result_key, priority, delay_s, deadline_s)
        except BaseException:
            # Whatever kept them back, Ctrl-C while the queue is full too: get_results() would wait for them.
            self._results.forget(len(handles))
            raise
        return handles

    def get_results(self, max_results: int = 10, timeout: float | None = None) -> list[dict[str, Any]]:
        """Fetch results of submitted tasks, each once, in the order in which they came.

        Results that are on their way when Redis or the connection to it dies are not lost: the next call has
        them.

        Args:
            max_results: the most to fetch.
            timeout: wait so many seconds until there are ``max_results``, or all that are still to come.
                None takes what is there now.

        Returns:
            ``{"task_id", "type", "status": "done", "result": what the handler returned, "attempts"}``, or
            with the status "failed", "expired" or "dropped" and an "error" in place of the result.
        """
        return self._results.collect(max_results, timeout)

    # Taking out

    def dequeue(self, timeout: float | None = None) -> Task | None:
        """Take the next task and let it go at once; if this process dies then, nobody else does it.

        :meth:`lease` is the safe way.

        Args:
            timeout: wait so many seconds for one, fractions included. None or 0 does not wait.

        Returns:
            A dict equal to the one that was enqueued, or None.
        """
        return next(iter(self.dequeue_many(1, timeout)), None)

    def dequeue_many(self, max_tasks: int, timeout: float | None = None) -> list[Task]:
        """Take up to ``max_tasks`` at once, waiting for the first one; as :meth:`dequeue`."""
        in_hand = self.take(max_tasks, timeout)
        self._streams.finish(Finished(hand.entry, "taken") for hand in in_hand)
        return [hand.task for hand in in_hand]

    @contextlib.contextmanager
    def lease(self, timeout: float | None = None) -> Iterator[Task | None]:
        """The safe way to take a task: it is done when the block ends, and comes back when the block raises.

        The lease is renewed while the block runs. A task that raised ``max_attempts`` times goes to the
        dead letters.

        >>> with TaskQueue("example") as queue, queue.lease(timeout=0.01) as task:
        ...     task is None
        True
        """
        with self.lease_many(1, timeout) as tasks:
            yield next(iter(tasks), None)

    @contextlib.contextmanager
    def lease_many(self, max_tasks: int, timeout: float | None = None) -> Iterator[list[Task]]:
        """As :meth:`lease`, for up to ``max_tasks`` together: done or come back as one."""
        in_hand = self.take(max_tasks, timeout)
        with held(self, in_hand):
            yield [hand.task for hand in in_hand]

    def take(self, max_tasks: int = 1, timeout: float | None = None) -> list[TaskInHand]:
        """Take tasks in hand: each must be finished, put back, or renewed within ``lease_s``.

        Args:
            max_tasks: the most to take.
            timeout: the longest wait for the first one, in seconds; None does not wait.

        Returns:
            The highest priority first. A task whose holder died comes alone.
        """
        deadline = time.monotonic() + (timeout or 0.0)
        while True:
            taken = self.take_unopened(max_tasks, max(0.0, deadline - time.monotonic()))
            ends = [self.open(hand) for hand in taken]
            self._streams.finish(end for end in ends if end)
            in_hand = [hand for hand, end in zip(taken, ends, strict=True) if not end]
            if in_hand or not taken:
                return in_hand

    def take_unopened(
        self,
        max_tasks: int,
        timeout_s: float,
        is_wanted: Callable[[], bool] = lambda: True,
        most_tasks: int = 0,
    ) -> list[TaskInHand]:
        """As :meth:`take`, each task to be opened when its turn comes: big ones are copied only then.

        Args:
            max_tasks: the most to take.
            timeout_s: the longest wait for the first one.
            is_wanted: asked twice a second while waiting, and by :meth:`wake`; False ends the wait.
            most_tasks: take so many where they were put together, which is a tenth of the work for Redis.
        """
        return list(map(TaskInHand, self._streams.take(max_tasks, timeout_s, is_wanted, most_tasks)))

    def lend(self, in_hand: Sequence[TaskInHand]) -> None:
        """Keep big tasks where they lie in shared memory, so that :meth:`open` need not copy them.

        The memory is used again when nothing refers to it any more: no task that is not opened yet, and no
        array of one that is.
        """
        if apart := [hand for hand in in_hand if hand.entry.place]:
            for hand, lent in zip(apart, self._streams.lend(hand.entry for hand in apart), strict=True):
                hand.lent = lent

    def open(self, in_hand: TaskInHand, in_place: Container[object] = ()) -> Finished | None:
        """Fetch and decode a task; its end when it is past its deadline, or cannot be done.

        The arrays of types that are ``in_place`` are read-only where the task was lent.
        """
        entry, lent = in_hand.entry, in_hand.lent
        if lent is not None:
            in_hand.lent = None
            return in_hand.open(lent.body(entry.task_id), self.max_attempts, in_place)
        return in_hand.open(self._streams.body_of(entry) if entry.place else entry.body, self.max_attempts)

    def finish(self, ends: Iterable[Finished]) -> int:
        """Store results and let the tasks go, in bulk; returns how many others had finished before."""
        return self._streams.finish(ends)

    def put_back(self, in_hand: Iterable[TaskInHand], delay_s: float = 0.0, is_retry: bool = False) -> int:
        """Put tasks in hand back, to be the next of their priority.

        Args:
            in_hand: in the order in which they are to come.
            delay_s: not before so long.
            is_retry: they were tried: it counts as an attempt, and they come after all others.

        Returns:
            How many; the others were no longer in hand.
        """
        return self._streams.put_back((hand.entry for hand in in_hand), delay_s, is_retry)

    def renew(self, in_hand: Iterable[TaskInHand]) -> int:
        """Start the lease of tasks in hand anew; returns how many went to another holder meanwhile."""
        return self._streams.renew(hand.entry for hand in in_hand)

    @property
    def holder(self) -> str:
        """The name under which this process holds tasks."""
        return self._streams.consumer

    def free(self, holder: str) -> int:
        """Let what a dead holder held be taken now, not when its lease ends; returns how many tasks."""
        return self._streams.free(holder)

    def wake(self) -> None:
        """Let every waiting :meth:`take` ask its ``is_wanted`` now."""
        self._connection.wake()

    # Looking

    def size(self) -> int:
        """Number of tasks that nobody has taken yet, delayed ones included."""
        return self._streams.size()

    get_queue_size = size

    def statistics(self) -> dict[str, Any]:
        """Tasks by state, and counters over the life of the queue.

        ``waiting``, ``in_hand``, ``delayed``, ``dead``, ``oldest_s``; ``enqueued``, ``done``, ``failed``,
        ``taken`` (by dequeue), ``expired``, ``dropped``, ``cleared``, ``retried``, ``taken_over`` (from a
        dead holder) and ``late`` (finished a second time, the second result let go).
        """
        return {**dict.fromkeys(_COUNTERS, 0), **self._streams.look()}

    get_statistics = statistics

    def health(self) -> dict[str, Any]:
        """``reachable``, ``address``, ``round_trip_ms``, ``redis_version``, ``memory_mb``; or ``error``.

        Never raises, is back within a second, and hides the password.
        """
        return self._connection.health()

    def is_available(self) -> bool:
        """Whether Redis answers now; known within a second."""
        return self._connection.is_available()

    def clear(self) -> int:
        """Drop every task that nobody has taken, and tell those who submitted them; returns how many."""
        return self._streams.clear()

    def close(self) -> None:
        """Close the connections; tasks and results stay. Harmless when called twice or with Redis away."""
        with contextlib.suppress(QueueUnavailable):
            self._streams.retire()
        self._connection.close()


_COUNTERS = (
    "enqueued",
    "done",
    "failed",
    "taken",
    "expired",
    "dropped",
    "cleared",
    "retried",
    "taken_over",
    "late",
)
