"""Load as MLPerf Inference shapes it: one stream, several, a server's chance arrivals, all at once."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Serve = Callable[[Sequence[Any]], object]
"""Answers these samples; several threads call it at once."""


def single_stream(serve: Serve, samples: Sequence[Any], seconds: float) -> dict[str, Any]:
    """One sample after the other, the next when the one before is answered: ``p90_ms`` decides.

    Source: this and the other three after Reddi et al.: MLPerf Inference Benchmark, ISCA 2020, section III-C.
    "MLPerf-style": the shapes and the figures, none of its rules on models, data or length.
    """
    return multi_stream(serve, samples, seconds, streams=1) | {"scenario": "single-stream"}


def multi_stream(serve: Serve, samples: Sequence[Any], seconds: float, streams: int) -> dict[str, Any]:
    """One sample of each of so many streams at once, the next when all are answered: ``p99_ms`` decides."""
    latencies_s, ends_at, number = [], time.monotonic() + seconds, 0
    while (began := time.monotonic()) < ends_at:
        serve([samples[(number + k) % len(samples)] for k in range(streams)])
        latencies_s.append(time.monotonic() - began)
        number += streams
    return {"scenario": "multi-stream", "streams": streams, **_figures(latencies_s)}


def server(
    serve: Serve, samples: Sequence[Any], seconds: float, rate_per_s: float, workers: int, seed: int = 0
) -> dict[str, Any]:
    """Samples that come by chance (Poisson), so many a second; ``p99_ms`` decides.

    Latency counts from the moment at which a sample was due, not from when somebody had time for it: who is
    too slow cannot make the load less. What is due within the time is answered, however long that takes.
    """
    rng = np.random.default_rng(seed)
    due_s = np.cumsum(rng.exponential(1 / rate_per_s, max(1, int(2 * rate_per_s * seconds) + 20)))
    # The first comes at once: of a rate so low that none would, nothing could be said.
    due_s = due_s - due_s[0]
    due_s = due_s[due_s < seconds]
    waiting: queue.SimpleQueue[tuple[float, int] | None] = queue.SimpleQueue()
    latencies_s: list[float] = []
    errors: list[BaseException] = []

    def work() -> None:
        while (taken := waiting.get()) is not None:
            due_at, number = taken
            try:
                serve([samples[number % len(samples)]])
            except Exception as error:  # noqa: BLE001 - a thread's outermost loop: kept, and raised below
                errors.append(error)
                return
            latencies_s.append(time.monotonic() - due_at)

    threads = [threading.Thread(target=work, name=f"server-{n}", daemon=True) for n in range(workers)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    for number, at_s in enumerate(due_s.tolist()):
        time.sleep(max(0.0, began + at_s - time.monotonic()))
        waiting.put((began + at_s, number))
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return {"scenario": "server", "rate_per_s": rate_per_s, **_figures(latencies_s)}


def offline(serve: Serve, samples: Sequence[Any]) -> dict[str, Any]:
    """All samples at once: ``samples_per_s`` decides."""
    began = time.monotonic()
    serve(samples)
    return {"scenario": "offline", "samples_per_s": len(samples) / (time.monotonic() - began)}


def _figures(latencies_s: Sequence[float]) -> dict[str, Any]:
    late_ms = 1000 * np.asarray(latencies_s)
    percents = {
        f"p{p}_ms": round(float(np.percentile(late_ms, p)), 2) if late_ms.size else None for p in (50, 90, 99)
    }
    return {"queries": int(late_ms.size), **percents}
