"""Whether somebody still looks: a hidden widget beats in the page, and falls silent when it is closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import ipywidgets as widgets

_BEAT_MS = 1000
_SILENT_S = 3.0


class Audience:
    """Tells when the page in which the widget was shown is gone.

    ``Play`` counts in the browser and sends each number to the kernel: a heartbeat, without a script of ours.
    Where nobody ever showed it, as in a notebook that nbconvert runs, nobody can leave. A kernel that is busy
    with a cell hears nothing: only seconds in which its loop turns count. Make it in the kernel's own thread.

    Args:
        patience_s: silence after which the page is gone; None waits for ever.
        clock: monotonic seconds.
    """

    def __init__(self, patience_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        hidden = widgets.Layout(display="none")
        self.widget = widgets.Play(interval=_BEAT_MS, max=10**6, repeat=True, layout=hidden)
        self.widget.add_class("toolkit-audience")
        self.widget.observe(lambda change: self._beat(), "value")
        self._patience_s = patience_s
        self._clock = clock
        self._was_there = False
        self._beaten_at = clock()
        self._free_s = 0.0
        self._looked_at = clock()
        self._is_loop_free = False
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def is_gone(self) -> bool:
        """Whether somebody looked, and looks no longer; to be asked about once a second."""
        now = self._clock()
        was_free, passed_s, self._looked_at = self._is_loop_free, now - self._looked_at, now
        if now - self._beaten_at < _SILENT_S:
            return False
        # A page begins to count when it sees the change: one that was opened anew answers, and so does one
        # in a background tab, where the browser slows the page's own clock.
        self.widget.playing = False
        self.widget.playing = True
        self._ask_loop()
        if was_free:
            self._free_s += min(passed_s, _SILENT_S)
        return self._was_there and self._patience_s is not None and self._free_s >= self._patience_s

    def _ask_loop(self) -> None:
        self._is_loop_free = False
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._is_loop_free = True

    def _beat(self) -> None:
        self._was_there, self._is_loop_free, self._free_s = True, False, 0.0
        self._beaten_at = self._clock()
