"""A pool of workers over a queue: submit tasks, collect results."""

from __future__ import annotations

import atexit
import math
import threading
from collections.abc import Iterable
from functools import partial
from numbers import Integral
from typing import Any, Literal

from toolkit.errors import ConfigError, QueueUnavailable, did_you_mean
from toolkit.work.autoscaler import Autoscaler
from toolkit.work.child import ChildSettings
from toolkit.work.crew import ThreadCrew
from toolkit.work.handlers import HandlerSource, is_per_worker, resolve_handlers
from toolkit.work.process_crew import ProcessCrew
from toolkit.work.ray_crew import RayCrew
from toolkit.work.results import TaskHandle
from toolkit.work.task_queue import Task, TaskQueue

_BACKENDS = ("threads", "processes", "ray")


class WorkerPool:
    """Workers that run one handler per task type.

    A task is run at least once: it leaves the queue when its result is stored, and when its worker dies
    another one takes it over. Tasks of one queue may be shared by the pools of several processes and hosts.

    Args:
        num_workers: number of workers; with ``max_workers`` the least.
        handlers: ``{task type: function(task) -> result}``, a function that makes them, or the text
            "module:attribute" of either; found when the pool starts. They are made once per process, whose
            threads share them, or once per worker where :func:`toolkit.work.per_worker` marks the function.
        queue: the queue to empty; None is ``TaskQueue()``, made when it is first needed.
        retries: how often a task whose handler raised is tried again. A task whose worker died is tried again
            up to the ``max_attempts`` of the queue.
        retry_wait_s: wait before the first retry, doubled for each further one.
        backend: "threads" suit handlers that wait, or compute outside Python (torch, OpenCV); "processes"
            suit those that compute in Python, or may crash; "ray" puts actors on the nodes of a Ray cluster.
            The last two need ``handlers`` as a text.
        max_workers: while tasks wait and all are busy, workers are added up to so many, and those idle for
            some ten seconds end; for threads and processes. None keeps ``num_workers``.
        run_limit_s: a task that runs longer ends its worker process, which counts as an attempt; None for
            no limit.

    Raises:
        ConfigError: a setting is out of its range.

    >>> with WorkerPool(num_workers=2, handlers={"double": lambda task: 2 * task["n"]}) as pool:
    ...     pool.submit_task({"type": "double", "n": 21}).result(timeout=10)
    42
    """

    def __init__(
        self,
        num_workers: int = 4,
        handlers: HandlerSource = "toolkit.analysis:handlers",
        queue: TaskQueue | None = None,
        *,
        retries: int = 0,
        retry_wait_s: float = 1.0,
        backend: Literal["threads", "processes", "ray"] = "threads",
        max_workers: int | None = None,
        run_limit_s: float | None = None,
    ) -> None:
        for name, value in {"num_workers": num_workers, "max_workers": max_workers or 1}.items():
            if not isinstance(value, Integral):
                raise ConfigError(f"{name} must be a whole number, got {value!r}")
        if not (num_workers >= 1 and retries >= 0 and 0 <= retry_wait_s < math.inf):
            raise ConfigError(
                "num_workers must be at least 1, retries and retry_wait_s at least 0, the wait finite; "
                f"got {num_workers}, {retries} and {retry_wait_s}"
            )
        if backend not in _BACKENDS:
            raise ConfigError(f"there is no backend {backend!r}; {did_you_mean(backend, _BACKENDS)}")
        if backend != "threads" and not isinstance(handlers, str):
            raise ConfigError(
                f"worker processes find their handlers by name, got a {type(handlers).__name__}; "
                "put them into a module and give 'module:attribute'"
            )
        if max_workers is not None and (max_workers < num_workers or backend == "ray"):
            raise ConfigError(
                f"max_workers must be at least num_workers ({num_workers}), for threads and processes: "
                f"{max_workers} {backend}; Ray has an autoscaler of its own"
            )
        if run_limit_s is not None and (backend != "processes" or not run_limit_s > 0):
            raise ConfigError(
                f"run_limit_s must be above 0, for processes alone (threads cannot be ended): {run_limit_s}"
            )
        self._backend = backend
        self._run_limit_s = run_limit_s
        self._num_workers, self._max_workers = num_workers, max_workers
        self._handlers = handlers
        self._queue = queue
        self._owns_queue = queue is None
        self._retries = retries
        self._retry_wait_s = retry_wait_s
        self._crew: ThreadCrew | ProcessCrew | RayCrew | None = None
        self._autoscaler: Autoscaler | None = None
        self._lock = threading.RLock()

    @property
    def queue(self) -> TaskQueue:
        """The queue this pool empties."""
        with self._lock:
            if self._queue is None:
                self._queue = TaskQueue()
            return self._queue

    def __enter__(self) -> WorkerPool:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Find the handlers and start the workers; does nothing when they run.

        Raises:
            ConfigError: there are no such handlers.
            QueueUnavailable: Redis does not answer.
        """
        with self._lock:
            if self._crew is not None:
                return
            self.queue.size()  # a pool that cannot work says so here, and not in the log of a thread
            crew = self._new_crew()
            crew.start()
            self._crew = crew
            if self._max_workers is not None and not isinstance(crew, RayCrew):
                self._autoscaler = Autoscaler(crew, self.queue, self._num_workers, self._max_workers)
                self._autoscaler.start()
            atexit.register(self.stop)

    def stop(self, timeout_s: float = 10.0) -> list[str]:
        """Finish what is begun, put back what is not, end the workers.

        Results can still be fetched, and tasks submitted now wait for the next :meth:`start`. May be called
        twice, or without a start.

        Args:
            timeout_s: the longest wait in seconds, for all workers together.

        Returns:
            Names of the workers that were still busy then; their tasks go to others when the lease ends.
        """
        with self._lock:
            crew, self._crew = self._crew, None
            if crew is None:
                return []
            atexit.unregister(self.stop)
            if self._autoscaler is not None:
                self._autoscaler.stop()
                self._autoscaler = None
            busy = crew.stop(timeout_s)
            if self._owns_queue:
                self.queue.close()
            return busy

    def _new_crew(self) -> ThreadCrew | ProcessCrew | RayCrew:
        if self._backend != "threads":
            settings = ChildSettings(
                queue=self.queue.arguments,
                handlers=str(self._handlers),
                retries=self._retries,
                retry_wait_s=self._retry_wait_s,
                run_limit_s=self._run_limit_s,
            )
            kind = ProcessCrew if self._backend == "processes" else RayCrew
            return kind(self.queue, settings, self._num_workers)
        make = partial(resolve_handlers, self._handlers)
        if not is_per_worker(self._handlers):
            shared = make()
            make = partial(dict, shared)
        return ThreadCrew(self.queue, make, self._num_workers, self._retries, self._retry_wait_s)

    def submit_task(self, task: Task, **options: Any) -> TaskHandle:
        """Put a task into the queue.

        Args:
            task: a dict of plain data and arrays, with its handler's name under "type".
            options: ``priority``, ``delay_s``, ``deadline_s`` as for :meth:`TaskQueue.enqueue`.

        Returns:
            The task's id, a text; ``.result(timeout)`` waits for what the handler returns.

        Raises:
            As :meth:`TaskQueue.enqueue`.
        """
        return self.queue.submit(task, **options)

    def submit_tasks(self, tasks: Iterable[Task], **options: Any) -> list[TaskHandle]:
        """Put many tasks into the queue in bulk, in order; as :meth:`submit_task`."""
        return self.queue.submit_many(tasks, **options)

    def get_results(self, max_results: int = 10, timeout: float | None = None) -> list[dict[str, Any]]:
        """Fetch results of tasks this pool was given, each once, in the order in which they came.

        Args:
            max_results: the most to fetch.
            timeout: wait so many seconds until there are ``max_results``, or all that are still to come.
                None takes what is there now.

        Returns:
            One dict per task: ``task_id``, ``type``, ``attempts``, ``status``; with "done" a ``result``, what
            the handler returned; with "failed", "expired" or "dropped" an ``error``, what happened.
        """
        return self.queue.get_results(max_results, timeout)

    def statistics(self) -> dict[str, Any]:
        """``workers``, ``busy``, ``done``, ``failed``, ``retried``, ``tasks_per_s`` since the start.

        Threads tell their ``run_ms`` and ``wait_ms`` as well, processes each for itself under ``processes``;
        under ``queue`` are the numbers of the whole queue.
        """
        crew = self._crew
        try:
            queue = self.queue.statistics()
        except QueueUnavailable as error:
            queue = {"error": str(error)}
        return {
            "running": crew is not None,
            **(crew.statistics() if crew else {"workers": 0}),
            "queue": queue,
        }

    get_statistics = statistics
