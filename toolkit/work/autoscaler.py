"""More workers while tasks wait for one, fewer when some have been idle for a while."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from toolkit.errors import QueueUnavailable
from toolkit.work.task_queue import TaskQueue

if TYPE_CHECKING:
    from toolkit.work.crew import ThreadCrew
    from toolkit.work.process_crew import ProcessCrew

_log = logging.getLogger(__name__)

_LOOK_S = 0.5
# Starting a process and loading its model takes seconds; one that is soon wanted again should not have ended.
_IDLE_LOOKS = 20


class Autoscaler:
    """Keeps the size of a crew between two limits, one step at a time, twice a second.

    Args:
        crew: the workers, as many as ``least`` when this starts.
        queue: what they empty; what other pools do with it does not matter.
        least, most: limits of the number of workers.
    """

    def __init__(self, crew: ThreadCrew | ProcessCrew, queue: TaskQueue, least: int, most: int) -> None:
        self._crew, self._queue = crew, queue
        self._least, self._most = least, most
        self._idle_looks = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"autoscaler-{queue.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; the crew keeps its size."""
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            try:
                self._look()
            except QueueUnavailable as error:
                _log.debug("no change in the number of workers: %s", error)

    def _look(self) -> None:
        size, numbers = self._crew.size, self._crew.statistics()
        is_idle = numbers["busy"] < numbers["workers"]
        self._idle_looks = self._idle_looks + 1 if is_idle else 0
        # One at a time: the next one when this one has started and tasks still wait.
        if not is_idle and numbers["workers"] == size < self._most and self._queue.size():
            self._crew.grow()
        elif self._idle_looks > _IDLE_LOOKS and size > self._least:
            self._idle_looks = 0
            self._crew.shrink()
