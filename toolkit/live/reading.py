"""Read by one thread, closed by any: what all sources share."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from toolkit.addresses import without_password
from toolkit.records import Frame, Pixels


class Picture(NamedTuple):
    """One picture on its way to becoming a :class:`~toolkit.records.Frame`.

    Attributes:
        captured_at: seconds on the source's clock at which its data left the source.
        media_time_s: the source's own time stamp, where it has one.
        pixels: (H, W, 3), uint8, BGR, or what makes such pictures when they are asked for.
    """

    captured_at: float
    media_time_s: float | None
    pixels: np.ndarray | Pixels


class SourceHealth(NamedTuple):
    """How a source has fared since it was opened.

    Attributes:
        corrupt_packets: damaged packets; what could not be decoded of them was left out.
        stale_pictures: pictures that were let go undecoded, because the stream had fallen behind.
        behind_s: by how much the newest picture came later than the quickest one did, by the source's clock.
        clock_drift_ppm: millionths by which the source's clock runs faster than ours; None while unknown.
    """

    corrupt_packets: int = 0
    stale_pictures: int = 0
    behind_s: float = 0.0
    clock_drift_ppm: float | None = None


class InterruptibleSource(ABC):
    """Numbers pictures, and lets any thread close what one thread reads.

    A decoder must not be freed while a read is inside it. So ``close`` only asks, and whoever leaves last,
    the closing thread or the reading one, releases.
    """

    is_live: bool = False
    fps: float | None = None

    def __init__(self, camera: str, address: str) -> None:
        self.camera = camera
        self.address = without_password(address)
        self._closing = threading.Event()
        self._reading = threading.Lock()
        self._released = False
        self._next_index = 0

    @property
    @abstractmethod
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the pictures in pixels; (0, 0) while a network stream has not told them."""

    def read(self) -> Frame | None:
        """The next frame; None at the end, and after ``close``.

        Raises:
            SourceError: the source fell silent, or cannot be read on.
        """
        try:
            with self._reading:
                picture = None if self._closing.is_set() else self._next_picture()
        finally:
            # After the lock: a close that came while it was held could not release.
            if self._closing.is_set():
                self._release_when_idle()
        if picture is None or self._closing.is_set():
            return None
        frame = Frame(
            self.camera,
            self._next_index,
            picture.captured_at,
            picture.pixels,
            picture.media_time_s,
            self.is_live,
        )
        self._next_index += 1
        return frame

    def health(self) -> SourceHealth:
        """See :class:`SourceHealth`; a source that cannot tell says that all is well."""
        return SourceHealth()

    def close(self) -> None:
        """End a waiting ``read`` as soon as its source allows, and free what is open; may be called again."""
        self._closing.set()
        self._release_when_idle()

    def _release_when_idle(self) -> None:
        if self._reading.acquire(blocking=False):
            try:
                if not self._released:
                    self._released = True
                    self._release()
            finally:
                self._reading.release()

    @abstractmethod
    def _next_picture(self) -> Picture | None: ...

    @abstractmethod
    def _release(self) -> None: ...
