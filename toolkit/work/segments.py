"""Files of shared memory in slots, each with a big task: written by their owner, read by everybody here."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator

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
        if slot >= self.slots or size > self.slot_bytes - HEAD_BYTES:
            return None
        start = slot * self.slot_bytes
        wanted = task_id.encode().ljust(HEAD_BYTES - 1, b"\0")
        coming, there = _COMING + wanted, b"%c%b" % (_THERE, wanted)
        give_up_at = 0.0
        while self._map[start : start + HEAD_BYTES] == coming:
            give_up_at = give_up_at or time.monotonic() + _PATIENCE_S
            if time.monotonic() > give_up_at:
                return None
            time.sleep(_NAP_S)
        at = start + HEAD_BYTES
        copy = self._bytes[at : at + size].copy()
        return copy.data if self._map[start : start + HEAD_BYTES] == there else None


class ArenaReader:
    """Copies tasks out of the segments of all senders on this host.

    Args:
        folder: where the segments lie.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._segments: OrderedDict[str, Segment] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, place: bytes, task_id: str) -> memoryview | None:
        """The encoded task at a place, in memory of its own; None when it is not there."""
        if (found := PLACE.fullmatch(place)) is None:
            return None
        segment = self._segment(found[1].decode())
        return segment.read(int(found[2]), task_id, int(found[3])) if segment else None

    def _segment(self, name: str) -> Segment | None:
        with self._lock:
            if (segment := self._segments.get(name)) is None:
                with (
                    contextlib.suppress(OSError, ValueError),
                    opened(f"{self._folder}/{name}") as descriptor,
                ):
                    segment = self._segments[name] = Segment(name, descriptor, is_ours=False)
            if segment is not None:
                # Those of senders that are gone are the ones that are used no more.
                self._segments.move_to_end(name)
                if len(self._segments) > _MAPS_KEPT:
                    self._segments.popitem(last=False)
            return segment


@contextlib.contextmanager
def opened(path: str, flags: int = os.O_RDONLY) -> Iterator[int]:
    """The descriptor of a file for the length of the block; a new one is for this user alone."""
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
