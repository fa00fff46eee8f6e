"""One network for pictures of any size: a runtime for each, opened when the first one comes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from toolkit.models.runtimes.base import Runtime

MOST_SIZES = 32
"""So many sizes of pictures stay open at once: each camera has one, but pictures of a folder have any."""

SizeHw = tuple[int, int]


class RuntimesBySize:
    """The runtimes of one network; any thread may ask for one.

    While a size is opened, which takes a second, only those wait who ask for that size too. Of more than
    :data:`MOST_SIZES` the one that nobody has asked for longest is let go.

    Args:
        open_for: opens the network for pictures of a height and width, in the runtime of that name; for the
            first one the name is None: it is measured which is quickest.
    """

    def __init__(self, open_for: Callable[[SizeHw, str | None], Runtime]) -> None:
        self._open_for = open_for
        # The one asked for last is the last.
        self._opened: OrderedDict[SizeHw, Future[Runtime]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, size_hw: SizeHw) -> Runtime:
        """What runs the network for pictures of that height and width."""
        with self._lock:
            others = list(self._opened.values())
            is_new = size_hw not in self._opened
            opened = self._opened.setdefault(size_hw, Future())
            self._opened.move_to_end(size_hw)
            if len(self._opened) > MOST_SIZES:
                self._opened.popitem(last=False)
        if is_new:
            self._open(size_hw, opened, others)
        return opened.result()

    def _open(self, size_hw: SizeHw, opened: Future[Runtime], others: Sequence[Future[Runtime]]) -> None:
        try:
            opened.set_result(self._open_for(size_hw, _name_of_one(others)))
        except BaseException as error:  # noqa: BLE001 - raised by the result, to all who wait for it
            with self._lock:
                # The next one who asks tries again.
                if self._opened.get(size_hw) is opened:
                    del self._opened[size_hw]
            opened.set_exception(error)


def _name_of_one(others: Sequence[Future[Runtime]]) -> str | None:
    """What was quickest for one size is so for others: they need no measurement of their own."""
    # While the very first is measured there is none that is done, and a second measurement would disturb it.
    for other in sorted(others, key=lambda opened: not opened.done()):
        if other.exception() is None:
            return other.result().name
    return None
