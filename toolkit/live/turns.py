"""So many at a time, and whoever has waited longest is next."""

from __future__ import annotations

import threading
from _thread import LockType, allocate_lock
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A semaphore that hands each turn over, so that a busy thread cannot take it again before the others.

    When nobody was given a turn for ``patience_s``, the first in line takes that of who has had his longest:
    his file may lie on a disk that does not answer. Who has a turn must not ask for another.

    ::

        with turns:
            work()

    Args:
        count: threads that may have a turn at the same time.
        patience_s: the longest wait for the line to move. A turn that goes on for longer, such as a call of a
            slow model, has one more beside it meanwhile.
    """

    def __init__(self, count: int, patience_s: float = 1.0) -> None:
        self._count = count
        self._patience_s = patience_s
        # By thread; who has had his turn longest stands first.
        self._held: dict[int, None] = {}
        # Turns that were handed on: whether the line moves.
        self._given = 0
        self._line: deque[tuple[LockType, int]] = deque()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._enter(is_first=False)

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """A turn before all who wait for one."""
        self._enter(is_first=True)
        try:
            yield
        finally:
            self.__exit__()

    def _enter(self, is_first: bool) -> None:
        gate, me = allocate_lock(), threading.get_ident()
        with self._lock:
            if len(self._held) < self._count:
                self._held[me] = None
                return
            gate.acquire()
            given, place = self._given, (gate, me)
            if is_first:
                self._line.appendleft(place)
            else:
                self._line.append(place)
        while not gate.acquire(timeout=self._patience_s):
            with self._lock:
                # It may have been opened in this very moment.
                if place in self._line and self._given == given:
                    self._held.pop(next(iter(self._held)))
                    self._hand_on()
                given = self._given

    def __exit__(self, *exc: object) -> None:
        me = threading.get_ident()
        with self._lock:
            # Whose turn was taken away has none to hand on.
            if me in self._held:
                del self._held[me]
                self._hand_on()

    def _hand_on(self) -> None:
        """Under the lock: the first in line, if anybody is, has a turn from now on."""
        if self._line:
            gate, thread = self._line.popleft()
            self._held[thread] = None
            self._given += 1
            gate.release()
