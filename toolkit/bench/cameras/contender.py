"""What each contender has to do: read cameras, all at once, every picture as BGR in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np


class CameraReader:
    """Reads cameras, and counts their pictures. A file is begun anew when it ends."""

    def start(self, addresses: Sequence[str]) -> None:
        """Open so many cameras and begin to read."""
        raise NotImplementedError

    def counts(self) -> list[int]:
        """Pictures so far, by camera."""
        raise NotImplementedError

    def stop(self) -> None:
        """End all reading."""
        raise NotImplementedError

    def first_picture(self, address: str) -> np.ndarray:
        """Open a camera, take its first picture (H, W, 3), uint8, BGR, and close it."""
        raise NotImplementedError


class ThreadedReader(CameraReader):
    """A thread for each camera, written by hand: what most begin with."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._counts: list[int] = []

    def pictures(self, address: str) -> Iterator[np.ndarray]:
        """Open the camera and give its pictures until it ends."""
        raise NotImplementedError

    def start(self, addresses: Sequence[str]) -> None:
        self._counts = [0] * len(addresses)
        for number, address in enumerate(addresses):
            thread = threading.Thread(target=self._read, args=(number, address), daemon=True)
            self._threads.append(thread)
            thread.start()

    def counts(self) -> list[int]:
        return list(self._counts)

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def first_picture(self, address: str) -> np.ndarray:
        return next(self.pictures(address))

    def _read(self, number: int, address: str) -> None:
        while not self._stopping.is_set():
            for _ in self.pictures(address):
                self._counts[number] += 1
                if self._stopping.is_set():
                    return
