"""When a worker can wait for its next task without having looked first for all others that it could take."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

LASTS_S = 0.05
"""So long may tasks be waited for after a look that found nothing: what becomes due or loses its worker
meanwhile, which only a look can tell, is late by no more."""


class _Look(NamedTuple):
    at: float
    now_ms: int
    next_due_ms: int


class Quiet:
    """Knows whether a queue was empty a moment ago; safe to use from any number of threads.

    A look at all that can be taken costs Redis more than the wait that follows it. Where tasks come one by
    one to workers who wait for them, every look finds nothing; so the next one is left out for as long as
    each task came after somebody had begun to wait for it. Nothing can then have been there before it.
    """

    def __init__(self) -> None:
        self._look: _Look | None = None

    def times_ms(self) -> tuple[int, int] | None:
        """Redis's time by now, and how long until the next delayed task is due (-1: none); None to look."""
        if (look := self._look) is None:
            return None
        since_s = time.monotonic() - look.at
        since_ms = int(since_s * 1000)
        if since_s > LASTS_S or 0 <= look.next_due_ms <= since_ms:
            return None
        return look.now_ms + since_ms, look.next_due_ms - since_ms if look.next_due_ms > 0 else -1

    def looked(self, at: float, now_ms: int, next_due_ms: int, is_empty: bool) -> None:
        """Note what a look that was begun ``at`` (``time.monotonic``) found."""
        self._look = _Look(at, now_ms, next_due_ms) if is_empty else None

    def waited(self, since_ms: int, entry_ids: Iterable[bytes]) -> None:
        """Note what came in a wait begun at this time of Redis; there may be more of what is older."""
        for entry_id in entry_ids:
            if int(entry_id.partition(b"-")[0]) < since_ms:
                self.end()

    def end(self) -> None:
        """Let the next one look."""
        self._look = None
