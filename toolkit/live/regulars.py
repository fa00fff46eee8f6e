"""Who is on the way: callers that came back soon after their last answer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from math import inf

# More callers than this are not told apart: where each item has a new one, they would be kept for ever.
_MOST_KNOWN = 1024


class Regulars:
    """Tells whether it pays to wait for further items, from what each caller did the last time.

    A caller hands in an item, waits for its answer, leaves with it, and perhaps comes back. One that came
    back soon is awaited when it leaves again; nobody waits for a stranger. Whoever is awaited and does not
    come costs one wait, and is a stranger from then on.

    It is a hint and nothing else: what it gets wrong costs time, never an item.

    Args:
        patience_s: how soon is soon.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._left_at: dict[Hashable, float] = {}
        self._regular: set[Hashable] = set()
        self.awaited: set[Hashable] = set()

    def came(self, callers: Sequence[Hashable], came_at: Iterable[float]) -> None:
        """A batch closes with items of these callers, handed in at these times."""
        left_at, patience_s = self._left_at, self._patience_s
        soon = [c for c, at in zip(callers, came_at, strict=True) if at - left_at.get(c, -inf) <= patience_s]
        self._regular.difference_update(callers)
        self._regular.update(soon)
        self.awaited.difference_update(callers)

    def left(self, callers: Sequence[Hashable], now: float) -> None:
        """These callers have their answers."""
        self._left_at.update(dict.fromkeys(callers, now))
        self.awaited |= self._regular.intersection(callers)
        while len(self._left_at) > _MOST_KNOWN:
            eldest = next(iter(self._left_at))
            del self._left_at[eldest]
            self._regular.discard(eldest)
            self.awaited.discard(eldest)

    def give_up(self) -> None:
        """Those who are awaited did not come in time."""
        self.awaited.clear()
