"""The numbers of queues as text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Statistic, name and help; a gauge goes up and down, a counter is never less than it was.
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

    Source: Prometheus documentation, "Exposition formats", text-based format 0.0.4.

    >>> print(prometheus_text({"faces": {"waiting": 3}}), end="")
    # HELP toolkit_queue_waiting Tasks that nobody has taken yet, delayed ones included.
    # TYPE toolkit_queue_waiting gauge
    toolkit_queue_waiting{queue="faces"} 3
    """
    lines: list[str] = []
    for key, (name, text) in _GAUGES.items():
        lines += _metric(f"toolkit_queue_{name}", "gauge", text, _values(queues, key))
    for key, text in _COUNTERS.items():
        lines += _metric(f"toolkit_queue_{key}_total", "counter", text, _values(queues, key))
    return "".join(f"{line}\n" for line in lines)


def _values(queues: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, float]:
    return {name: numbers[key] or 0 for name, numbers in queues.items() if key in numbers}


def _metric(name: str, kind: str, text: str, values: Mapping[str, float]) -> list[str]:
    if not values:
        return []
    samples = [f'{name}{{queue="{_escaped(queue)}"}} {value}' for queue, value in values.items()]
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *samples]


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
