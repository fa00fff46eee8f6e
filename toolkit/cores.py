"""How many cores there are for this process, and who may compute on how many of them at the same time."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux tells a container what it may use."""

_this_thread = threading.local()


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Cores this process may use: taskset, or a quota of CPU time, may leave fewer than there are.

    A container's quota is not seen in the number of its cores: threads for all of a large machine's would use
    it up in a moment, and then wait together for the next one.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, math.ceil(_quota(cgroup)) or allowed)


def _quota(cgroup: Path) -> float:
    """Cores that the quota is worth; 0 where there is none."""
    try:
        if (told := cgroup / "cpu.max").exists():
            quota, period = told.read_text().split()
        else:
            # The older kind, of which -1 means none.
            quota, period = (
                (cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
            )
        return max(0.0, float(quota) / float(period)) if quota.strip() != "max" else 0.0
    except (OSError, ValueError, ZeroDivisionError):
        return 0.0


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
