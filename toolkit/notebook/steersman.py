"""Changes of a run that somebody asks for, carried out one after the other beside it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from toolkit.addresses import without_password
from toolkit.errors import ToolkitError
from toolkit.experiment import LiveConfig
from toolkit.live_run import LiveRun

logger = logging.getLogger(__name__)

Change = Callable[[LiveConfig], LiveConfig]
"""The settings in force to those that are wanted."""


class Steersman:
    """A thread that opens cameras and loads models for a run, so that neither a click nor a frame waits.

    Args:
        run: which has started.
        on_done: told after each change in that thread, with the reason it was refused for or "".
    """

    def __init__(self, run: LiveRun, on_done: Callable[[str], None]) -> None:
        self._run = run
        self._on_done = on_done
        self._asked: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._steer, name="dashboard-changes", daemon=True)
        self._thread.start()

    def ask(self, change: Change) -> None:
        """Have it carried out after those before it; returns at once."""
        self._asked.put(change)

    def let_go(self) -> None:
        """Begin no further change; one that is on its way may take a while yet."""
        self._is_over.set()
        self._asked.put(None)

    def join(self, timeout_s: float = 60.0) -> None:
        """Wait for its end."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.error("a change of the run is still being made %.0f s after its end", timeout_s)

    def _steer(self) -> None:
        while (change := self._asked.get()) is not None and not self._is_over.is_set():
            refused = ""
            try:
                self._run.change(change(self._run.live))
            except ToolkitError as error:
                refused = without_password(str(error))
            except Exception as error:
                # The outermost loop of the thread: what a driver or a runtime raises is told, and it goes on.
                logger.exception("a change of the run failed")
                refused = without_password(repr(error))
            if refused:
                self._run.events.note("refused", refused, self._run.elapsed_s)
            self._on_done(refused)
