"""What others take of the processors while something is measured: a disturbed run says little."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psutil

_IDLE = ("idle", "iowait")
_COUNTED_TWICE = ("guest", "guest_nice")


class Others:
    """Counts from its making on: the CPU time of the cores this process may use that it did not take itself.

    What the host of a virtual machine gave to other machines counts too, where the system tells it.
    """

    def __init__(self) -> None:
        self._cores = _cores()
        self._began = _busy_s(self._cores), time.process_time(), time.monotonic()

    def share(self) -> float:
        """Of all CPU time there was on these cores; 0..1."""
        busy_s, own_s, now = _busy_s(self._cores), time.process_time(), time.monotonic()
        began_busy_s, began_own_s, began = self._began
        # The system counts in ticks, the process exactly: less than nothing is nothing.
        taken_s = max(0.0, busy_s - began_busy_s - (own_s - began_own_s))
        return min(1.0, taken_s / max(1e-9, (now - began) * len(self._cores)))


def _cores() -> list[int]:
    """Those this process may run on, be its quota of CPU time worth fewer: the neighbours run on all."""
    process = psutil.Process()
    return list(process.cpu_affinity() if hasattr(process, "cpu_affinity") else range(psutil.cpu_count()))


def _busy_s(cores: Sequence[int]) -> float:
    each = psutil.cpu_times(percpu=True)
    return sum(
        seconds
        for core in cores
        for kind, seconds in each[core]._asdict().items()
        if kind not in (*_IDLE, *_COUNTED_TWICE)
    )
