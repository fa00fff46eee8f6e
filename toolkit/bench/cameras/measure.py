"""One measurement of one contender: how many pictures, at what cost, and how soon the first one."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.bench.cameras.contender import CameraReader
from toolkit.rtsp.process import CameraProcess

_LOOK_S = 0.01


def files(settings: dict[str, Any]) -> dict[str, Any]:
    """Pictures a second of several files read at once, as fast as they can be.

    Args:
        settings: ``home`` (the contender's class), ``film``, ``cameras`` and ``seconds``.

    Returns:
        ``rate_per_s`` of all cameras together, ``cpu_ms_per_frame`` of this process, ``frames``, and
        ``slowest_share``: pictures of the camera that got the fewest, by their mean.
    """
    return _rate(settings, [settings["film"]] * settings["cameras"])


def rtsp(settings: dict[str, Any]) -> dict[str, Any]:
    """The same of cameras that send at their own pace; the server's cost is not counted."""
    with CameraProcess(Path(settings["film"])) as camera:
        return _rate(settings, [camera.url] * settings["cameras"])


def opening(settings: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds from asking for a camera to its first picture.

    Args:
        settings: ``home``, ``film`` and how many ``openings``.

    Returns:
        ``p50_ms``, ``p99_ms`` and ``openings``.
    """
    took_ms = []
    with CameraProcess(Path(settings["film"])) as camera:
        contender = _make(settings)
        # The first one loads the decoder.
        contender.first_picture(camera.url)
        for _ in range(settings["openings"]):
            asked_at = time.monotonic()
            contender.first_picture(camera.url)
            took_ms.append((time.monotonic() - asked_at) * 1000)
    p50, p99 = np.percentile(took_ms, [50, 99])
    return {"p50_ms": float(p50), "p99_ms": float(p99), "openings": len(took_ms)}


def _rate(settings: dict[str, Any], addresses: Sequence[str]) -> dict[str, Any]:
    with _running(settings, addresses) as contender:
        before, begun_at, cpu_before_s = contender.counts(), time.monotonic(), time.process_time()
        time.sleep(settings["seconds"])
        after, elapsed_s = contender.counts(), time.monotonic() - begun_at
        cpu_s = time.process_time() - cpu_before_s
    counts = np.subtract(after, before)
    frames = int(counts.sum())
    return {
        "rate_per_s": frames / elapsed_s,
        "cpu_ms_per_frame": cpu_s * 1000 / max(1, frames),
        "frames": frames,
        "slowest_share": float(counts.min() / max(1e-9, counts.mean())),
    }


@contextmanager
def _running(settings: dict[str, Any], addresses: Sequence[str]) -> Iterator[CameraReader]:
    """A contender of which every camera has delivered."""
    contender = _make(settings)
    contender.start(addresses)
    try:
        while not all(contender.counts()):
            time.sleep(_LOOK_S)
        yield contender
    finally:
        contender.stop()


def _make(settings: dict[str, Any]) -> CameraReader:
    module, _, name = settings["home"].partition(":")
    return getattr(importlib.import_module(module), name)()
