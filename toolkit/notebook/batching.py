"""What batches cost and gain: items that arrive evenly, through batches of several sizes and waits."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from toolkit.live.batch import BatchProcessor
from toolkit.notebook.figures import COLOURS, empty_figure, legend_beside

ProcessFn = Callable[[list[Any]], Sequence[Any]]

_COLUMNS = ("batch_size", "wait_ms", "mean_batch", "items_per_s", "p50_ms", "p99_ms")


def try_batches(
    process_fn: ProcessFn,
    rate_per_s: float,
    batch_sizes: Iterable[int],
    waits_s: Iterable[float],
    seconds: float = 1.0,
) -> pd.DataFrame:
    """Send items at a fixed rate through a batch processor, once for each size and wait.

    An item's latency counts from when it was due, so a processor that falls behind shows it.

    Args:
        process_fn: takes a list of items, gives as many results.
        rate_per_s: items a second that arrive.
        batch_sizes: most items in a batch.
        waits_s: longest wait for a batch to fill.
        seconds: how long items arrive, for each pair.

    Returns:
        A row for each pair: ``batch_size, wait_ms, mean_batch, items_per_s, p50_ms, p99_ms``.

    Raises:
        BaseException: whatever ``process_fn`` raised.
    """
    pairs = itertools.product(batch_sizes, waits_s)
    rows = [_try(process_fn, rate_per_s, size, wait_s, seconds) for size, wait_s in pairs]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _try(
    process_fn: ProcessFn, rate_per_s: float, batch_size: int, wait_s: float, seconds: float
) -> dict[str, float]:
    count = max(1, round(rate_per_s * seconds))
    done_at, sizes, answers = np.zeros(count), [], []

    def process(numbers: list[int]) -> Sequence[Any]:
        results = process_fn(numbers)
        done_at[numbers] = time.monotonic()
        sizes.append(len(numbers))
        return results

    with BatchProcessor(batch_size, wait_s, process) as processor:
        due_at = time.monotonic() + np.arange(count) / rate_per_s
        for number in range(count):
            time.sleep(max(0.0, due_at[number] - time.monotonic()))
            answers.append(processor.submit(number))
        processor.flush()
        for answer in answers:
            # Raises what process_fn has raised: of a batch that failed there is no time to tell.
            answer.result()
    latencies_ms = 1000 * (done_at - due_at)
    return {
        "batch_size": batch_size,
        "wait_ms": 1000 * wait_s,
        "mean_batch": float(np.mean(sizes)),
        "items_per_s": count / (done_at.max() - due_at[0]),
        "p50_ms": float(np.percentile(latencies_ms, 50)),
        "p99_ms": float(np.percentile(latencies_ms, 99)),
    }


def latency_by_batch(tried: pd.DataFrame) -> Figure:
    """The 99th percentile of the latency against the size of batches, a line for each wait.

    Args:
        tried: of :func:`try_batches`.
    """
    figure, axes = empty_figure("How late the last hundredth is", "most items in a batch", "p99 latency, ms")
    for number, (wait_ms, of_wait) in enumerate(tried.groupby("wait_ms")):
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(of_wait["batch_size"], of_wait["p99_ms"], "o-", color=colour, label=f"wait {wait_ms:g} ms")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted(set(tried["batch_size"])), sorted(set(tried["batch_size"])))
    axes.set_yscale("log")
    # 10, 20, 50, 100, ...: one decade would else have one number.
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    if len(tried):
        legend_beside(axes)
    return figure
