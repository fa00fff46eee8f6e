"""Stand-ins for what takes time or hardware: sources with a script, clocks that are set, models that echo."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np

from toolkit.errors import SourceError
from toolkit.live.reading import SourceHealth
from toolkit.records import Detection, Frame, Prediction


class FakeClock:
    """A monotonic clock that moves when told to."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class ScriptedSource:
    """Plays a script: a picture is delivered, exceptions are raised, events waited for."""

    def __init__(self, script: Sequence[object], camera: str = "cam", is_live: bool = False) -> None:
        self.address = "script"
        self.camera = camera
        self.is_live = is_live
        self.fps = None
        self.size_wh = (64, 48)
        self.is_closed = threading.Event()
        self._script = iter(script)
        self._index = 0

    def read(self) -> Frame | None:
        for step in self._script:
            if self.is_closed.is_set():
                return None
            if isinstance(step, threading.Event):
                while not step.wait(0.01):
                    if self.is_closed.is_set():
                        return None
                continue
            if isinstance(step, Exception):
                raise step
            self._index += 1
            return Frame(self.camera, self._index - 1, captured_at=float(self._index), pixels=step)
        return None

    def health(self) -> SourceHealth:
        return SourceHealth()

    def close(self) -> None:
        self.is_closed.set()


class Opener:
    """Stands in for ``open_source``: each address has a list of scripts, one for each time it is opened."""

    def __init__(self, is_live: bool = False, **scripts: list[Sequence[object]]) -> None:
        self.is_live = is_live
        self.opened: list[ScriptedSource] = []
        self._scripts = {address: iter(tries) for address, tries in scripts.items()}

    def __call__(self, address: object, camera: str = "cam", **settings: object) -> ScriptedSource:
        name = str(address).rpartition("/")[2]
        try:
            script = next(self._scripts[name])
        except (KeyError, StopIteration):
            raise SourceError(f"{address} is not there") from None
        self.opened.append(ScriptedSource(script, camera, self.is_live))
        return self.opened[-1]


def picture(value: int = 0, width: int = 64, height: int = 48) -> np.ndarray:
    """A flat picture, told apart by its value."""
    return np.full((height, width, 3), value, dtype=np.uint8)


class FixedDetector:
    """Finds one face at the same place in every picture; a picture of value 255 breaks it."""

    name = "fixed"
    longest_side_px = None

    def __init__(self, box_xyxy: tuple[float, float, float, float] = (8.0, 8.0, 40.0, 40.0)) -> None:
        self.box_xyxy = box_xyxy
        self.calls = 0

    def __call__(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        self.calls += 1
        if any(image[0, 0, 0] == 255 for image in images):
            raise ValueError("a picture no detector can stand")
        return [[Detection(self.box_xyxy, 0.9)] for _ in images]


class Table:
    """What a table of pandas is to who counts and lists it: as long as its rows, and names of columns."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(("label", "age", "score"))


class EchoModel:
    """Says for every crop an age equal to its mean value; remembers the sizes of its batches."""

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []

    def __call__(self, crops: Sequence[np.ndarray]) -> list[Prediction]:
        self.batch_sizes.append(len(crops))
        return [Prediction("female", 0.8, float(crop.mean()), 4.0) for crop in crops]


class Speechless(Exception):
    """An error that raises when it is asked what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__
