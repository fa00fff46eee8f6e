"""The tasks that failed for good: look at them, put them in again, or drop them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from toolkit.errors import TaskError
from toolkit.work import scripts
from toolkit.work.codec import decode
from toolkit.work.connection import RedisConnection


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One task that failed for good.

    Attributes:
        task_id: its id.
        task: what was enqueued; None when it cannot be read.
        error: what happened, in one line.
        traceback: where it happened; "" when its worker died.
        died_at: seconds since 1970 by Redis's clock.
    """

    task_id: str
    task: dict[str, Any] | None
    error: str
    traceback: str
    died_at: float


class DeadLetters:
    """The dead letters of one queue; all calls raise QueueUnavailable when Redis does not answer."""

    def __init__(self, connection: RedisConnection, name: str) -> None:
        self._connection = connection
        self._keys = scripts.keys_of(name)

    def __len__(self) -> int:
        return self._connection.call("XLEN", self._keys[scripts.DEAD_KEY])

    def newest(self, max_letters: int = 100) -> list[DeadLetter]:
        """The newest letters, the newest first."""
        rows = self._connection.call(
            "XREVRANGE", self._keys[scripts.DEAD_KEY], "+", "-", "COUNT", max_letters
        )
        return [self._letter(entry_id, fields) for entry_id, fields in rows]

    def requeue(self, task_ids: Iterable[str] | None = None) -> int:
        """Put these tasks, or all, at the end of the queue as if new; returns how many.

        Their results go to their first senders.
        """
        return self._settle(True, task_ids)

    def drop(self, task_ids: Iterable[str] | None = None) -> int:
        """Forget these tasks, or all; returns how many."""
        return self._settle(False, task_ids)

    def _settle(self, is_requeue: bool, task_ids: Iterable[str] | None) -> int:
        wanted = ["*"] if task_ids is None else ["", *task_ids]
        return self._connection.run(scripts.SETTLE_DEAD, self._keys, int(is_requeue), *wanted)

    def _letter(self, entry_id: bytes, fields: Any) -> DeadLetter:
        # redis-py gives the fields of this command, and of this one only, as a dict.
        texts = {name: value.decode(errors="replace") for name, value in fields.items() if name != b"b"}
        body = fields.get(b"b") or self._connection.call(
            "GET", self._keys[scripts.BODY_KEY] + texts.get(b"i", "")
        )
        try:
            task = decode(body or b"")
        except TaskError:
            task = None
        return DeadLetter(
            task_id=texts.get(b"i", ""),
            task=task,
            error=texts.get(b"e", ""),
            traceback=texts.get(b"t", ""),
            died_at=int(entry_id.split(b"-")[0]) / 1000,
        )
