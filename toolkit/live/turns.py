"""So many at a time, and whoever has waited longest is next."""

from __future__ import annotations

import threading
from _thread import LockType, allocate_lock
from collections import deque


class Turns:
    """A semaphore that hands each turn over, so that a busy thread cannot take it again before the others.

    Whoever has waited for ``patience_s`` goes without: the file of one who has a turn may lie on a disk that
    does not answer.

    ::

        with turns:
            work()

    Args:
        count: threads that may have a turn at the same time.
        patience_s: the longest wait.
    """

    def __init__(self, count: int, patience_s: float = 1.0) -> None:
        self._count = self._free = count
        self._patience_s = patience_s
        self._line: deque[LockType] = deque()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            gate = allocate_lock()
            gate.acquire()
            self._line.append(gate)
        if not gate.acquire(timeout=self._patience_s):
            with self._lock:
                # It may have been opened in this very moment.
                if gate in self._line:
                    self._line.remove(gate)

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            if self._line:
                self._line.popleft().release()
            else:
                # Never more than there were, whoever went without.
                self._free = min(self._count, self._free + 1)
