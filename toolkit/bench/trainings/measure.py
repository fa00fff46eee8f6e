"""One measurement of one contender: pictures learned from a second."""

from __future__ import annotations

import contextlib
import importlib
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

PICTURES = 1024
STORED_PX = 112
"""Side of the JPEGs, as in the FairFace pack."""

WARM_UP_STEPS = 3
"""Memory is laid out and threads are started in the first steps."""


class Enough(Exception):
    """Raised by :class:`Meter` when it has counted for long enough; ends whoever asked it."""


class Meter:
    """Counts pictures from the end of the warm-up on.

    Args:
        seconds: how long it counts.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._steps = 0
        self._begun_at = 0.0
        self._cpu_begun_s = 0.0
        self.pictures = 0
        self.took_s = 0.0
        self.cpu_s = 0.0

    def step(self, pictures: int) -> None:
        """One step is done.

        Raises:
            Enough: the time is over.
        """
        self._steps += 1
        now = time.monotonic()
        if self._steps <= WARM_UP_STEPS:
            self._begun_at, self._cpu_begun_s = now, time.process_time()
            return
        self.pictures += pictures
        self.took_s = now - self._begun_at
        if self.took_s >= self._seconds:
            self.cpu_s = time.process_time() - self._cpu_begun_s
            raise Enough


def learn(settings: dict[str, Any]) -> dict[str, Any]:
    """Pictures learned from a second.

    Args:
        settings: ``home`` (the contender's class), ``folder``, and those of ``TrainBenchConfig``.

    Returns:
        ``rate_per_s``, ``ms_cpu`` of this process for a picture, and ``pictures``.
    """
    pack = write_pack(Path(settings["folder"]) / "bench.parquet")
    module, _, name = settings["home"].partition(":")
    contender = getattr(importlib.import_module(module), name)(settings, pack)
    meter = Meter(settings["seconds"])
    with contextlib.suppress(Enough):
        contender.run(meter)
    return {
        "rate_per_s": meter.pictures / meter.took_s,
        "ms_cpu": 1000 * meter.cpu_s / meter.pictures,
        "pictures": meter.pictures,
    }


def write_pack(path: Path) -> Path:
    """Pictures of patches of light with labels by chance: as costly to decode as faces."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(PICTURES):
        patches = rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)
        image = cv2.resize(patches, (STORED_PX, STORED_PX), interpolation=cv2.INTER_CUBIC)
        content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        split = "val" if index < 32 else "train"
        rows.append({"image": content, "gender": index % 2, "age": int(rng.integers(0, 90)), "split": split})
    pd.DataFrame(rows).to_parquet(path)
    return path
