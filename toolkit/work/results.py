"""What became of the tasks: each result fetched once, by whoever asks for it."""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from toolkit.errors import ConfigError, TaskError
from toolkit.work.codec import decode_all
from toolkit.work.streams import TaskStreams

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class TaskHandle(str):
    """The id of a submitted task, a text, that can also be asked for the task's result."""

    __slots__ = ("_sent",)
    _sent: _Sent

    def result(self, timeout: float | None = None) -> Any:
        """What the handler returned; waits for it.

        Args:
            timeout: the longest wait in seconds; None waits for ever.

        Raises:
            TaskError: the task failed, expired, or was dropped; the text says why.
            TimeoutError: no result in time; the task goes on.
            QueueUnavailable: Redis does not answer.
        """
        record = self.record(timeout)
        if record["status"] != "done":
            raise TaskError(f"task {self} {record['status']}: {record.get('error', '')}")
        return record["result"]

    def record(self, timeout: float | None = None) -> dict[str, Any]:
        """The whole result, as ``get_results`` gives it. Waits and raises as :meth:`result`."""
        record = self._sent.records.get(self) or self._sent.box.wait_for(self, timeout)
        if record is None:
            raise TimeoutError(f"task {self} has no result after {timeout} s; it goes on, ask again")
        return record

    def is_done(self) -> bool:
        """Whether :meth:`result` would be back at once."""
        return self in self._sent.records or self._sent.box.wait_for(self, 0.0) is not None


class _Sent:
    """Tasks that were sent together: their records, kept as long as somebody holds one of their handles."""

    __slots__ = ("__weakref__", "box", "records")

    def __init__(self, box: ResultBox) -> None:
        self.box = box
        self.records: dict[str, dict[str, Any]] = {}


class ResultBox:
    """The results for one queue object, fetched in bulk by whichever thread waits first.

    There is no thread of its own: the first waiter reads from Redis for all, the others wait for it.
    """

    def __init__(self, streams: TaskStreams) -> None:
        self._streams = streams
        self._arrived: dict[str, dict[str, Any]] = {}
        # By what the ids of their tasks begin with; a reference for each task would cost as much as all else.
        self._sent: dict[str, weakref.ref[_Sent]] = {}
        self._outstanding = 0
        self._is_reading = False
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)

    def handles(self, task_ids: list[str]) -> list[TaskHandle]:
        """Handles for tasks about to be sent, whose ids are alike up to their last dash."""
        handles = list(map(TaskHandle, task_ids))
        sent = _Sent(self)
        for handle in handles:
            handle._sent = sent
        if handles:
            stem = task_ids[0].rpartition("-")[0]
            self._sent[stem] = weakref.ref(sent, lambda _: self._sent.pop(stem))
        with self._lock:
            self._outstanding += len(handles)
        return handles

    def forget(self, number: int) -> None:
        """That many handles were made for tasks that could not be sent."""
        with self._changed:
            self._outstanding -= number

    def wait_for(self, handle: TaskHandle, timeout: float | None) -> dict[str, Any] | None:
        """The record of this handle; None when the time is up."""

        def found() -> dict[str, Any] | None:
            self._take([handle] if handle in self._arrived else [])
            return handle._sent.records.get(handle)

        return self._wait(found, timeout)

    def wait_for_any(self, handles: Iterable[TaskHandle], timeout: float | None) -> list[TaskHandle]:
        """Those of the handles that have their record: at least one, or none when the time is up."""

        def found() -> list[TaskHandle]:
            self._take([handle for handle in handles if handle in self._arrived])
            # Another thread may have fetched some of them with collect().
            return [handle for handle in handles if handle in handle._sent.records]

        return self._wait(found, timeout) or []

    def collect(self, max_results: int, timeout: float | None) -> list[dict[str, Any]]:
        """Up to ``max_results``, oldest first: that many, or all there will be, or all that came in time."""

        def enough() -> list[dict[str, Any]] | None:
            is_enough = len(self._arrived) >= max_results or self._outstanding <= 0
            return self._take_first(max_results) if is_enough and self._arrived else None

        found = self._wait(enough, timeout or 0.0, is_over=lambda: self._outstanding <= 0)
        with self._changed:
            return found or self._take_first(max_results)

    def _take_first(self, max_results: int) -> list[dict[str, Any]]:
        return self._take(list(itertools.islice(self._arrived, max(0, max_results))))

    def _take(self, task_ids: list[str]) -> list[dict[str, Any]]:
        records = list(map(self._arrived.pop, task_ids))
        if self._sent:
            for task_id, record in zip(task_ids, records, strict=True):
                known = self._sent.get(task_id.rpartition("-")[0])
                if known is not None and (sent := known()) is not None:
                    sent.records[task_id] = record
        return records

    def _wait(
        self,
        look: Callable[[], _T | None],
        timeout: float | None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> _T | None:
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        has_read = False
        while True:
            with self._changed:
                found, left_s = look(), deadline - time.monotonic()
                if found or (has_read and (left_s <= 0 or is_over())):
                    return found
                if self._is_reading:
                    has_read = (
                        self._changed.wait(min(max(left_s, 0.001), threading.TIMEOUT_MAX)) or left_s <= 0
                    )
                    continue
                self._is_reading = True
            # What is there already is looked through to its end, however short the wait.
            has_read = not self._read(left_s if has_read else 0.0)

    def _read(self, timeout_s: float) -> bool:
        """Fetch some results; whether more may be there already."""
        bodies: list[bytes] = []
        try:
            bodies, is_more = self._streams.next_results(timeout_s)
            return is_more
        finally:
            records = {record["task_id"]: record for record in _records(bodies)}
            with self._changed:
                self._arrived.update(records)
                self._outstanding -= len(bodies)
                self._is_reading = False
                self._changed.notify_all()


def _records(bodies: list[bytes]) -> list[dict[str, Any]]:
    """Results as the workers wrote them, read; those that cannot be read are left out."""
    try:
        return list(map(_record, decode_all(bodies, "result")))
    except TaskError as error:
        if len(bodies) == 1:
            _log.warning("a result that cannot be read was let go: %s", error)
            return []
        return [record for body in bodies for record in _records([body])]


def _record(fields: Any) -> dict[str, Any]:
    if not isinstance(fields, list) or len(fields) != 5 or not isinstance(fields[0], str):
        raise TaskError(f"a result is a list of five that begins with an id, got a {type(fields).__name__}")
    task_id, task_type, status, value, attempts = fields
    name = "result" if status == "done" else "error"
    return {"task_id": task_id, "type": task_type, "status": status, name: value, "attempts": attempts}


def as_completed(handles: Iterable[TaskHandle], timeout: float | None = None) -> Iterator[TaskHandle]:
    """Yield the handles of one queue in the order in which their results come; each is ready to be asked.

    Raises:
        TimeoutError: not all results came within ``timeout`` seconds.
        ConfigError: the handles belong to several queues.
        QueueUnavailable: Redis does not answer.
    """
    waiting = {str(handle): handle for handle in handles}
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    boxes = {id(handle._sent.box): handle._sent.box for handle in waiting.values()}
    if len(boxes) > 1:
        raise ConfigError(
            f"as_completed takes handles of one queue, got {len(boxes)}; call it once per queue"
        )
    while waiting:
        (box,) = boxes.values()
        done = box.wait_for_any(waiting.values(), None if timeout is None else deadline - time.monotonic())
        if not done:
            raise TimeoutError(
                f"{len(waiting)} tasks have no result after {timeout} s; they go on, ask again"
            )
        for handle in done:
            yield waiting.pop(handle)
