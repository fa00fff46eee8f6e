"""Shared memory of one host, used again and again: a sender copies big tasks in, a worker reads them.

A sender owns segments, which are files in a folder of shared memory, each of so many slots of one size. Which
slots are in use is a bitmap in Redis, set by the script that puts a task and cleared by the one that ends it:
so no crash can fall between the two, and nobody need be alive for a slot to become free. A slot begins with
the id of its task; whoever copies a task out looks at it afterwards, so that one who is late and reads what
is no longer there notices; whoever reads it where it lies locks the slot, which is then left alone although
it is free (:mod:`toolkit.work.segments`). A task is copied in while Redis puts it, which is quicker than one
after the other; a worker that is quicker still sees so at the beginning of the slot, and waits. The owner of
a segment holds a lock on its file, which ends with the process; what a dead sender left is taken over, or
removed, by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import logging
import os
import threading
import uuid
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from toolkit.errors import QueueUnavailable
from toolkit.work.codec import Encoded
from toolkit.work.connection import RedisConnection
from toolkit.work.segments import HEAD_BYTES, Segment, opened

_log = logging.getLogger(__name__)

SEGMENT_BYTES = 16 * 1024 * 1024
MOST_BYTES = 1 << 30
"""So much shared memory one sender takes at most; its further big tasks go through Redis."""

_SMALLEST_SLOT = 4096

_Slot = tuple[Segment, int]


class Stored(NamedTuple):
    """Bodies that are about to be written.

    Attributes:
        places: the place of each by task id; those without one found no room.
        housed: slot, task id and body of each that did.
        tried: all the slots that were taken, those that turned out to be in use included.
    """

    places: dict[str, bytes]
    housed: list[tuple[_Slot, str, Encoded]]
    tried: list[_Slot]

    def write(self) -> None:
        """Copy the bodies in."""
        for (segment, slot), _, body in self.housed:
            segment.write(slot, body)


class Arena:
    """The segments of one sender; safe to use from any number of threads, and of one process.

    Args:
        folder: where the segments lie.
        connection: the Redis that knows which slots are in use.
        used_prefix: key prefix of the bitmaps, one a segment.
    """

    def __init__(self, folder: str, connection: RedisConnection, used_prefix: str) -> None:
        self._folder = folder
        self._connection = connection
        self._used_prefix = used_prefix
        self._family = hashlib.blake2s(used_prefix.encode(), digest_size=4).hexdigest()
        self._lock = threading.Lock()
        self._become_empty()

    def announce(self, bodies: Sequence[tuple[str, Encoded]]) -> Stored:
        """Find room for bodies: their places are to be put, and meanwhile they are to be written."""
        with self._lock:
            if os.getpid() != self._pid:
                # A forked child has segments of its own: those of its parent would be written by two.
                self._become_empty()
            stored = Stored({}, [], [])
            while bodies:
                bodies = self._house(bodies, stored)
            return stored

    def settle(self, stored: Stored) -> None:
        """What was written was put, or will not be: from now on Redis alone tells which slots are in use."""
        with self._lock:
            self._unsettled.difference_update(stored.tried)

    def close(self) -> None:
        """Remove the segments that hold no task, and leave the others to the next sender."""
        with self._lock:
            segments, is_own = self._segments, os.getpid() == self._pid
            self._become_empty()
            # Without Redis they stay: the next sender, or the end of the server, removes them.
            with contextlib.suppress(QueueUnavailable):
                for segment in segments if is_own else []:
                    self._remove_if_free(segment)

    def _become_empty(self) -> None:
        self._pid = os.getpid()
        self._segments: list[Segment] = []
        self._free: dict[int, list[_Slot]] = {}
        # Written, and not yet known to Redis.
        self._unsettled: set[_Slot] = set()
        self._has_looked_for_orphans = False

    def _house(self, bodies: Sequence[tuple[str, Encoded]], stored: Stored) -> list[tuple[str, Encoded]]:
        """Find a slot for each; returns those whose slot is still being read, and that need another one."""
        slots = [self._take_slot(len(body)) for _, body in bodies]
        found = [(slot, *body) for slot, body in zip(slots, bodies, strict=True) if slot]
        # First the ids, then the look: a reader that locks its slot later sees that it is too late.
        places = {i: segment.announce(slot, i, len(body)) for (segment, slot), i, body in found}
        taken: dict[Segment, list[int]] = {}
        for (segment, slot), _, _ in found:
            taken.setdefault(segment, []).append(slot)
        lent = {(segment, slot) for segment, numbers in taken.items() for slot in segment.lent(numbers)}
        housed = [each for each in found if each[0] not in lent] if lent else found
        stored.tried.extend(slot for slot, _, _ in found)
        stored.housed.extend(housed)
        stored.places.update((task_id, places[task_id]) for _, task_id, _ in housed)
        return [(task_id, body) for slot, task_id, body in found if slot in lent] if lent else []

    def _take_slot(self, size: int) -> _Slot | None:
        slot_bytes = _slot_bytes(size)
        free = self._free.get(slot_bytes) or self._found_free(slot_bytes)
        if not free:
            return None
        slot = free.pop()
        self._unsettled.add(slot)
        return slot

    def _found_free(self, slot_bytes: int) -> list[_Slot]:
        free = self._free.setdefault(slot_bytes, [])
        if not self._has_looked_for_orphans:
            self._has_looked_for_orphans = True
            self._take_over_orphans()
        self._find_free(slot_bytes)
        slots = sum(segment.slots for segment in self._segments if segment.slot_bytes == slot_bytes)
        # With few to spare, Redis would be asked for nearly every task.
        if len(free) * 8 <= slots:
            self._grow(slot_bytes)
        return free

    def _find_free(self, slot_bytes: int) -> None:
        segments = [segment for segment in self._segments if segment.slot_bytes == slot_bytes]
        if segments:
            bitmaps = self._connection.call("MGET", *(self._used_prefix + each.name for each in segments))
            # The last is taken first: always the same slots as far as they suffice, whose memory is warm.
            self._free[slot_bytes] += [
                (segment, slot)
                for segment, bitmap in reversed(list(zip(segments, bitmaps, strict=True)))
                for slot in reversed(_zeros(bitmap or b"", segment.slots))
                if (segment, slot) not in self._unsettled
            ]

    def _grow(self, slot_bytes: int) -> None:
        size = max(SEGMENT_BYTES // slot_bytes, 1) * slot_bytes
        space = os.statvfs(self._folder)
        taken = sum(segment.slots * segment.slot_bytes for segment in self._segments)
        # Others use shared memory too, and find none with worse grace.
        if taken + size > MOST_BYTES or 2 * size > space.f_bavail * space.f_frsize:
            return
        name = f"{self._family}-{uuid.uuid4().hex[:12]}-{slot_bytes}"
        path = f"{self._folder}/{name}"
        try:
            with opened(f"{path}.new", os.O_RDWR | os.O_CREAT | os.O_EXCL) as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                # Reserved now: a page that cannot be had when it is written to would end the process.
                os.posix_fallocate(descriptor, 0, size)
                segment = Segment(name, descriptor, is_ours=True)
            os.rename(f"{path}.new", path)
        except OSError as error:
            _log.info("no more shared memory, big tasks go through Redis: %s", error)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{path}.new")
            return
        self._segments.append(segment)
        # Taken after those that are free already, see above.
        self._free[slot_bytes][:0] = [(segment, slot) for slot in reversed(range(segment.slots))]

    def _take_over_orphans(self) -> None:
        for name in os.listdir(self._folder):
            if not name.startswith(f"{self._family}-"):
                continue
            with (
                contextlib.suppress(OSError, ValueError),
                opened(f"{self._folder}/{name}", os.O_RDWR) as descriptor,
            ):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if name.endswith(".new"):
                    os.unlink(f"{self._folder}/{name}")
                # Between opening and locking, somebody may have removed it.
                elif os.fstat(descriptor).st_nlink:
                    orphan = Segment(name, descriptor, is_ours=True)
                    if not self._remove_if_free(orphan):
                        self._segments.append(orphan)

    def _remove_if_free(self, segment: Segment) -> bool:
        key = self._used_prefix + segment.name
        if len(_zeros(self._connection.call("GET", key) or b"", segment.slots)) < segment.slots:
            return False
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._folder}/{segment.name}")
        self._connection.call("UNLINK", key)
        return True


@functools.lru_cache
def _slot_bytes(size: int) -> int:
    """Slots come in few sizes, so that they suit other tasks; at most a quarter stays unused."""
    needed = max(size + HEAD_BYTES, _SMALLEST_SLOT)
    step = 1 << (needed.bit_length() - 3)
    return -(-needed // step) * step


def _zeros(bitmap: bytes, slots: int) -> list[int]:
    """The places of the zeros in a bitmap of Redis, which ends with its last one."""
    bits = np.zeros(slots, np.uint8)
    told = np.unpackbits(np.frombuffer(bitmap, np.uint8))[:slots]
    bits[: len(told)] = told
    return np.flatnonzero(bits == 0).tolist()
