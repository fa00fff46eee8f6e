"""Files of shared memory in slots, each with a big task: written by their owner, read by everybody here.

A reader copies a task out, or reads it where it lies. Then it holds a lock on the bytes of the slot, which
ends when nothing refers to them any more, or with the process; the owner looks for such a lock when it has
put another task's id into a slot, and leaves what is locked alone. Whoever locks first and then finds the id
of its task in the slot can so rely on the bytes, whatever became of the task meanwhile.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import re
import struct
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from toolkit.work.codec import Encoded

HEAD_BYTES = 64
"""So many bytes of a slot are for the id of its task, after one that tells whether the task is there."""

_COMING, _THERE = b"~", ord("=")
# Numpy lets other threads run while it copies; below, calling it takes longer than they would wait.
_LET_OTHERS_RUN_BYTES = 262_144
# A sender that was killed while it wrote had promised nothing.
_PATIENCE_S, _NAP_S = 2.0, 0.0001
_MAPS_KEPT = 64
MOST_SLOTS = 100_000
"""More than any segment has."""
# Locks that belong to an open file, not to the whole process; Linux has them.
_HAS_LOCKS = hasattr(fcntl, "F_OFD_SETLK")
_LOCK = struct.Struct("hhqqi4x")
PLACE = re.compile(rb"@([0-9a-f]{8}-[0-9a-f]{12}-[0-9]{1,9}):([0-9]{1,5}):([0-9]{1,9})")
"""Segment, slot and bytes of a place. A stranger can put any text where one is expected; it must not become
the name of any other file."""


class Segment:
    """One file of shared memory, mapped; its name ends with the size of its slots."""

    def __init__(self, name: str, descriptor: int, is_ours: bool) -> None:
        self.name = name
        self.slot_bytes = int(name.rsplit("-", 1)[1])
        size = os.fstat(descriptor).st_size
        self.slots = size // self.slot_bytes
        access = mmap.PROT_READ | (mmap.PROT_WRITE if is_ours else 0)
        # The lock lives as long as this map, which has a duplicate of the descriptor.
        self._map = mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED, prot=access)
        self._bytes = np.frombuffer(self._map, np.uint8)
        self._view = self._bytes.data
        self._place = b"@%b:" % name.encode()
        self._file = os.dup(descriptor)
        weakref.finalize(self, os.close, self._file).atexit = False
        self._lent = set[int]()
        self._lending = threading.Lock()

    def announce(self, slot: int, task_id: str, size: int) -> bytes:
        """Say in a slot that this task is being written; returns its place."""
        start = slot * self.slot_bytes
        # As a whole, in one go: whoever reads it meanwhile must not see half of it.
        self._map[start : start + HEAD_BYTES] = (_COMING + task_id.encode()).ljust(HEAD_BYTES, b"\0")
        return b"%b%d:%d" % (self._place, slot, size)

    def write(self, slot: int, body: Encoded) -> None:
        """Fill a slot that was announced."""
        start = at = slot * self.slot_bytes
        at += HEAD_BYTES
        for piece in [body] if isinstance(body, bytes) else body.pieces:
            if len(piece) < _LET_OTHERS_RUN_BYTES:
                self._view[at : at + len(piece)] = piece
            else:
                self._bytes[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
            at += len(piece)
        self._map[start] = _THERE

    def read(self, slot: int, task_id: str, size: int) -> memoryview | None:
        """A copy of what a slot holds, writable; None when it is not, or no longer, this task's."""
        if not self.has(slot, size) or not self.holds(slot, task_id):
            return None
        at = slot * self.slot_bytes + HEAD_BYTES
        copy = self._bytes[at : at + size].copy()
        return copy.data if self.holds(slot, task_id) else None

    def has(self, slot: int, size: int) -> bool:
        """Whether there is such a slot, and it is as big."""
        return slot < self.slots and size <= self.slot_bytes - HEAD_BYTES

    def holds(self, slot: int, task_id: str) -> bool:
        """Whether this task is in a slot; waits for a sender that is writing it."""
        start = slot * self.slot_bytes
        head = self._map[start : start + HEAD_BYTES]
        wanted = task_id.encode().ljust(HEAD_BYTES - 1, b"\0")
        if head[0] == _THERE:
            return head[1:] == wanted
        give_up_at = time.monotonic() + _PATIENCE_S
        while self._map[start : start + HEAD_BYTES] == _COMING + wanted and time.monotonic() < give_up_at:
            time.sleep(_NAP_S)
        return self._map[start : start + HEAD_BYTES] == b"%c%b" % (_THERE, wanted)

    def lend(self, first: int, number: int) -> memoryview | None:
        """Slots side by side, not to be used again while anything refers to this memory; None: copy them."""
        slots = range(first, first + number)
        with self._lending:
            # Two locks of one file are one; the end of the first would be that of the second.
            if not _HAS_LOCKS or not self._lent.isdisjoint(slots):
                return None
            self._lent.update(slots)
        self._lock(fcntl.F_OFD_SETLK, fcntl.F_RDLCK, slots)
        span = self._bytes[first * self.slot_bytes : (first + number) * self.slot_bytes]
        weakref.finalize(span, self._take_back, slots).atexit = False
        return span.data

    def lent(self, slots: Iterable[int]) -> set[int]:
        """Those of the slots that somebody reads where they lie."""
        return {
            slot
            for first, number in runs(slots)
            if self._is_lent(range(first, first + number))
            for slot in range(first, first + number)
            if self._is_lent(range(slot, slot + 1))
        }

    def _take_back(self, slots: range) -> None:
        # In this order, and without waiting for anybody: it may be called anywhere.
        self._lock(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, slots)
        self._lent.difference_update(slots)

    def _is_lent(self, slots: range) -> bool:
        return _HAS_LOCKS and self._lock(fcntl.F_OFD_GETLK, fcntl.F_WRLCK, slots) != fcntl.F_UNLCK

    def _lock(self, command: int, kind: int, slots: range) -> int:
        start, length = slots.start * self.slot_bytes, len(slots) * self.slot_bytes
        answer = fcntl.fcntl(self._file, command, _LOCK.pack(kind, os.SEEK_SET, start, length, 0))
        return _LOCK.unpack(answer)[0]


class Lent(NamedTuple):
    """A big task that is to be read where it lies.

    Attributes:
        segment, slot, size: where it lies.
        span, first: the memory it lies in, and the first slot of that.
    """

    segment: Segment
    slot: int
    size: int
    span: memoryview
    first: int

    def body(self, task_id: str) -> memoryview:
        """The encoded task, read-only; empty when it is not there."""
        at = (self.slot - self.first) * self.segment.slot_bytes + HEAD_BYTES
        return self.span[at : at + self.size if self.segment.holds(self.slot, task_id) else at]


class ArenaReader:
    """Reads tasks in the segments of all senders on this host.

    Args:
        folder: where the segments lie.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._segments: OrderedDict[bytes, Segment] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, place: bytes, task_id: str) -> memoryview | None:
        """The encoded task at a place, in memory of its own; None when it is not there."""
        if (found := PLACE.fullmatch(place)) is None:
            return None
        segment = self._segment(found[1])
        return segment.read(int(found[2]), task_id, int(found[3])) if segment else None

    def lend(self, places: Sequence[bytes]) -> list[Lent | None]:
        """Tasks that are to be read where they lie; None for one that has to be read another way."""
        lent: list[Lent | None] = [None] * len(places)
        by_segment: dict[bytes, dict[int, tuple[int, int]]] = {}
        for number, place in enumerate(places):
            if found := PLACE.fullmatch(place):
                slots = by_segment.setdefault(found[1], {})
                slots[int(found[2])] = number, int(found[3])
        for name, slots in by_segment.items():
            if (segment := self._segment(name)) is None:
                continue
            for first, length in runs(slot for slot, (_, size) in slots.items() if segment.has(slot, size)):
                if (span := segment.lend(first, length)) is not None:
                    for slot in range(first, first + length):
                        number, size = slots[slot]
                        lent[number] = Lent(segment, slot, size, span, first)
        return lent

    def _segment(self, name: bytes) -> Segment | None:
        with self._lock:
            if (segment := self._segments.get(name)) is None:
                with (
                    contextlib.suppress(OSError, ValueError),
                    opened(f"{self._folder}/{name.decode()}") as descriptor,
                ):
                    segment = self._segments[name] = Segment(name.decode(), descriptor, is_ours=False)
            if segment is not None:
                # Those of senders that are gone are the ones that are used no more.
                self._segments.move_to_end(name)
                if len(self._segments) > _MAPS_KEPT:
                    self._segments.popitem(last=False)
            return segment


def runs(slots: Iterable[int], longest: int = MOST_SLOTS) -> Iterator[tuple[int, int]]:
    """First slot and number of those that lie side by side."""
    first, number = -1, 0
    for slot in sorted(slots):
        if slot == first + number and number < longest:
            number += 1
            continue
        if number:
            yield first, number
        first, number = slot, 1
    if number:
        yield first, number


@contextlib.contextmanager
def opened(path: str, flags: int = os.O_RDONLY) -> Iterator[int]:
    """The descriptor of a file for the length of the block; a new one is for this user alone."""
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
