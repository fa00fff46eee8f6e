"""Small tasks that were put together, in one entry and out again; their ends, told together too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgpack

from toolkit.work.bodies import IN_REDIS

PARCEL_TASKS = 200
"""Enough to make moving one task cheap: with 200 bytes each they are more than the 32 KB from which Redis
reads into place. A worker takes some parcels ahead when their tasks are quick."""

_PARCEL_BYTES = 65_536
_UNREADABLE = b"\xc1"


class Entry(NamedTuple):
    """One task in hand, still encoded; a tuple, because a dataclass takes five times as long to make.

    Attributes:
        stream: number of its stream, the first of :data:`toolkit.work.layout.STREAMS` being 1.
        entry_id: its place, or that of its parcel, in the stream.
        part, parts: which of how many in its parcel it is, from 1; 1 of 1 where it is alone.
        task_id: the id its sender was given.
        result_key: the list its result is to be put on; "" for none.
        place: where the encoded task lies; b"" when it lies in its entry.
        body: the encoded task.
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
    result_key: str
    place: bytes
    body: bytes | memoryview
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


def parcels(ids_and_bodies: Sequence[tuple[str, bytes]], most_tasks: int) -> list[Any]:
    """Tasks by up to ``most_tasks`` in a parcel, in order; those with a key of their own in Redis go alone.

    Args:
        ids_and_bodies: the encoded task or, where that lies apart, its place.
        most_tasks: in one parcel.

    Returns:
        Three values for :data:`toolkit.work.scripts.PUT` for each parcel or single task.
    """
    args: list[Any] = []
    parcel: list[str | bytes] = []
    size = 0
    for task_id, body in ids_and_bodies:
        is_full = len(parcel) >= 2 * most_tasks or size + len(body) > _PARCEL_BYTES
        if parcel and (is_full or body == IN_REDIS):
            args += _wrapped(parcel)
            parcel, size = [], 0
        if body == IN_REDIS:
            args += (1, task_id, body)
        else:
            parcel += (task_id, body)
            size += len(body)
    return [*args, *_wrapped(parcel)] if parcel else args


def _wrapped(parcel: list[Any]) -> tuple[Any, ...]:
    if len(parcel) == 2:
        return 1, *parcel
    places = [body for body in parcel[1::2] if body.startswith(IN_REDIS)]
    return len(parcel) // 2, pack(places) if places else "", pack(parcel)


def pack(values: list[Any]) -> bytes:
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


def tasks_of(
    stream: int, deliveries: int, entry_id: bytes, fields: list[bytes], now_ms: int
) -> Iterator[Entry]:
    """The one task of an entry, or all of a parcel."""
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    result_key = named.get(b"r", b"").decode(errors="replace")
    attempt = _number(named.get(b"a")) + deliveries
    is_orphan, is_expired = deliveries > 1, 0 < _number(named.get(b"x")) < now_ms
    waited_ms = max(0, now_ms - _number(named.get(b"w", entry_id.split(b"-")[0])))
    parts = unpack(named[b"m"]) if b"m" in named else [named.get(b"i", entry_id), named.get(b"b", b"")]
    if len(parts) % 2:
        parts = [entry_id, _UNREADABLE]
    number = len(parts) // 2
    for part, task_id, body in zip(range(1, number + 1), parts[::2], parts[1::2], strict=True):
        place = body if body.startswith(IN_REDIS) else b""
        yield Entry(
            stream,
            entry_id,
            part,
            number,
            task_id.decode(errors="replace"),
            result_key,
            place,
            b"" if place else body,
            attempt,
            is_orphan,
            is_expired,
            waited_ms,
        )


def alike(finished: Iterable[Finished]) -> Iterable[list[Finished]]:
    """Ends that one acknowledgement can tell: of one entry, with one outcome; a failure is told alone."""
    groups: dict[Any, list[Finished]] = {}
    for end in finished:
        entry = end.entry
        alone = entry.part if end.outcome == "failed" else 0
        groups.setdefault((entry.entry_id, entry.stream, end.outcome, alone), []).append(end)
    return groups.values()


def _number(text: bytes | None) -> int:
    # Whoever reaches the Redis can put anything into the stream; what is no number counts as none.
    return int(text) if text and text.isdigit() else 0
