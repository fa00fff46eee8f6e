"""The tasks that failed for good: look at them, put them in again, or drop them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from toolkit.errors import TaskError
from toolkit.work.codec import decode
from toolkit.work.streams import TaskStreams


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

    def __init__(self, streams: TaskStreams) -> None:
        self._streams = streams

    def __len__(self) -> int:
        return self._streams.look()["dead"]

    def newest(self, max_letters: int = 100) -> list[DeadLetter]:
        """The newest letters, the newest first."""
        return [_letter(*row) for row in self._streams.dead(max_letters)]

    def requeue(self, task_ids: str | Iterable[str] | None = None) -> int:
        """Put this task, these, or all, at the end of the queue as if new; returns how many.

        Their results go to their first senders.
        """
        return self._streams.settle_dead(True, _listed(task_ids))

    def drop(self, task_ids: str | Iterable[str] | None = None) -> int:
        """Forget this task, these, or all; returns how many."""
        return self._streams.settle_dead(False, _listed(task_ids))


def _listed(task_ids: str | Iterable[str] | None) -> Iterable[str] | None:
    # A text is iterable too: by its letters, none of which is a task.
    return [task_ids] if isinstance(task_ids, str) else task_ids


def _letter(entry_id: bytes, fields: dict[bytes, bytes], body: bytes | memoryview) -> DeadLetter:
    texts = {name: fields.get(name, b"").decode(errors="replace") for name in (b"i", b"e", b"t")}
    try:
        task = decode(body)
    except TaskError:
        task = None
    return DeadLetter(texts[b"i"], task, texts[b"e"], texts[b"t"], int(entry_id.split(b"-")[0]) / 1000)
