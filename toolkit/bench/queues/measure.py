"""One measurement of one contender: a rate, or how long a task waits for its start."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.bench.queues.contender import URL_VARIABLE, QueueContender
from toolkit.bench.queues.tally import FOLDER_VARIABLE
from toolkit.bench.queues.tasks import BULK, IN_FLIGHT, payload
from toolkit.work.redis_server import RedisServer

_WARM_UP_TASKS = 10
_PILOT_TASKS = 200


def rate(settings: dict[str, Any]) -> dict[str, Any]:
    """Tasks a second from the first one sent to the last one finished, with all workers up.

    Args:
        settings: ``home`` (the contender's class), ``folder``, ``workers``, ``kind`` of the tasks, about how
            many ``seconds`` it may take, and ``most_tasks``.

    Returns:
        ``rate_per_s``, ``tasks``, ``seconds``, and ``begun``: how often a task was begun, which is more than
        ``tasks`` where one ran twice.
    """
    kind = settings["kind"]
    with _running(settings) as contender:
        pilot_s = _send_and_settle(contender, kind, min(_PILOT_TASKS, settings["most_tasks"]))
        # As many as fill the time at the pilot's rate, so that the slow do not take minutes.
        tasks = int(_PILOT_TASKS / pilot_s * settings["seconds"])
        tasks = max(1, min(max(tasks, _PILOT_TASKS), settings["most_tasks"]))
        before = contender.tally.count()
        seconds = _send_and_settle(contender, kind, tasks)
        begun = contender.tally.count() - before
    return {"rate_per_s": tasks / seconds, "tasks": tasks, "seconds": seconds, "begun": begun}


def latency(settings: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds from before sending to the start of the task, tasks sent one at a time and evenly.

    Args:
        settings: as for :func:`rate`; ``seconds`` of sending ``tasks_per_s``.

    Returns:
        ``p50_ms``, ``p99_ms``, ``tasks``, and ``rate_per_s``, at which tasks were really sent.
    """
    task = payload(settings["kind"])
    tasks = max(1, round(settings["seconds"] * settings["tasks_per_s"]))
    with _running(settings) as contender:
        start = time.monotonic()
        for number in range(tasks):
            time.sleep(max(0.0, start + number / settings["tasks_per_s"] - time.monotonic()))
            contender.send(time.monotonic(), [task])
        sent_per_s = tasks / (time.monotonic() - start)
        contender.settle()
        waits_ms = contender.tally.waits_ms(since=start)
    p50, p99 = np.percentile(waits_ms, [50, 99])
    return {"p50_ms": float(p50), "p99_ms": float(p99), "tasks": len(waits_ms), "rate_per_s": sent_per_s}


@contextmanager
def _running(settings: dict[str, Any]) -> Iterator[QueueContender]:
    """A contender on a Redis that was started for it alone, every worker of it warm."""
    module, _, name = settings["home"].partition(":")
    with ExitStack() as stack:
        server = RedisServer()
        stack.callback(server.stop)
        url = server.start()
        os.environ.update({URL_VARIABLE: url, FOLDER_VARIABLE: settings["folder"]})
        contender: QueueContender = getattr(importlib.import_module(module), name)(
            url, Path(settings["folder"])
        )
        stack.callback(contender.stop)
        contender.start(settings["workers"])
        while contender.tally.count() == 0 or contender.tally.workers() < settings["workers"]:
            _send_and_settle(contender, settings["kind"], _WARM_UP_TASKS)
        yield contender


def _send_and_settle(contender: QueueContender, kind: str, tasks: int) -> float:
    """Send so many tasks and wait until all are finished; the seconds that took."""
    task = payload(kind)
    start = time.monotonic()
    for sent in range(0, tasks, BULK[kind]):
        contender.send(time.monotonic(), [task] * min(BULK[kind], tasks - sent))
        contender.settle(IN_FLIGHT[kind])
    contender.settle()
    return contender.settled_at() - start
