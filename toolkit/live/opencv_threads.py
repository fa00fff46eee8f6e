"""OpenCV's pool of threads: small while streets run, after the last one as it was."""

from __future__ import annotations

import threading

import cv2


class OpenCvThreads:
    """Remembers who wants OpenCV's pool how small; there is one pool for the whole process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: dict[object, int] = {}
        self._before = 0

    def limit(self, owner: object, threads: int) -> None:
        """No more threads than this, and than others want, until :meth:`release`."""
        with self._lock:
            if not self._wanted:
                self._before = cv2.getNumThreads()
            self._wanted[owner] = threads
            cv2.setNumThreads(min(self._wanted.values()))

    def release(self, owner: object) -> None:
        """This one is over; nothing happens when it wanted nothing."""
        with self._lock:
            if self._wanted.pop(owner, None) is not None:
                cv2.setNumThreads(min(self._wanted.values(), default=self._before))


opencv_threads = OpenCvThreads()
"""Of this process, as the pool is."""
