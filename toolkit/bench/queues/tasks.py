"""The tasks every contender runs: they do next to nothing, so that the way to them is what counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from toolkit.bench.queues.tally import note

# With its name and the time it was sent, the task has some 200 bytes.
_TEXT = "x" * 150
_SHAPES = {"crop": (128, 128, 3), "frame": (720, 1280, 3)}

BULK = {"text": 1000, "crop": 80, "frame": 1}
"""So many tasks of a kind are handed over at once where a contender takes many: up to 4 MB."""

IN_FLIGHT = {"text": 1_000_000, "crop": 1000, "frame": 32}
"""So many tasks of a kind may be unfinished: for pictures 50 to 90 MB."""


def payload(kind: str) -> Any:
    """What a task of a kind carries: a text, or a picture (H, W, 3), uint8, of 49 KB or 2.7 MB."""
    if kind == "text":
        return _TEXT
    return np.random.default_rng(0).integers(0, 256, _SHAPES[kind], dtype=np.uint8)


def no_op(sent_at: float, text: str) -> int:
    """Note that it runs."""
    note(sent_at)
    return len(text)


def largest(sent_at: float, picture: np.ndarray) -> int:
    """Read every byte of a picture once, and do the least with it."""
    note(sent_at)
    return int(picture.max())
