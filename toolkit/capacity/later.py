"""A source that begins a moment after it was opened: cameras do not take their pictures at the same time."""

from __future__ import annotations

import threading

from toolkit.live.reading import SourceHealth
from toolkit.live.source import Source
from toolkit.records import Frame


class BegunLater:
    """The same source, its first picture so much later.

    Args:
        source: something recorded, played at its own pace: its time begins with the first ``read``.
        after_s: how long the first ``read`` waits.
    """

    def __init__(self, source: Source, after_s: float) -> None:
        self._source = source
        self._after_s = after_s
        self._has_begun = False
        self._closing = threading.Event()

    @property
    def address(self) -> str:
        """See :class:`Source`."""
        return self._source.address

    @property
    def is_live(self) -> bool:
        """See :class:`Source`."""
        return self._source.is_live

    @property
    def fps(self) -> float | None:
        """See :class:`Source`."""
        return self._source.fps

    @property
    def size_wh(self) -> tuple[int, int]:
        """See :class:`Source`."""
        return self._source.size_wh

    def read(self) -> Frame | None:
        """See :meth:`Source.read`."""
        if not self._has_begun:
            self._has_begun = True
            self._closing.wait(self._after_s)
        return self._source.read()

    def health(self) -> SourceHealth:
        """See :meth:`Source.health`."""
        return self._source.health()

    def close(self) -> None:
        """See :meth:`Source.close`."""
        self._closing.set()
        self._source.close()
