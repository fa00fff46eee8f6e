"""What each contender has to do: every frame of every video through one model, drawn to the model's size."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

REALTIME_FPS = 25.0


@dataclass(frozen=True)
class Task:
    """What is to be done.

    Attributes:
        videos: one path for each camera; a video is begun anew when it ends.
        model: name of a timm model; its weights are random, and the same for all.
        size_px: side of the square that every frame is drawn to.
        realtime: frames fall due at 25 a second, whatever the videos say; else as fast as they can be read.
    """

    videos: Sequence[str]
    model: str
    size_px: int
    realtime: bool = False


class Street:
    """Frames to answers, for so many cameras.

    Attributes:
        counts: answers so far; a place for each thread that counts, because two would lose some in one.
        latencies_s: from the time a frame fell due to its answer, of real-time cameras.
        runtime: what runs the model, in words.
    """

    runtime = "torch"

    def __init__(self, task: Task) -> None:
        self.task = task
        self.counts = [0] * max(1, len(task.videos))
        self.latencies_s: list[float] = []

    @property
    def answered(self) -> int:
        """Frames that the model has answered for."""
        return sum(self.counts)

    @property
    def dropped(self) -> int:
        """Frames of real-time cameras that were passed over."""
        return 0

    def start(self) -> None:
        """Begin; the model is ready when this is back."""
        raise NotImplementedError

    def stop(self) -> None:
        """End everything."""
        raise NotImplementedError


class ThreadedStreet(Street):
    """Functions that go round in threads of their own until ``is_over`` is set."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.is_over = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._threads = [threading.Thread(target=loop, daemon=True) for loop in self.loops()]
        for thread in self._threads:
            thread.start()

    def loops(self) -> list[Callable[[], None]]:
        """The functions; the model is made ready here."""
        raise NotImplementedError

    def stop(self) -> None:
        self.is_over.set()
        for thread in self._threads:
            thread.join(10.0)


class Pace:
    """Says when the frames of a real-time camera fall due."""

    def __init__(self) -> None:
        self._started_at = time.monotonic()
        self._frames = 0

    def wait(self, is_over: threading.Event) -> float:
        """Wait for the next frame's time, and say it, ``time.monotonic()`` seconds."""
        due_at = self._started_at + self._frames / REALTIME_FPS
        self._frames += 1
        is_over.wait(max(0.0, due_at - time.monotonic()))
        return due_at
