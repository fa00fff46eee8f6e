"""A task in somebody's hand, and the ways in which it ends."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from toolkit.errors import TaskError
from toolkit.work.codec import decode, encode, has_arrays
from toolkit.work.parcels import Entry, Finished
from toolkit.work.segments import Lent

Task = dict[str, Any]


class TaskInHand:
    """One task taken from the queue, held until :meth:`TaskQueue.finish` is given one of its ends.

    Attributes:
        entry: its place in Redis.
        task: what was enqueued; empty before :meth:`TaskQueue.open`.
        lent: where it can be read without a copy, if it was lent (:meth:`TaskQueue.lend`).
    """

    __slots__ = ("entry", "lent", "task")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.lent: Lent | None = None
        self.task: Task = {}

    @property
    def task_id(self) -> str:
        """The id its sender was given."""
        return self.entry.task_id

    @property
    def attempt(self) -> int:
        """1 when it is taken for the first time."""
        return self.entry.attempt

    def open(
        self, body: bytes | memoryview, max_attempts: int, in_place: Container[object] = ()
    ) -> Finished | None:
        """Decode the task from its body; its end when it is not to be done.

        That is one past its deadline, one that cannot be read, or one whose holders died ``max_attempts``
        times. Arrays of types that are ``in_place`` lie in ``body``, those of others are copies.
        """
        entry = self.entry
        if entry.is_orphan and entry.attempt > max_attempts:
            return self.failed(f"its worker died {entry.attempt - 1} times")
        try:
            task = decode(body, is_lent=bool(in_place))
            if in_place and has_arrays(body) and not _is_one_of(in_place, task):
                task = decode(body)
            if not isinstance(task, dict):
                raise TaskError(f"a task is a dict, got a {type(task).__name__}")
        except TaskError as error:
            return self.failed(f"TaskError: {error}")
        self.task = task
        return self.expired() if entry.is_expired else None

    def done(self, value: Any = None) -> Finished:
        """The end of a task that worked.

        Raises:
            TaskError: ``value`` cannot travel.
        """
        return Finished(self.entry, "done", self._record("done", value))

    def failed(self, error: str, traceback: str = "") -> Finished:
        """The end of a task that failed for good: it goes to the dead letters."""
        # The name of a file that is not UTF-8 may stand in both, and Redis would not take it.
        error, traceback = (text.encode(errors="backslashreplace").decode() for text in (error, traceback))
        return Finished(self.entry, "failed", self._record("failed", error), error, traceback)

    def expired(self) -> Finished:
        """The end of a task whose deadline passed before it was begun."""
        error = "its deadline passed before a worker was free"
        return Finished(self.entry, "expired", self._record("expired", error))

    def _record(self, status: str, value: Any) -> bytes:
        entry = self.entry
        if not entry.result_key:
            return b""
        # What toolkit.work.results reads; a list, which is half the work of a dict.
        record = [entry.task_id, self.task.get("type"), status, value, entry.attempt]
        try:
            return encode(record, name="result")
        except TaskError:
            # The path in the error is to begin with what the handler returned.
            encode(value, name="result")
            raise


def _is_one_of(types: Container[object], task: Any) -> bool:
    task_type = task.get("type") if isinstance(task, dict) else None
    return isinstance(task_type, str) and task_type in types
