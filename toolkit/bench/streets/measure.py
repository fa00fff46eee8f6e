"""One measurement of one contender: frames a second, or how many real-time cameras it keeps up with."""

from __future__ import annotations

import importlib
import os
import time
from typing import Any

# Nothing heavy above this line of the imports: libraries size their pools by the cores they find.
from toolkit.bench.streets.contender import Street, Task

MOST_P99_S = 0.2
CAMERAS = (1, 2, 3, 4, 6, 8, 10, 12, 16)


def full_speed(settings: dict[str, Any]) -> dict[str, Any]:
    """Frames answered a second, videos read as fast as they can be.

    Args:
        settings: ``home`` (the contender's class), ``videos``, ``cameras``, ``model``, ``size_px``, ``cores``
            (None for all), ``warm_up_s`` and ``seconds``.

    Returns:
        ``rate_per_s``; ``cores_busy`` with this process, and frames for each second of such a core,
        ``rate_per_busy_core_s``, which other work on the machine spoils less; ``frames``; ``runtime`` in
        words.
    """
    _keep_to(settings["cores"])
    street = _make(settings, settings["cameras"], realtime=False)
    street.start()
    time.sleep(settings["warm_up_s"])
    before, begun_at, cpu_before_s = street.answered, time.monotonic(), time.process_time()
    time.sleep(settings["seconds"])
    frames, elapsed_s = street.answered - before, time.monotonic() - begun_at
    cpu_s = time.process_time() - cpu_before_s
    street.stop()
    return {
        "rate_per_s": frames / elapsed_s,
        "cores_busy": cpu_s / elapsed_s,
        "rate_per_busy_core_s": frames / cpu_s,
        "frames": frames,
        "runtime": street.runtime,
    }


def real_time(settings: dict[str, Any]) -> dict[str, Any]:
    """The most cameras at 25 frames a second with p99 from due to answered under 200 ms, and none dropped.

    Args:
        settings: as for :func:`full_speed`.

    Returns:
        ``cameras``; ``p99_ms`` with so many; ``tried``: by number of cameras what came of it.
    """
    _keep_to(settings["cores"])
    tried: dict[str, Any] = {}
    sustained, p99_ms = 0, float("inf")
    for cameras in CAMERAS:
        told = _keeps_up(settings, cameras)
        tried[str(cameras)] = told
        if told["dropped"] or told["unanswered"] or told["p99_ms"] >= MOST_P99_S * 1000:
            break
        sustained, p99_ms = cameras, told["p99_ms"]
    return {"cameras": sustained, "p99_ms": p99_ms, "tried": tried}


def _keeps_up(settings: dict[str, Any], cameras: int) -> dict[str, Any]:
    street = _make(settings, cameras, realtime=True)
    street.start()
    time.sleep(settings["warm_up_s"])
    answered, dropped, seen = street.answered, street.dropped, len(street.latencies_s)
    time.sleep(settings["seconds"])
    latencies_s = sorted(street.latencies_s[seen:])
    due = round(cameras * 25 * settings["seconds"])
    told = {
        "dropped": street.dropped - dropped,
        # A camera whose frames come late is not told by the latencies of those that came.
        "unanswered": max(0, due - (street.answered - answered) - 2 * cameras),
        "p50_ms": round(1000 * latencies_s[len(latencies_s) // 2], 1) if latencies_s else float("inf"),
        "p99_ms": round(1000 * latencies_s[len(latencies_s) * 99 // 100], 1) if latencies_s else float("inf"),
    }
    street.stop()
    return told


def _keep_to(cores: int | None) -> None:
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _make(settings: dict[str, Any], cameras: int, realtime: bool) -> Street:
    module, _, name = settings["home"].partition(":")
    videos = [settings["videos"][number % len(settings["videos"])] for number in range(cameras)]
    task = Task(videos, settings["model"], settings["size_px"], realtime)
    return getattr(importlib.import_module(module), name)(task)
