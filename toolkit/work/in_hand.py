"""A task in somebody's hand, and the ways in which it ends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from toolkit.errors import TaskError
from toolkit.work.codec import decode, encode
from toolkit.work.parcels import Entry, Finished

Task = dict[str, Any]


class TaskInHand(NamedTuple):
    """One task taken from the queue, held until :meth:`TaskQueue.finish` is given one of its ends.

    Attributes:
        task_id: its id.
        task: what was enqueued.
        attempt: 1 when it is taken for the first time.
        entry: its place in Redis.
    """

    task_id: str
    task: Task
    attempt: int
    entry: Entry

    def done(self, value: Any = None) -> Finished:
        """The end of a task that worked.

        Raises:
            TaskError: ``value`` cannot travel.
        """
        return Finished(self.entry, "done", self._record(status="done", result=value))

    def failed(self, error: str, traceback: str = "") -> Finished:
        """The end of a task that failed for good: it goes to the dead letters."""
        return Finished(self.entry, "failed", self._record(status="failed", error=error), error, traceback)

    def expired(self) -> Finished:
        """The end of a task whose deadline passed before it was begun."""
        error = "its deadline passed before a worker was free"
        return Finished(self.entry, "expired", self._record(status="expired", error=error))

    def _record(self, **fields: Any) -> bytes:
        if not self.entry.result_key:
            return b""
        record = {"task_id": self.task_id, "type": self.task.get("type"), **fields, "attempts": self.attempt}
        return encode(record, name="result")


def open_entries(entries: Iterable[Entry], max_attempts: int) -> tuple[list[TaskInHand], list[Finished]]:
    """Decode what was taken: the tasks to be done, and the ends of those that are not.

    These are the ones past their deadline, the ones that cannot be read, and the ones whose holders died
    ``max_attempts`` times.
    """
    in_hand: list[TaskInHand] = []
    ended: list[Finished] = []
    for entry in entries:
        if entry.is_orphan and entry.attempt > max_attempts:
            ended.append(_unread(entry).failed(f"its worker died {entry.attempt - 1} times"))
            continue
        try:
            hand = TaskInHand(entry.task_id, _task(entry.body), entry.attempt, entry)
        except TaskError as error:
            ended.append(_unread(entry).failed(f"TaskError: {error}"))
            continue
        if entry.is_expired:
            ended.append(hand.expired())
        else:
            in_hand.append(hand)
    return in_hand, ended


def _unread(entry: Entry) -> TaskInHand:
    return TaskInHand(entry.task_id, {}, entry.attempt, entry)


def _task(body: bytes | memoryview) -> Task:
    task = decode(body)
    if not isinstance(task, dict):
        raise TaskError(f"a task is a dict, got a {type(task).__name__}")
    return task
