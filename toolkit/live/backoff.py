"""How long to wait before looking for a lost camera again."""

from __future__ import annotations

import random


class Backoff:
    """Pauses that double with each failure, and are not forgotten by a camera that comes only to go again.

    Args:
        first_s: the first pause.
        most_s: the longest one.
    """

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._next_s = first_s
        self._last_s = 0.0

    def next_pause_s(self) -> float:
        """The next pause, longer or shorter by up to a quarter."""
        self._last_s, self._next_s = self._next_s, min(self._next_s * 2, self._most_s)
        # Jitter, or all cameras of a switch that restarts come back in the same instant.
        return self._last_s * random.uniform(0.75, 1.25)

    def was_live(self, seconds: float) -> None:
        """The camera was there for so long: longer than the pause before it, and all is forgiven."""
        if seconds > self._last_s:
            self._next_s = min(self._first_s, self._most_s)

    def refused(self) -> None:
        """The camera refused us: the longest pause, as many lock an account after a few wrong passwords."""
        self._next_s = self._most_s
