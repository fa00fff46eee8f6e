"""Ray actors that empty a queue: the same handlers, on the nodes of a cluster."""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import sys
import time
import traceback
from dataclasses import asdict
from types import ModuleType
from typing import Any

import psutil

from toolkit.errors import ConfigError
from toolkit.work.child import ChildSettings
from toolkit.work.crew import ThreadCrew
from toolkit.work.handlers import resolve_handlers
from toolkit.work.task_queue import TaskQueue

# Starting Ray on this machine takes seconds, loading a model on a busy one many more.
_START_TIMEOUT_S = 180.0
_START_TRIES = 4
_ANSWER_TIMEOUT_S = 5.0


class RayCrew:
    """The actors of one pool, from :meth:`start` to :meth:`stop`; it is not started twice.

    Tasks and results go through Redis as with every other backend; Ray places the workers, and starts one
    anew that died, whose tasks are taken over when their lease ends. The cluster is the one this process is
    connected to, or RAY_ADDRESS names, else one of this machine alone that ends with the crew.

    Args:
        queue: where tasks come from and results go; all nodes must reach its Redis.
        settings: what each actor is told.
        num_workers: number of actors.
    """

    def __init__(self, queue: TaskQueue, settings: ChildSettings, num_workers: int) -> None:
        self._queue = queue
        self._settings = settings
        self._num_workers = num_workers
        self._ray = _import_ray()
        self._owns_cluster = False
        self._actors: list[Any] = []

    def start(self) -> None:
        """Start the actors and wait until they are ready.

        Raises:
            ConfigError: the handlers cannot be had on a node, a node cannot reach the queue, or Ray does not
                start here.
        """
        ray = self._ray
        if not ray.is_initialized():
            # Its workers import what this process can; one thread each, or they fight for the cores.
            paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
            _start_cluster(ray, {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"})
            self._owns_cluster = True
        try:
            if self._queue.url.startswith("unix:") and len(ray.nodes()) > 1:
                raise ConfigError(
                    "the queue lies on this machine alone; give one that all nodes reach: REDIS_URL"
                )
            share = _share(ray.cluster_resources(), self._num_workers)
            worker = ray.remote(num_cpus=share, max_restarts=-1)(RayWorker)
            settings = json.dumps(asdict(self._settings))
            self._actors = [worker.remote(settings) for _ in range(self._num_workers)]
            ray.get([actor.is_ready.remote() for actor in self._actors], timeout=_START_TIMEOUT_S)
        except ray.exceptions.RayError as error:
            self.stop(0.0)
            raise ConfigError(f"the workers cannot start on Ray: {_reason(error)}") from error
        except BaseException:
            # Ctrl-C too: whoever has no pool that runs could never stop them.
            self.stop(0.0)
            raise

    def stop(self, timeout_s: float) -> list[str]:
        """Let the actors finish what is begun and end; those that are late are killed and named."""
        ray = self._ray
        deadline = time.monotonic() + timeout_s
        asked = [(actor, actor.stop.remote(timeout_s)) for actor in self._actors]
        busy = []
        for number, (actor, answer) in enumerate(asked):
            try:
                busy += ray.get(answer, timeout=max(0.5, deadline - time.monotonic() + 0.5))
            except ray.exceptions.RayError:
                busy.append(f"worker-{self._queue.name}-{number}")
            ray.kill(actor)
        self._actors = []
        if self._owns_cluster:
            ray.shutdown()
            self._owns_cluster = False
        return busy

    def statistics(self) -> dict[str, Any]:
        """Sums over the actors that answer, and each one's own under ``processes``."""
        each = []
        for answer in [actor.statistics.remote() for actor in self._actors]:
            try:
                each.append(self._ray.get(answer, timeout=_ANSWER_TIMEOUT_S))
            except self._ray.exceptions.RayError:
                continue  # it died; Ray starts another one
        names = ("workers", "busy", "in_hand", "done", "failed", "retried", "outages")
        return {
            **{name: sum(numbers[name] for numbers in each) for name in names},
            "tasks_per_s": round(sum(numbers["tasks_per_s"] for numbers in each), 1),
            "processes": each,
        }


def _start_cluster(ray: Any, variables: dict[str, str]) -> None:
    """Start Ray on this machine; on a busy one it gives its own processes too little time, so some tries."""
    me = psutil.Process()
    for tries_left in reversed(range(_START_TRIES)):
        before = {child.pid for child in me.children(recursive=True)}
        try:
            ray.init(include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": variables})
            return
        except BaseException as error:  # Ray raises a bare Exception where its node is late
            # It leaves behind what it has begun to start; also when Ctrl-C came meanwhile.
            ray.shutdown()
            # What ended by itself stays a child until the objects that started it are gone.
            traceback.clear_frames(error.__traceback__)
            gc.collect()
            for child in me.children(recursive=True):
                if child.pid not in before:
                    _end_if_of_ray(child)
            if not isinstance(error, Exception):
                raise
            if not tries_left:
                raise ConfigError(f"Ray does not start on this machine: {_reason(error)}") from error


def _share(resources: dict[str, float], num_workers: int) -> float:
    """The cores an actor asks for: one, or less where the last ones would wait for one for ever."""
    each = resources.get("CPU", 1.0) / num_workers
    # Ray rounds to four digits, and what was rounded up would not fit.
    return min(1.0, math.floor(each * 10_000) / 10_000)


def _end_if_of_ray(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        if any("/ray/" in word for word in process.cmdline()):
            process.kill()
            process.wait()


class RayWorker:
    """One actor: a crew of one thread over the queue it is told of.

    Args:
        settings: :class:`ChildSettings` as JSON.
    """

    def __init__(self, settings: str) -> None:
        told = ChildSettings(**json.loads(settings))
        self._queue = TaskQueue(**told.queue)
        handlers = resolve_handlers(told.handlers)
        self._crew = ThreadCrew(self._queue, lambda: handlers, 1, told.retries, told.retry_wait_s)
        self._crew.start()

    def is_ready(self) -> bool:
        """Answers once the constructor is through."""
        return True

    def statistics(self) -> dict[str, Any]:
        """Numbers of this actor's crew."""
        return self._crew.statistics()

    def stop(self, timeout_s: float) -> list[str]:
        """Finish what is begun, put back what is not."""
        busy = self._crew.stop(timeout_s)
        self._queue.close()
        return busy


def _import_ray() -> ModuleType:
    # Read when Ray is imported: nothing about the use of this package leaves the machine.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ConfigError("backend 'ray' needs Ray: pip install 'toolkit[ray]'") from error
    return ray


def _reason(error: Exception) -> str:
    """The last line of a remote error: what was raised there, without the way it took."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
