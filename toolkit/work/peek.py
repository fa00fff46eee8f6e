"""What lies in a Redis, seen without touching it: its queues, and the tasks in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgpack
import numpy as np

from toolkit.addresses import without_password
from toolkit.errors import TaskError
from toolkit.work.bodies import Bodies
from toolkit.work.codec import decode
from toolkit.work.connection import RedisConnection
from toolkit.work.layout import BODY_KEY, LEVELS, STREAMS, USED_KEY, keys_of
from toolkit.work.parcels import Entry, tasks_of

_STREAM_KEY = re.compile(r"toolkit:\{(.*)\}:tasks:normal", re.DOTALL)
_SECRET_NAME = re.compile(r"(?i)passw|pwd|secret|token|credential|api_?key")
_LONGEST_TEXT, _MOST_PARTS = 60, 8

# One script, so that what it sees was true at one moment; it makes no group where there is none.
_PEEK = """
local count = tonumber(ARGV[1])
local time = redis.call('TIME')
local rows = {}
-- In the order in which they would be taken: orphans, then by level what was opened before what was put.
for _, number in ipairs({7, 4, 1, 5, 2, 6, 3}) do
    local stream = KEYS[number]
    -- Nothing was taken from a stream without a group.
    local last = '0-0'
    local groups = redis.pcall('XINFO', 'GROUPS', stream)
    local info = not groups.err and groups[1] or {}
    for at = 1, #info, 2 do
        if info[at] == 'last-delivered-id' then last = info[at + 1] end
    end
    for _, held in ipairs(#info > 0 and redis.call('XPENDING', stream, 'workers', '-', '+', count) or {}) do
        local entry = redis.call('XRANGE', stream, held[1], held[1])[1]
        local done = redis.call('SMEMBERS', KEYS[13] .. number .. ':' .. held[1])
        if entry then rows[#rows + 1] = {'in hand', number, entry[1], entry[2], held[2], held[4], done} end
    end
    for _, entry in ipairs(redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', count)) do
        rows[#rows + 1] = {'waiting', number, entry[1], entry[2], '', 0, {}}
    end
end
local delayed = redis.call('ZRANGE', KEYS[8], 0, count - 1, 'WITHSCORES')
for at = 1, #delayed, 2 do
    local packed = redis.call('HGET', KEYS[9], delayed[at])
    rows[#rows + 1] = {'delayed', 0, delayed[at + 1], packed, '', 0, {}}
end
return {time[1] * 1000 + math.floor(time[2] / 1000), rows}
"""


@dataclass(frozen=True, slots=True)
class SeenTask:
    """One task as it lies in Redis.

    Attributes:
        task_id: its id.
        state: "in hand", "waiting" or "delayed".
        priority: "high", "normal" or "low".
        age_s: since it was put there; what is delayed has the negative time until it is due.
        attempts: how often it was begun.
        holder: who has it in hand; "" for nobody.
        size_bytes: of the encoded task.
        task: what was enqueued; None when it cannot be read.
    """

    task_id: str
    state: Literal["in hand", "waiting", "delayed"]
    priority: str
    age_s: float
    attempts: int
    holder: str
    size_bytes: int
    task: dict[str, Any] | None


def queue_names(url: str) -> list[str]:
    """Names of all queues in a Redis, sorted.

    Raises:
        QueueUnavailable: Redis does not answer.
    """
    connection = RedisConnection(url)
    names: set[str] = set()
    cursor = 0
    try:
        while True:
            cursor, keys = connection.call("SCAN", cursor, "MATCH", "toolkit:{*}:tasks:normal", "COUNT", 1000)
            matches = (_STREAM_KEY.fullmatch(key.decode(errors="replace")) for key in keys)
            names.update(match[1] for match in matches if match)
            if int(cursor) == 0:
                return sorted(names)
    finally:
        connection.close()


def peek(url: str, name: str, max_tasks: int = 10) -> list[SeenTask]:
    """The tasks of one queue: up to ``max_tasks`` in hand, as many that wait and that are delayed.

    In each state the one that is next, or was, comes first. Nothing is taken, renewed or made.

    Raises:
        QueueUnavailable: Redis does not answer.
    """
    connection, keys = RedisConnection(url), keys_of(name)
    try:
        now_ms, rows = connection.run(_PEEK, keys[:BODY_KEY], max_tasks)
        bodies = Bodies(connection, keys[BODY_KEY], keys[USED_KEY])
        tasks = (task for row in rows for task in _tasks_in(row, now_ms))
        seen = [_seen(bodies, *task) for task in _first_of_each(tasks, max_tasks)]
    finally:
        connection.close()
    return seen


def describe(value: Any) -> str:
    """A task's data in one line for people: an array is its dtype and shape, and no password is shown.

    >>> describe({"camera": "rtsp://me:1234@door/1", "frame": np.zeros((48, 64, 3), np.uint8)})
    "camera='rtsp://***@door/1', frame=uint8 (48, 64, 3)"
    """
    if isinstance(value, dict):
        return _some(f"{key}={_part(str(key), part)}" for key, part in value.items())
    return _part("", value)


def _part(name: str, value: Any) -> str:
    if _SECRET_NAME.search(name):
        return "***"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, dict):
        return f"{{{describe(value)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{_some(_part('', part) for part in value)}]"
    text = repr(without_password(value) if isinstance(value, str) else value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."


def _some(parts: Iterable[str]) -> str:
    shown = list(parts)
    return ", ".join(shown[:_MOST_PARTS]) + (
        f", {len(shown) - _MOST_PARTS} more" * (len(shown) > _MOST_PARTS)
    )


def _first_of_each(tasks: Iterable[tuple[Any, ...]], max_tasks: int) -> Iterator[tuple[Any, ...]]:
    found = list(tasks)
    for state in ("in hand", "waiting", "delayed"):
        yield from [task for task in found if task[0] == state][:max_tasks]


def _tasks_in(row: list[Any], now_ms: int) -> Iterator[tuple[Any, ...]]:
    """State, priority, age and holder of each task in a row of the script, and its entry."""
    state, number, place, fields, holder, deliveries, done = row
    if state == b"delayed":
        number, fields = msgpack.unpackb(fields, raw=True)
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    # Only an orphan tells its level; whatever a stranger put there is some level too.
    level = named.get(b"l", b"2")[-1] - ord("0") if number == len(STREAMS) else int(number)
    age_s = (now_ms - float(place.split(b"-")[0])) / 1000
    for entry in tasks_of(int(number), deliveries, place, fields, now_ms):
        if str(entry.part).encode() not in done:
            yield state.decode(), LEVELS[(int(level) - 1) % 3], age_s, holder.decode(errors="replace"), entry


def _seen(bodies: Bodies, state: Any, priority: str, age_s: float, holder: str, entry: Entry) -> SeenTask:
    body = bodies.fetch([(entry.task_id, entry.place)])[0] if entry.place else entry.body
    try:
        task = decode(body)
    except TaskError:
        task = None
    return SeenTask(
        task_id=entry.task_id,
        state=state,
        priority=priority,
        age_s=age_s,
        attempts=entry.attempt,
        holder=holder,
        size_bytes=len(body),
        task=task if isinstance(task, dict) else None,
    )
