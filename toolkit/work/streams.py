"""The tasks of one queue as they lie in Redis: put, taken, finished or put back in bulk."""

from __future__ import annotations

import contextlib
import itertools
import math
import operator
import os
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from toolkit.work import layout, put_scripts, scripts, upkeep
from toolkit.work.arena import Stored
from toolkit.work.bodies import APART_BYTES, IN_REDIS, Bodies
from toolkit.work.codec import Encoded, as_bytes
from toolkit.work.connection import BLOCK_S, GroupMissing, RedisConnection
from toolkit.work.parcels import (
    PARCEL_TASKS,
    Entry,
    Finished,
    alike,
    number_of_tasks,
    pack,
    packed_runs,
    parcels,
    tasks_of,
    unpack,
)
from toolkit.work.quiet import Quiet
from toolkit.work.segments import Lent

_LONG_AGO_MS = 86_400_000
_LOOK_FOR_STALE_S = 1.0
_READ_AT_ONCE = 10
_PUT_PLAIN_KEYS = (layout.TOTALS_KEY, layout.STATS_KEY, layout.BODY_KEY, layout.USED_KEY)

_place: Callable[[Entry], bytes] = operator.attrgetter("place")


class TaskStreams:
    """The streams of one queue, seen by one consumer; safe to use from any number of threads.

    Args:
        connection: the Redis they lie in.
        name: name of the queue.
        lease_s: a task in hand that was not renewed for so long belongs to whoever asks next.
        results_expire_s: results that nobody fetches are deleted after this time.
    """

    _has_read: list[bytes]

    def __init__(
        self, connection: RedisConnection, name: str, lease_s: float, results_expire_s: float
    ) -> None:
        self._connection = connection
        self._keys = layout.keys_of(name)
        self._lease_ms = max(1, round(lease_s * 1000))
        self._expire_ms = max(1, round(results_expire_s * 1000))
        self._bodies = Bodies(connection, self._keys[layout.BODY_KEY], self._keys[layout.USED_KEY])
        self._look_for_stale_at = 0.0
        self._quiet = Quiet()
        streams = self._keys[: len(layout.STREAMS)]
        self._waited_for = ("STREAMS", *streams, *">" * len(streams))
        self._stream_numbers = {key.encode(): number for number, key in enumerate(streams, start=1)}
        self._become_new()

    def new_ids(self, number: int) -> list[str]:
        """Ids that no other process will ever give, alike up to their last dash."""
        if os.getpid() != self._pid:
            self._become_new()
        stem = f"{self._prefix}-{next(self._numbers)}-"
        return [f"{stem}{n}" for n in range(number)]

    @property
    def result_key(self) -> str:
        """Key of the stream on which results for this process are put."""
        if os.getpid() != self._pid:
            self._become_new()
        return self._result_key

    def put_plain(
        self, task_ids: Sequence[str], bodies: Sequence[Encoded], level: int, result_key: str = ""
    ) -> None:
        """Add tasks in order, to be taken now, whatever else waits; the cheap way."""
        keys = [self._keys[place] for place in (level - 1, *_PUT_PLAIN_KEYS)]
        with self._stored(task_ids, bodies) as (small, stored):
            calls = ((level, result_key, *parcel) for parcel in parcels(task_ids, small))
            self._connection.run_each(put_scripts.PUT_PLAIN, keys, calls, meanwhile=stored.write)

    def put(
        self,
        task_ids: Sequence[str],
        bodies: Sequence[Encoded],
        level: int,
        result_key: str = "",
        delay_s: float = 0.0,
        lifetime_s: float = 0.0,
        max_waiting: int = 0,
        drop_oldest: bool = False,
    ) -> int:
        """Add tasks in order; returns how many there was room for (all, unless ``max_waiting`` is set)."""
        settings = [
            level,
            _ms(delay_s),
            # 0 is without an end, and not what is left of half a millisecond.
            math.ceil(lifetime_s * 1000),
            max_waiting,
            int(drop_oldest),
            result_key,
            self._expire_ms,
        ]
        most_tasks = 1 if settings[1] or max_waiting else PARCEL_TASKS
        with self._stored(task_ids, bodies) as (small, stored):
            items = pack(list(itertools.chain.from_iterable(parcels(task_ids, small, most_tasks))))
            return self._run(put_scripts.PUT, *settings, items, meanwhile=stored.write)

    def take(
        self,
        max_tasks: int,
        timeout_s: float,
        is_wanted: Callable[[], bool] = lambda: True,
        most_tasks: int = 0,
    ) -> list[Entry]:
        """Take up to ``max_tasks``, the highest priority first; wait up to ``timeout_s`` for the first one.

        A task whose worker is gone comes first, and alone. ``is_wanted`` is asked between two waits. Up to
        ``most_tasks`` are taken where they came as one parcel.
        """
        most_tasks = max(max_tasks, most_tasks)
        deadline = time.monotonic() + timeout_s
        while True:
            now_ms, next_due_ms, rows = self._look(max_tasks, most_tasks, is_last=timeout_s <= 0)
            wait_s = min(deadline - time.monotonic(), BLOCK_S)
            if next_due_ms > 0:
                wait_s = min(wait_s, next_due_ms / 1000)
            if not rows and wait_s > 0 and is_wanted():
                rows, is_too_much = self._wait_for_new(wait_s, most_tasks)
                self._quiet.waited(now_ms, [entries[0][0] for _, _, entries in rows])
                if is_too_much:
                    self._quiet.end()
                    continue
            if rows or time.monotonic() >= deadline or not is_wanted():
                if rows and rows[0][1] > 1:
                    # Taken over from a worker that held more, as a rule.
                    self._look_for_stale_at = 0.0
                return self._entries(rows, now_ms)

    def body_of(self, entry: Entry) -> bytes | memoryview:
        """The encoded task; where it lies in shared memory, a copy of it."""
        if entry.body or not entry.place:
            return entry.body
        return self._bodies.fetch([(entry.task_id, entry.place)])[0]

    def lend(self, entries: Iterable[Entry]) -> list[Lent | None]:
        """The big tasks that can be read where they lie; None for the others."""
        return self._bodies.lend(list(map(_place, entries)))

    def finish(self, finished: Iterable[Finished]) -> int:
        """Store the results and let the tasks go; returns how many another worker had finished before."""
        args: list[Any] = [self._expire_ms, layout.KEPT_DEAD, layout.KEPT_DEAD_BYTES]
        groups = alike(finished)
        # They may be dead for long: shared memory is for those that move.
        failed = [ends[0].entry for ends in groups if ends[0].outcome == "failed" and ends[0].entry.place]
        bodies = [(entry.task_id, self.body_of(entry)) for entry in failed if entry.place != IN_REDIS]
        self._bodies.keep_in_redis((task_id, body) for task_id, body in bodies if body)
        for ends in groups:
            entry, outcome, _, error, traceback = ends[0]
            args += (entry.stream, entry.entry_id, entry.parts, len(ends), outcome, entry.result_key)
            places = [end.entry.place for end in ends]
            apart = (
                [text for end in ends for text in (end.entry.task_id, end.entry.place)] if any(places) else []
            )
            args += (error, traceback, pack(apart) if apart else "", pack([end.entry.part for end in ends]))
            args.append(pack([end.result for end in ends]) if entry.result_key else "")
            args.append(packed_runs(places) if apart and IN_REDIS not in places else "")
        return self._run(scripts.FINISH, *args) if groups else 0

    def put_back(self, entries: Iterable[Entry], delay_s: float = 0.0, is_retry: bool = False) -> int:
        """Put tasks in hand back, to be the next of their priority; a retry is an attempt, and comes last."""
        args: list[Any] = ["retried" if is_retry else ""]
        for entry in entries:
            attempts = entry.attempt if is_retry else entry.attempt - 1
            args += (entry.stream, entry.entry_id, entry.parts, entry.part, _ms(delay_s), attempts)
        return self._run(scripts.PUT_BACK, *args) if len(args) > 1 else 0

    def renew(self, entries: Iterable[Entry]) -> int:
        """Start the lease of tasks in hand anew; returns how many are lost to another worker."""
        held = Counter((entry.stream, entry.entry_id) for entry in entries)
        args = [part for place, tasks in held.items() for part in (*place, tasks)]
        return self._run(scripts.RENEW, self.consumer, *args) if args else 0

    @property
    def consumer(self) -> str:
        """The name under which this process holds tasks."""
        if os.getpid() != self._pid:
            self._become_new()
        return self._consumer

    def settle_dead(self, is_requeue: bool, task_ids: Iterable[str] | None) -> int:
        """Put dead letters back into the queue, or drop them: those named, or all; returns how many."""
        wanted = ["*"] if task_ids is None else ["", *task_ids]
        return self._run(upkeep.SETTLE_DEAD, int(is_requeue), *wanted)

    def dead(self, max_entries: int) -> list[tuple[bytes, dict[bytes, bytes], bytes | memoryview]]:
        """The newest dead letters, the newest first: entry id, fields and body of each."""
        key = self._keys[layout.DEAD_KEY]
        rows = self._connection.call("XREVRANGE", key, "+", "-", "COUNT", max_entries)
        found = []
        for entry_id, names_and_values in rows:
            fields = dict(zip(names_and_values[::2], names_and_values[1::2], strict=True))
            task_id = fields.get(b"i", b"").decode(errors="replace")
            body = fields.get(b"b", b"")
            is_apart = body.startswith(IN_REDIS)
            found.append((entry_id, fields, self._bodies.fetch([(task_id, body)])[0] if is_apart else body))
        return found

    def free(self, consumer: str) -> int:
        """Let what a dead consumer holds be taken over without waiting for its lease; returns how many."""
        return self._run(upkeep.FREE, consumer, _LONG_AGO_MS)

    def size(self) -> int:
        """Number of tasks that nobody has taken yet, delayed ones included."""
        return self._run(upkeep.SIZE)

    def look(self) -> dict[str, Any]:
        """Numbers of tasks by state, and counters since the queue was made."""
        waiting, in_hand, delayed, dead, oldest_ms, counters = self._run(upkeep.LOOK)
        names = [name.decode() for name in counters[::2]]
        return {
            "waiting": waiting,
            "in_hand": in_hand,
            "delayed": delayed,
            "dead": dead,
            "oldest_s": None if oldest_ms < 0 else oldest_ms / 1000,
            **dict(zip(names, map(int, counters[1::2]), strict=True)),
        }

    def clear(self) -> int:
        """Drop every task that nobody has taken; returns how many."""
        return self._run(upkeep.CLEAR, self._expire_ms)

    def retire(self) -> None:
        """Forget this consumer; what it still holds goes to others when the lease ends."""
        self._bodies.close()
        self._run(upkeep.RETIRE, self.consumer, self.result_key, *self._has_read)
        self._has_read = []

    def next_results(self, timeout_s: float) -> tuple[list[bytes], bool]:
        """Read the next results for this process, oldest first; wait up to ``timeout_s`` for the first ones.

        For one thread at a time. What a call gave is deleted by the next one, so that what was lost on its
        way with a connection is read again.

        Returns:
            The results, and whether more may be there already.
        """
        key = self.result_key
        wait_ms = _ms(min(timeout_s, BLOCK_S))
        block = ["BLOCK", wait_ms] if wait_ms else []
        read = ("XREAD", "COUNT", _READ_AT_ONCE, *block, "STREAMS", key, "0")
        if self._has_read:
            _, answer = self._connection.call_all([("XDEL", key, *self._has_read), read])
        else:
            answer = self._connection.call(*read)
        entries = answer[0][1] if answer else []
        self._has_read = [entry_id for entry_id, _ in entries]
        results = [result for _, fields in entries for packed in fields[1::2] for result in unpack(packed)]
        return results, len(entries) == _READ_AT_ONCE

    @contextlib.contextmanager
    def _stored(
        self, task_ids: Sequence[str], bodies: Sequence[Encoded]
    ) -> Iterator[tuple[list[bytes], Stored]]:
        """What travels of each task, itself or its place; and the big ones, to be written in this block."""
        big = [pair for pair in zip(task_ids, bodies, strict=True) if len(pair[1]) >= APART_BYTES]
        if not big:
            yield list(map(as_bytes, bodies)), Stored({}, [], [])
            return
        with self._bodies.stored(big) as stored:
            yield (
                [
                    stored.places.get(task_id) or as_bytes(body)
                    for task_id, body in zip(task_ids, bodies, strict=True)
                ],
                stored,
            )

    def _become_new(self) -> None:
        # A forked child is another consumer with other ids: it must not answer for its parent.
        self._pid = os.getpid()
        self._prefix = uuid.uuid4().hex[:12]
        self._numbers = itertools.count(1)
        self._consumer = f"{socket.gethostname()}-{self._pid}-{self._prefix}"
        self._result_key = f"{self._keys[0].rsplit(':', 2)[0]}:results:{self._prefix}"
        self._has_read = []

    def _stale_ms(self) -> int:
        """The lease when it is time to look for tasks of dead workers; else 0, as looking costs."""
        now = time.monotonic()
        if now < self._look_for_stale_at:
            return 0
        self._look_for_stale_at = now + min(self._lease_ms / 4000, _LOOK_FOR_STALE_S)
        return self._lease_ms

    def _look(self, max_tasks: int, most_tasks: int, is_last: bool) -> tuple[int, int, list[Any]]:
        """What :data:`scripts.TAKE` answers; nobody is asked where it is known to be nothing."""
        if not is_last and (times_ms := self._quiet.times_ms()):
            return *times_ms, []
        began = time.monotonic()
        now_ms, next_due_ms, rows = self._run(
            scripts.TAKE, self.consumer, max_tasks, most_tasks, self._stale_ms()
        )
        self._quiet.looked(began, now_ms, next_due_ms, is_empty=not rows)
        return now_ms, next_due_ms, rows

    def _wait_for_new(self, wait_s: float, most_tasks: int) -> tuple[list[Any], bool]:
        """What came; or nothing, and that it was more than wanted and can be taken in pieces now."""
        wait_ms = max(1, round(wait_s * 1000))
        command = ("XREADGROUP", "GROUP", layout.GROUP, self.consumer, "COUNT", 1, "BLOCK", wait_ms)
        try:
            answer = self._connection.wait(*command, *self._waited_for) or []
        except GroupMissing:
            self._connection.run(scripts.MAKE_GROUPS, self._keys)
            return [], False
        rows, tasks = [], 0
        for key, entries in answer:
            rows.append([self._stream_numbers[key], 1, entries])
            tasks += number_of_tasks(entries[0][1])
        if tasks <= most_tasks:
            return rows, False
        places = [(stream, entries[0][0]) for stream, _, entries in rows]
        self._run(scripts.OPEN, *itertools.chain.from_iterable(places))
        return [], True

    def _entries(self, rows: list[Any], now_ms: int) -> list[Entry]:
        tasks: list[Entry] = []
        for stream, deliveries, entries in rows:
            for entry_id, fields in entries:
                tasks += tasks_of(stream, deliveries, entry_id, fields, now_ms)
        if IN_REDIS not in map(_place, tasks):
            return tasks
        in_redis = [(task.task_id, task.place) for task in tasks if task.place == IN_REDIS]
        bodies = iter(self._bodies.fetch(in_redis))
        return [task._replace(body=next(bodies)) if task.place == IN_REDIS else task for task in tasks]

    def _run(self, script: str, *args: Any, meanwhile: Callable[[], None] | None = None) -> Any:
        try:
            return self._connection.run(script, self._keys, *args, meanwhile=meanwhile)
        except GroupMissing:
            self._connection.run(scripts.MAKE_GROUPS, self._keys)
            return self._connection.run(script, self._keys, *args, meanwhile=meanwhile)


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
