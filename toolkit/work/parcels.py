"""Small tasks that were put together, in one entry and out again; their ends, told together too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, repeat
from typing import Any, NamedTuple

import msgpack

from toolkit.work.bodies import IN_REDIS
from toolkit.work.segments import PLACE, runs

PARCEL_TASKS = 200
"""Enough to make moving one task cheap: with 200 bytes each they are more than the 32 KB from which Redis
reads into place. A worker takes some parcels ahead when their tasks are quick."""

_PARCEL_BYTES = 65_536
_UNREADABLE = b"\xc1"
# So many bits can Lua tell Redis in one number.
_LONGEST_RUN = 32


class Entry(NamedTuple):
    """One task in hand, still encoded; a tuple, because a dataclass takes five times as long to make.

    Attributes:
        stream: number of its stream, the first of :data:`toolkit.work.layout.STREAMS` being 1.
        entry_id: its place, or that of its parcel, in the stream.
        part, parts: which of how many in its parcel it is, from 1; 1 of 1 where it is alone.
        task_id: the id its sender was given.
        body: the encoded task; b"" when it lies apart.
        place: where it lies then; b"" when it lies in its entry.
        result_key: the stream its result is to be put on; "" for none.
        attempt: 1 when it is in hand for the first time.
        is_orphan: whether it was taken over from a holder that died.
        is_expired: whether its deadline has passed.
        waited_ms: how long it was ready before it was taken; 0 when a worker was waiting for it.
    """

    stream: int
    entry_id: bytes
    part: int
    parts: int
    task_id: str
    body: bytes | memoryview
    place: bytes
    result_key: str
    attempt: int
    is_orphan: bool
    is_expired: bool
    waited_ms: int


class Finished(NamedTuple):
    """How one task in hand ended: "done", "failed", "expired" or "taken", with its encoded result."""

    entry: Entry
    outcome: str
    result: bytes = b""
    error: str = ""
    traceback: str = ""


def parcels(
    task_ids: Sequence[str], bodies: Sequence[bytes], most_tasks: int = PARCEL_TASKS
) -> Iterator[tuple[int, str, bytes, bytes]]:
    """Tasks by up to ``most_tasks`` in a parcel, in order; those with a key of their own in Redis go alone.

    Args:
        task_ids: their ids.
        bodies: the encoded tasks or, where one lies apart, its place.
        most_tasks: in one parcel.

    Yields:
        For each parcel the number of its tasks, "", their packed slots in shared memory
        (:func:`packed_runs`), and the parcel; for a single task 1, its id, its slot, and the task or its
        place.
    """
    at = 0
    while at < len(bodies):
        some = _first_parcel(bodies[at : at + most_tasks])
        ids = task_ids[at : at + len(some)]
        at += len(some)
        slots = packed_runs([body for body in some if body.startswith(IN_REDIS)])
        if len(some) == 1:
            yield 1, ids[0], slots, some[0]
            continue
        parcel: list[str | bytes] = [b""] * (2 * len(some))
        parcel[::2], parcel[1::2] = ids, some
        yield len(some), "", slots, pack(parcel)


def _first_parcel(bodies: Sequence[bytes]) -> Sequence[bytes]:
    if IN_REDIS not in bodies and sum(map(len, bodies)) <= _PARCEL_BYTES:
        return bodies
    size = 0
    for number, body in enumerate(bodies):
        size += len(body)
        if number and (size > _PARCEL_BYTES or body == IN_REDIS):
            return bodies[:number]
        if body == IN_REDIS:
            return bodies[:1]
    return bodies


def packed_runs(places: Iterable[bytes]) -> bytes:
    """The slots of places in shared memory, packed as segment, first slot and number of each run; or b"".

    Tasks that were put together lie side by side as a rule: one command for Redis tells of many.
    """
    slots: dict[bytes, list[int]] = {}
    for place in places:
        if found := PLACE.fullmatch(place):
            slots.setdefault(found[1], []).append(int(found[2]))
    told = [(name, *run) for name, numbers in slots.items() for run in runs(numbers, _LONGEST_RUN)]
    return pack(list(chain.from_iterable(told))) if told else b""


def pack(values: Sequence[Any]) -> bytes:
    """Numbers and bytes in one value, bytes as texts of the old kind, which the Lua inside Redis can read."""
    return msgpack.packb(values, use_bin_type=False)


def unpack(parcel: bytes) -> list[bytes]:
    """The texts in what :func:`pack` or a script packed; a stranger's mess is one unreadable text."""
    try:
        parts = msgpack.unpackb(parcel, raw=True)
    except (ValueError, msgpack.UnpackException):
        parts = None
    is_good = isinstance(parts, list) and set(map(type, parts)) <= {bytes}
    return parts if is_good else [parcel]


def number_of_tasks(fields: list[bytes]) -> int:
    """How many tasks are in an entry."""
    names = fields[::2]
    return max(1, _number(fields[2 * names.index(b"n") + 1])) if b"n" in names else 1


def tasks_of(
    stream: int, deliveries: int, entry_id: bytes, fields: list[bytes], now_ms: int
) -> Iterable[Entry]:
    """The one task of an entry, or all of a parcel."""
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    result_key = named.get(b"r", b"").decode(errors="replace")
    attempt = deliveries + (_number(named[b"a"]) if b"a" in named else 0)
    is_expired = b"x" in named and 0 < _number(named[b"x"]) < now_ms
    put_at_ms = _number(named[b"w"]) if b"w" in named else int(entry_id.partition(b"-")[0])
    same = (result_key, attempt, deliveries > 1, is_expired, max(0, now_ms - put_at_ms))
    if b"m" not in named:
        body = named.get(b"b", b"")
        place = body if body.startswith(IN_REDIS) else b""
        task_id = named.get(b"i", entry_id).decode(errors="replace")
        return [Entry(stream, entry_id, 1, 1, task_id, b"" if place else body, place, *same)]
    parts = unpack(named[b"m"])
    if len(parts) % 2:
        parts = [entry_id, _UNREADABLE]
    number = len(parts) // 2
    task_ids = [task_id.decode(errors="replace") for task_id in parts[::2]]
    places = [body if body.startswith(IN_REDIS) else b"" for body in parts[1::2]]
    bodies = [b"" if place else body for place, body in zip(places, parts[1::2], strict=True)]
    where = (repeat(stream), repeat(entry_id), range(1, number + 1), repeat(number))
    rows = zip(*where, task_ids, bodies, places, *map(repeat, same), strict=False)
    # Half the time of calling Entry for each.
    return map(partial(tuple.__new__, Entry), rows)


def alike(finished: Iterable[Finished]) -> list[list[Finished]]:
    """Ends that one acknowledgement can tell: of one entry, with one outcome; a failure is told alone."""
    groups: dict[Any, list[Finished]] = {}
    for end in finished:
        stream, entry_id, part, *_ = end[0]
        outcome = end[1]
        key = (entry_id, stream, outcome, part if outcome == "failed" else 0)
        if (group := groups.get(key)) is None:
            groups[key] = [end]
        else:
            group.append(end)
    return list(groups.values())


def _number(text: bytes) -> int:
    # Whoever reaches the Redis can put anything into the stream; what is no number counts as none.
    return int(text) if text.isdigit() else 0
