"""One measurement of one contender: pictures a second through a network."""

from __future__ import annotations

import importlib
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

_FEWEST_BATCHES = 5


def rate(settings: dict[str, Any]) -> dict[str, Any]:
    """Pictures a second, batch after batch, by one caller.

    Args:
        settings: ``home`` (what makes the contender), ``files`` (the networks), ``model``, ``size_px``,
            ``batch`` (pictures at a time), ``threads``, and how many ``seconds`` it is measured.

    Returns:
        ``rate_per_s`` of the median batch, ``p50_ms`` and ``p99_ms`` of a batch, and ``batches``.
    """
    if hasattr(os, "sched_setaffinity"):
        # No contender gets more cores than it is told of, whatever it does with its threads.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-settings["threads"] :])
    module, _, name = settings["home"].partition(":")
    run = getattr(importlib.import_module(module), name)(Path(settings["files"], settings["model"]), settings)
    shape = (settings["batch"], settings["size_px"], settings["size_px"], 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for _ in range(2):
        run(images)
    took_s: list[float] = []
    end = time.perf_counter() + settings["seconds"]
    while time.perf_counter() < end or len(took_s) < _FEWEST_BATCHES:
        start = time.perf_counter()
        run(images)
        took_s.append(time.perf_counter() - start)
    p50, p99 = np.percentile(took_s, [50, 99])
    return {
        "rate_per_s": float(settings["batch"] / p50),
        "p50_ms": float(1000 * p50),
        "p99_ms": float(1000 * p99),
        "batches": len(took_s),
    }
