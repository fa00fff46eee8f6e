"""Who may compute on how many cores at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_this_thread = threading.local()


class Cores:
    """Shares a number of threads out among those who call at the same time.

    One caller alone gets all of them; one who comes while others run gets what is left, and waits for one.
    """

    def __init__(self, count: int) -> None:
        self._free = threading.Semaphore(count)

    @contextmanager
    def take(self, most: int) -> Iterator[int]:
        """Hold from one to ``most`` threads, as many as are free now; gives their number."""
        if getattr(_this_thread, "is_one_enough", False):
            most = 1
        self._free.acquire()
        taken = 1
        try:
            while taken < most and self._free.acquire(blocking=False):
                taken += 1
            yield taken
        finally:
            self._free.release(taken)


@contextmanager
def one_core() -> Iterator[None]:
    """Inside, this thread takes one core of any :class:`Cores`: the others are busy with something else."""
    before = getattr(_this_thread, "is_one_enough", False)
    _this_thread.is_one_enough = True
    try:
        yield
    finally:
        _this_thread.is_one_enough = before
