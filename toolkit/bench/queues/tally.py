"""What the workers did: a row for each task in memory of its thread's own, which the one who waits can read.

A row costs a worker half a microsecond. A counter in Redis would cost it 30, and the fastest would pay most.
Writing to a file gives the interpreter lock away, for which a worker with other threads beside it paid 20.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

FOLDER_VARIABLE = "TOOLKIT_BENCH_FOLDER"
MOST_ROWS = 1 << 20
"""So many tasks may one thread run; the memory is used as it is filled."""

# Rows of (sent at, begun at), after a first one with their number.
_BYTES = (1 + MOST_ROWS) * 2 * 8


def note(sent_at: float) -> None:
    """Called by a task that was sent at that time (``time.monotonic``, one clock for all processes)."""
    cells: memoryview[float] = getattr(_own, "cells", None) or _new_cells()
    number = int(cells[0]) + 1
    cells[2 * number] = sent_at
    cells[2 * number + 1] = time.monotonic()
    # Last, so that whoever counts finds the row written.
    cells[0] = number


class Tally:
    """The rows of one folder, as the one who waits sees them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mapped: dict[Path, np.ndarray] = {}

    def count(self) -> int:
        """Number of tasks that ran."""
        return sum(int(cells[0, 0]) for cells in self._threads())

    def last_at(self) -> float:
        """When the last one began, ``time.monotonic``."""
        return max(float(cells[int(cells[0, 0]), 1]) for cells in self._threads())

    def workers(self) -> int:
        """Number of threads, of all processes, that ran one."""
        return len(self._threads())

    def waits_ms(self, since: float) -> np.ndarray:
        """(N,) milliseconds from sending to start, of the tasks sent at ``since`` or later."""
        rows = np.concatenate([cells[1 : int(cells[0, 0]) + 1] for cells in self._threads()])
        rows = rows[rows[:, 0] >= since]
        return (rows[:, 1] - rows[:, 0]) * 1000

    def _threads(self) -> list[np.ndarray]:
        for path in self._folder.glob("*.tally"):
            if path not in self._mapped:
                self._mapped[path] = np.memmap(path, np.float64, mode="r").reshape(-1, 2)
        return list(self._mapped.values())


_own = threading.local()


def _new_cells() -> memoryview[float]:
    descriptor, path = tempfile.mkstemp(dir=os.environ[FOLDER_VARIABLE])
    os.truncate(descriptor, _BYTES)
    _own.cells = memoryview(mmap.mmap(descriptor, _BYTES)).cast("d")
    os.close(descriptor)
    os.rename(path, f"{path}.tally")
    return _own.cells


def _forget() -> None:
    global _own
    _own = threading.local()


# A forked child would go on writing into its parent's rows.
os.register_at_fork(after_in_child=_forget)
