"""Tasks on their way into a queue: encoded, put in bulk, and held up or refused where it is full."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any

from toolkit.errors import ConfigError, QueueFull, TaskError, did_you_mean
from toolkit.work.codec import Encoded, encode_all, encode_pieces
from toolkit.work.layout import LEVELS
from toolkit.work.streams import TaskStreams

# One command to Redis carries at most so much: other clients wait while it runs.
_AT_ONCE, _AT_ONCE_BYTES = 1000, 4_000_000
_FULL_QUEUE_LOOK_S = 0.02
_WHEN_FULL = ("wait", "refuse", "drop_oldest")


class Sender:
    """Puts tasks into one queue, by the rules of that queue; see :class:`toolkit.work.TaskQueue`.

    Raises:
        ConfigError: a setting is out of its range.
    """

    def __init__(
        self,
        streams: TaskStreams,
        name: str,
        max_waiting: int | None,
        when_full: str,
        max_task_bytes: int,
    ) -> None:
        if max_waiting is not None and not max_waiting >= 1:
            raise ConfigError(f"max_waiting must be at least 1 or None, got {max_waiting}")
        if when_full not in _WHEN_FULL:
            raise ConfigError(f"when_full has no choice {when_full!r}; {did_you_mean(when_full, _WHEN_FULL)}")
        self._streams = streams
        self._name = name
        self._max_waiting = max_waiting or 0
        self._when_full = when_full
        self._max_task_bytes = max_task_bytes

    def encoded(self, tasks: Iterable[Any]) -> list[Encoded]:
        """The tasks as they travel.

        Raises:
            TaskError: one is no dict, is too big, or holds something that cannot travel.
        """
        tasks = list(tasks)
        for task in tasks:
            if not isinstance(task, dict):
                raise TaskError(
                    f"a task is a dict, got a {type(task).__name__}; wrap it: {{'type': ..., 'data': ...}}"
                )
        if len(tasks) == 1:
            return [encode_pieces(tasks[0], self._max_task_bytes)]
        return encode_all(tasks, self._max_task_bytes)

    def send(
        self,
        task_ids: list[str],
        bodies: list[Encoded],
        result_key: str,
        priority: str,
        delay_s: float,
        deadline_s: float | None,
    ) -> None:
        """Put tasks at the end of the queue, in order; waits, or drops the oldest, where that is the rule.

        Raises:
            ConfigError: there is no such priority, or a time is out of its range.
            QueueFull: the queue is full and its policy is to refuse.
            QueueUnavailable: Redis does not answer. Some of the tasks may have arrived all the same.
        """
        if priority not in LEVELS:
            raise ConfigError(f"there is no priority {priority!r}; {did_you_mean(priority, LEVELS)}")
        # Neither NaN nor what is infinite is a time for Redis.
        if not (0 <= delay_s < math.inf and (deadline_s is None or 0 < deadline_s < math.inf)):
            raise ConfigError(
                f"delay_s must be 0 or more and deadline_s above 0 or None, got {delay_s} and {deadline_s}"
            )
        level = LEVELS.index(priority) + 1
        is_plain = not (delay_s or deadline_s or self._max_waiting)
        at = 0
        while at < len(bodies):
            bulk = _first_bulk(bodies[at : at + _AT_ONCE])
            ids = task_ids[at : at + len(bulk)]
            if is_plain:
                self._streams.put_plain(ids, bulk, level, result_key)
                at += len(bulk)
                continue
            drops = self._when_full == "drop_oldest"
            times_s = (delay_s, deadline_s or 0.0)
            put = self._streams.put(ids, bulk, level, result_key, *times_s, self._max_waiting, drops)
            at += put
            if put < len(bulk):
                self._hold_up(len(bodies) - at, len(bodies))

    def _hold_up(self, left: int, of: int) -> None:
        if self._when_full == "refuse":
            raise QueueFull(
                f"queue {self._name!r} holds its {self._max_waiting} tasks; {left} of {of} were refused: "
                "take some, raise max_waiting, or choose another when_full"
            )
        time.sleep(_FULL_QUEUE_LOOK_S)


def _first_bulk(bodies: list[Encoded]) -> list[Encoded]:
    """As many of the first tasks as one command may carry; at least one."""
    total = 0
    for number, body in enumerate(bodies):
        total += len(body)
        if number and total > _AT_ONCE_BYTES:
            return bodies[:number]
    return bodies
