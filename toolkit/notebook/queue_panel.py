"""A queue and its workers in a notebook: tables of now, and lines of the last minute."""

from __future__ import annotations

import html
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
import pandas as pd
from IPython.display import display
from matplotlib.figure import Figure

from toolkit.errors import ConfigError, QueueUnavailable
from toolkit.notebook.figures import COLOURS
from toolkit.notebook.html_table import table_as_html
from toolkit.notebook.live_plot import lines_plot
from toolkit.work.task_queue import TaskQueue
from toolkit.work.worker_pool import WorkerPool

_LAST_S = 60.0
_LOOKS_KEPT = 3600
_NOW = ("waiting", "in_hand", "delayed", "oldest_s", "done", "failed", "dead", "retried")
_COUNTS = ("waiting", "in hand", "dead")
_RATES = ("done/s", "failed/s")
_TIMES = ("run p50", "run p99", "wait p50", "wait p99")


def queue_table(*queues: TaskQueue) -> pd.DataFrame:
    """One row a queue: what waits, what is in hand, and what became of the others.

    Returns:
        Index: the queue; columns ``waiting, in hand, delayed, oldest s, done, failed, dead, retried``.

    Raises:
        QueueUnavailable: Redis does not answer.
    """
    return _queue_rows({queue.name: queue.statistics() for queue in queues})


def pool_table(pool: WorkerPool) -> pd.DataFrame:
    """One row a worker process, or one for all threads: what it did, how fast, and how long tasks waited.

    Returns:
        Index: the process id; columns ``workers, busy, in hand, done, failed, retried, tasks/s`` and in
        milliseconds ``run p50, run p99, wait p50, wait p99``; no row when the pool does not run.
    """
    return _worker_rows(pool.statistics())


def queue_over_time(history: pd.DataFrame) -> Figure:
    """What waited, was in hand and dead, above what was done and failed a second.

    Args:
        history: :meth:`QueuePanel.history`.
    """
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    panels = (_COUNTS, "Where tasks are", "tasks"), (_RATES, "What becomes of them", "tasks a second")
    for axes, (names, title, label) in zip(figure.subplots(2, sharex=True), panels, strict=True):
        for name, colour in zip(names, COLOURS, strict=False):
            axes.plot(history["time_s"], history[name], color=colour, label=name, linewidth=1.8)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(label)
        axes.set_title(title, loc="left", fontsize="medium")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("seconds since the start")
    return figure


class QueuePanel:
    """The numbers of a queue and its workers, renewed as long as it runs; it only ever looks. ::

        panel = QueuePanel(pool)
        panel.start()
        panel

    One thread asks for the statistics and draws them; :meth:`close` ends it, what was shown last stays.

    Args:
        watched: a pool, with its workers; or a queue, whose workers may be anywhere.
        every_s: time between two looks.

    Raises:
        ConfigError: ``every_s`` is not above 0.
    """

    def __init__(self, watched: WorkerPool | TaskQueue, every_s: float = 1.0) -> None:
        if not every_s > 0:
            raise ConfigError(f"every_s must be above 0, got {every_s}")
        self._watched = watched
        self._every_s = every_s
        self._looks: deque[dict[str, Any]] = deque(maxlen=_LOOKS_KEPT)
        self._started_at = time.monotonic()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        names = ("status", "queue", "workers", "counts", "rates")
        self._html = {name: widgets.HTML() for name in names}
        for name, widget in self._html.items():
            widget.add_class(f"toolkit-{name}")
        self.box = widgets.VBox(list(self._html.values()))

    def start(self) -> None:
        """Begin to watch, and return at once; nothing happens when it watches already."""
        if self._thread is None:
            self._is_over.clear()
            self._thread = threading.Thread(target=self._watch, name="queue-panel", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Look a last time and end the thread; may be called twice, or without a start."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._is_over.set()
            thread.join()

    def history(self) -> pd.DataFrame:
        """What was seen, a row a look.

        Returns:
            Columns ``time_s, waiting, in hand, done, failed, dead, done/s, failed/s`` and, of the slowest
            worker of a pool, in milliseconds ``run p50, run p99, wait p50, wait p99``.
        """
        columns = ["time_s", "waiting", "in hand", "done", "failed", "dead", *_RATES, *_TIMES]
        return pd.DataFrame(list(self._looks), columns=columns)

    def __enter__(self) -> QueuePanel:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _ipython_display_(self) -> None:
        display(self.box)

    def _watch(self) -> None:
        is_last = False
        while True:
            try:
                self._look()
            except QueueUnavailable as error:
                self._tell(f"Redis is away: {error}")
            if is_last:
                return
            # Once more at the end, so that what stays to be seen is how it ended.
            is_last = self._is_over.wait(self._every_s)

    def _look(self) -> None:
        workers: dict[str, Any] = {}
        if isinstance(self._watched, WorkerPool):
            workers = self._watched.statistics()
            numbers, name = workers["queue"], self._watched.queue.name
        else:
            numbers, name = self._watched.statistics(), self._watched.name
        if "error" in numbers:
            raise QueueUnavailable(numbers["error"])
        of_workers = _worker_rows(workers)
        self._remember(numbers, of_workers)
        self._tell(f"queue {name!r}, {self._looks[-1]['time_s']:.0f} s")
        self._html["queue"].value = table_as_html(_queue_rows({name: numbers}))
        self._html["workers"].value = table_as_html(of_workers) if len(of_workers) else ""
        self._html["counts"].value = self._lines(_COUNTS, "Tasks that wait, are in hand, and are dead")
        self._html["rates"].value = self._lines(_RATES, "Tasks done and failed a second")

    def _remember(self, numbers: Mapping[str, Any], of_workers: pd.DataFrame) -> None:
        now = {"time_s": time.monotonic() - self._started_at}
        now |= {
            key.replace("_", " "): numbers[key] for key in ("waiting", "in_hand", "done", "failed", "dead")
        }
        before = self._looks[-1] if self._looks else now
        passed_s = now["time_s"] - before["time_s"]
        for rate in _RATES:
            count = rate.removesuffix("/s")
            now[rate] = max(0.0, now[count] - before[count]) / passed_s if passed_s else 0.0
        # Percentiles of several workers do not add up; the slowest one is what a user waits for.
        now |= {time_: of_workers[time_].max() for time_ in _TIMES if len(of_workers)}
        self._looks.append(now)

    def _lines(self, names: tuple[str, ...], label: str) -> str:
        lines = {name: [(look["time_s"], look[name]) for look in self._looks] for name in names}
        return lines_plot(lines, label, last_s=_LAST_S)

    def _tell(self, text: str) -> None:
        self._html["status"].value = f"<b>{html.escape(text)}</b>"


def _queue_rows(numbers: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    columns = [key.replace("_", " ") for key in _NOW]
    rows = [[of_one[key] for key in _NOW] for of_one in numbers.values()]
    table = pd.DataFrame(rows, index=list(numbers), columns=columns)
    return table.astype({"oldest s": float}).rename_axis(columns="queue")


def _worker_rows(statistics: Mapping[str, Any]) -> pd.DataFrame:
    counts = ("workers", "busy", "in_hand", "done", "failed", "retried")
    each = statistics.get("processes", [statistics] if "run_ms" in statistics else [])
    rows = {
        of_one["pid"]: {key.replace("_", " "): of_one[key] for key in counts}
        | {"tasks/s": of_one["tasks_per_s"]}
        | {time_: of_one[f"{time_.split()[0]}_ms"][time_.split()[1]] for time_ in _TIMES}
        for of_one in each
    }
    columns = [*(key.replace("_", " ") for key in counts), "tasks/s", *_TIMES]
    return pd.DataFrame(list(rows.values()), index=list(rows), columns=columns).rename_axis(columns="process")
