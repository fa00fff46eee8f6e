"""The numbers of queues as text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit.prometheus import Metric, exposition

# Statistic, name and help.
_GAUGES = {
    "waiting": ("waiting", "Tasks that nobody has taken yet, delayed ones included."),
    "delayed": ("delayed", "Tasks that are not due yet."),
    "in_hand": ("in_hand", "Tasks that workers hold."),
    "dead": ("dead", "Tasks in the dead letters."),
    "oldest_s": ("oldest_seconds", "Age of the task that waits longest; 0 when none waits."),
}
_COUNTERS = {
    "enqueued": "Tasks put into the queue.",
    "done": "Tasks that worked.",
    "failed": "Tasks that failed for good.",
    "taken": "Tasks taken by dequeue.",
    "expired": "Tasks skipped because their deadline had passed.",
    "dropped": "Tasks dropped because the queue was full.",
    "cleared": "Tasks dropped by hand.",
    "retried": "Tasks put back after their handler raised.",
    "taken_over": "Tasks taken over from a worker that died.",
    "late": "Results let go because another worker had finished the task.",
}


def prometheus_text(queues: Mapping[str, Mapping[str, Any]]) -> str:
    """The statistics of queues in the text exposition format 0.0.4, one label ``queue``.

    Args:
        queues: :meth:`TaskQueue.statistics` by name of the queue.

    >>> print(prometheus_text({"faces": {"waiting": 3}}), end="")
    # HELP toolkit_queue_waiting Tasks that nobody has taken yet, delayed ones included.
    # TYPE toolkit_queue_waiting gauge
    toolkit_queue_waiting{queue="faces"} 3
    """
    gauges = [
        Metric(f"toolkit_queue_{name}", "gauge", text, _samples(queues, key))
        for key, (name, text) in _GAUGES.items()
    ]
    counters = [
        Metric(f"toolkit_queue_{key}_total", "counter", text, _samples(queues, key))
        for key, text in _COUNTERS.items()
    ]
    return exposition(gauges + counters)


def _samples(
    queues: Mapping[str, Mapping[str, Any]], key: str
) -> tuple[tuple[Mapping[str, str], float], ...]:
    return tuple(({"queue": name}, numbers[key] or 0) for name, numbers in queues.items() if key in numbers)
