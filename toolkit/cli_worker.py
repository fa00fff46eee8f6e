"""``toolkit worker``: take tasks from a queue in Redis, on any host, until told to stop."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

import click

from toolkit.addresses import without_password
from toolkit.errors import ToolkitError
from toolkit.terminal import (
    err,
    json_option,
    needed_url,
    plain,
    print_nowhere,
    queue_option,
    redis_option,
    write_json,
)

if TYPE_CHECKING:
    from toolkit.work.worker_pool import WorkerPool

_NAP_S, _LOOK_S, _SHOW_IN_LOGS_S = 0.1, 1.0, 10.0
# Each worker tells of an outage for itself; here one line for all of them is enough.
_SPEAK_OF_OUTAGES = ("toolkit.work.outage",)

Told = Callable[[], bool]


class _Seconds(click.FloatRange):
    """A time: a range does not refuse NaN by itself, and what waits for ever cannot be asked for."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds, if they are a finite number within the range."""
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value} is no number of seconds", param, ctx)
        return seconds


_ABOVE_0_S = _Seconds(0, min_open=True)


@click.command()
@redis_option
@queue_option
@click.option(
    "--handlers",
    default="toolkit.analysis:handlers",
    show_default=True,
    metavar="MODULE:NAME",
    help="{task type: function}, or a function that makes it; looked for in the current folder too.",
)
@click.option("--workers", "num_workers", type=click.IntRange(1), default=4, show_default=True)
@click.option(
    "--max-workers", type=click.IntRange(1), help="While tasks wait, up to so many; idle ones end again."
)
@click.option("--backend", type=click.Choice(["threads", "processes"]), default="threads", show_default=True)
@click.option(
    "--retries", type=click.IntRange(0), default=0, show_default=True, help="For tasks whose handler raised."
)
@click.option(
    "--run-limit", "run_limit_s", type=_ABOVE_0_S, metavar="SECONDS", help="End workers that take longer."
)
@click.option(
    "--lease",
    "lease_s",
    type=_ABOVE_0_S,
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="The same for all users.",
)
@click.option(
    "--max-attempts",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="For tasks whose workers died.",
)
@click.option(
    "--stop-timeout",
    "stop_s",
    type=_Seconds(0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long what is begun may take to end.",
)
@json_option
def worker(
    redis_url: str | None,
    queue_name: str,
    handlers: str,
    num_workers: int,
    max_workers: int | None,
    backend: Literal["threads", "processes"],
    retries: int,
    run_limit_s: float | None,
    lease_s: float,
    max_attempts: int,
    stop_s: float,
    json_path: Path | None,
) -> None:
    """Run the tasks of a queue, here and on as many other hosts as there are.

    Ctrl-C, SIGTERM and a closed terminal finish what is begun and hand back the rest. The exit code is 1 when
    something was not finished in time; it goes to another worker. A Redis that goes away is waited for.

    \b
      toolkit worker --redis redis://queue.example/0 --handlers my_lab.tasks:handlers --backend processes
    """
    url = needed_url(redis_url)
    with err.status("loading the handlers"):
        from toolkit.work.handlers import is_per_worker, resolve_handlers, task_types
        from toolkit.work.task_queue import TaskQueue
        from toolkit.work.worker_pool import WorkerPool

        sys.path.insert(0, os.getcwd())
        queue = TaskQueue(queue_name, url, lease_s=lease_s, max_attempts=max_attempts)
        queue.size()  # a Redis that is away is told before a model is loaded
        # Threads share what is made here; processes make their own, and this one needs no model.
        is_shared = backend == "threads" and not is_per_worker(handlers)
        made = resolve_handlers(handlers) if is_shared else handlers
        types = task_types(made)
        pool = WorkerPool(
            num_workers,
            made,
            queue,
            retries=retries,
            backend=backend,
            max_workers=max_workers,
            run_limit_s=run_limit_s,
        )
    what = f"what {handlers} makes" if types is None else ", ".join(types) or "nothing"
    with queue, _told_to_stop(pool.start) as told:
        address = without_password(url)
        _say(f"{num_workers} {backend} serve queue {queue_name!r} at {address}: {what}")
        report = _serve(pool, told, stop_s)
    write_json(json_path, {"queue": queue_name, "task_types": types, **report})
    if report["busy"]:
        names = ", ".join(report["busy"])
        raise ToolkitError(f"still busy after {stop_s:g} s: {names}; other workers will take these tasks")
    _say("stopped")


@contextmanager
def _told_to_stop(start: Callable[[], None]) -> Iterator[Told]:
    """Start something; afterwards, whether Ctrl-C, SIGTERM or SIGHUP came.

    Until it is started they raise, because loading may take long. Later they only leave a mark: an exception
    in the middle of anything could leave a lock behind.
    """
    marks: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]

    def mark(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            print_nowhere()
        marks.append(number)

    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        start()
        for number in before:
            signal.signal(number, mark)
        yield lambda: bool(marks)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _serve(pool: WorkerPool, told: Told, stop_s: float) -> dict[str, Any]:
    started_at = time.monotonic()
    with _quiet(*_SPEAK_OF_OUTAGES), err.status("") as status:
        numbers = _watch(pool, told, lambda text: status.update(text) if err.is_terminal else _say(text))
    _say("stopping: what is begun is finished, the rest is handed back")
    busy = pool.stop(stop_s)
    counts = {name: numbers[name] for name in ("done", "failed", "retried", "outages")}
    return {**counts, "elapsed_s": round(time.monotonic() - started_at, 1), "busy": busy}


def _watch(pool: WorkerPool, told: Told, show: Callable[[str], None]) -> dict[str, Any]:
    """Say how it goes until told to stop; returns the last numbers."""
    started_at, away_since, show_at = time.monotonic(), 0.0, 0.0
    while True:
        now, numbers = time.monotonic(), pool.statistics()
        if "error" in numbers["queue"] and not away_since:
            away_since = now
            _say(f"Redis is away, waiting for it: {numbers['queue']['error']}", "yellow")
        elif "error" not in numbers["queue"] and away_since:
            _say(f"Redis is back after {now - away_since:.0f} s")
            away_since = 0.0
        if now >= show_at:
            show_at = now + (_LOOK_S if err.is_terminal else _SHOW_IN_LOGS_S)
            show(f"{now - started_at:.0f} s  {_progress(numbers)}")
        while not told() and time.monotonic() < now + _LOOK_S:
            time.sleep(_NAP_S)
        if told():
            return numbers


def _progress(numbers: dict[str, Any]) -> str:
    waiting = numbers["queue"].get("waiting", "unknown")
    return (
        f"{numbers['done']} done, {numbers['failed']} failed, {numbers['tasks_per_s']:.0f}/s, "
        f"{numbers['busy']} of {numbers['workers']} busy, {waiting} waiting"
    )


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger in loggers:
            logger.setLevel(logging.NOTSET)


def _say(text: str, style: str = "") -> None:
    err.print(plain(text), style=style, highlight=False, soft_wrap=True)
