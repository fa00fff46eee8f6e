"""Worker processes: started, watched, and replaced when they die."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from typing import Any

from toolkit.errors import ConfigError, QueueUnavailable
from toolkit.work.child import ChildSettings
from toolkit.work.task_queue import TaskQueue

_log = logging.getLogger(__name__)

# Loading a model takes long on a busy machine: torch, torchvision and timm alone 3 to 10 s.
_START_TIMEOUT_S = 120.0
_ANSWER_TIMEOUT_S = 2.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0
_LIVED_LONG_S = 5.0
_SHRINK_TIMEOUT_S = 3600.0


class ProcessCrew:
    """The worker processes of one pool, from :meth:`start` to :meth:`stop`; it is not started twice.

    A process that dies is replaced, and its tasks are taken over at once. When this process dies, however
    that happens, its workers finish what is begun and end.

    Args:
        queue: where tasks come from and results go; the workers open it themselves.
        settings: what each of them is told.
        num_workers: number of processes.
    """

    def __init__(self, queue: TaskQueue, settings: ChildSettings, num_workers: int) -> None:
        self._queue, self._settings = queue, settings
        self._numbers = itertools.count()
        self._leaving: list[_Seat] = []
        self._seats = [_Seat(queue, settings, next(self._numbers)) for _ in range(num_workers)]

    @property
    def size(self) -> int:
        """Number of workers, those that start included."""
        return len(self._seats)

    def grow(self) -> None:
        """Add a worker; it is on its way when this is back."""
        seat = _Seat(self._queue, self._settings, next(self._numbers))
        seat.launch()
        seat.watch()
        self._seats.append(seat)

    def shrink(self) -> None:
        """Let a worker that has nothing to do end; what it may just have begun it finishes."""
        # The first one stays: it tells of outages.
        for seat in self._seats[:0:-1]:
            if not seat.statistics().get("busy", 1):
                self._seats.remove(seat)
                self._leaving = [*(each for each in self._leaving if not each.has_ended()), seat]
                seat.ask_to_stop(_SHRINK_TIMEOUT_S)
                return

    def start(self) -> None:
        """Start the processes, all at once, and wait until they are ready.

        Raises:
            ConfigError: the handlers cannot be had; the text is that of the worker.
        """
        try:
            for seat in self._seats:
                seat.launch()
            for seat in self._seats:
                seat.wait_until_ready()
        except BaseException:
            # Ctrl-C too: whoever has no pool that runs could never stop them.
            self.stop(0.0)
            raise
        for seat in self._seats:
            seat.watch()

    def stop(self, timeout_s: float) -> list[str]:
        """Let the workers finish what is begun and end; those that are late are killed and named."""
        deadline = time.monotonic() + timeout_s
        for seat in self._seats:
            seat.ask_to_stop(timeout_s)
        return [seat.name for seat in (*self._seats, *self._leaving) if not seat.end(deadline)]

    def statistics(self) -> dict[str, Any]:
        """Sums over the processes that answer, ``replaced`` ones, and each one's own under ``processes``."""
        each = [numbers for seat in list(self._seats) if (numbers := seat.statistics())]
        names = ("workers", "busy", "in_hand", "done", "failed", "retried", "outages")
        return {
            **{name: sum(numbers[name] for numbers in each) for name in names},
            "tasks_per_s": round(sum(numbers["tasks_per_s"] for numbers in each), 1),
            "replaced": sum(seat.replaced for seat in self._seats),
            "processes": each,
        }


class _Seat:
    """The place of one worker: a process, and the thread that replaces it."""

    def __init__(self, queue: TaskQueue, settings: ChildSettings, number: int) -> None:
        self.name = f"worker-{queue.name}-{number}"
        self.replaced = 0
        self._queue = queue
        self._settings = replace(settings, tells_of_outages=number == 0)
        self._stopping = threading.Event()
        self._talk = threading.Lock()
        self._holder = ""
        self._is_ready = False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name=f"watch-{self.name}", daemon=True)

    def launch(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        # One process per core is the parallelism; more threads in each would fight for the cores.
        environment.setdefault("OMP_NUM_THREADS", "1")
        # glibc gives freed pictures back to the kernel at once, which costs as much as copying the next ones.
        environment.setdefault("MALLOC_MMAP_THRESHOLD_", "67108864")
        environment.setdefault("MALLOC_TRIM_THRESHOLD_", "134217728")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "toolkit.work.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Unbuffered, so that select() tells the truth.
            bufsize=0,
            env=environment,
            # Its own session: Ctrl-C at the terminal is for the parent, which then asks its workers to stop.
            start_new_session=True,
        )
        self._say(asdict(self._settings))

    def wait_until_ready(self) -> None:
        answer = self._hear(_START_TIMEOUT_S)
        if "holder" not in answer:
            raise ConfigError(f"{self.name} did not start: {answer.get('error', 'it ended without a word')}")
        self._holder, self._is_ready = answer["holder"], True

    def watch(self) -> None:
        self._thread.start()

    def ask_to_stop(self, timeout_s: float) -> None:
        self._stopping.set()
        self._say({"stop_s": timeout_s})

    def has_ended(self) -> bool:
        """Whether a process that was asked to stop is gone; then its pipes are closed."""
        if self._process is None or self._process.poll() is None:
            return False
        self.end(time.monotonic())
        return True

    def end(self, deadline: float) -> bool:
        """Wait for the process, or kill it; whether it ended by itself."""
        process = self._process
        if process is None:
            return True
        try:
            process.wait(max(0.2, deadline - time.monotonic() + 0.2))
            is_in_time = process.returncode == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            is_in_time = False
        if self._thread.is_alive():
            self._thread.join()
        self._close(self._process or process)
        if not is_in_time:
            self._free_tasks()
        return is_in_time

    def statistics(self) -> dict[str, Any]:
        if not self._is_ready:
            # Its start may take as long as loading a model.
            return {}
        with self._talk:
            self._say({"statistics": True})
            answer = self._hear(_ANSWER_TIMEOUT_S)
        return answer if "done" in answer else {}

    def _watch(self) -> None:
        pause_s = _FIRST_PAUSE_S
        if not self._is_ready:
            with contextlib.suppress(ConfigError):  # it ends, and is replaced below
                self.wait_until_ready()
        while self._process is not None:
            started_at = time.monotonic()
            code = self._process.wait()
            self._is_ready = False
            if self._stopping.is_set():
                return
            _log.warning("%s ended with %d and is replaced; its tasks are taken over", self.name, code)
            self._close(self._process)
            self._free_tasks()
            # One that dies at once, again and again, must not take the whole machine.
            pause_s = _FIRST_PAUSE_S if time.monotonic() - started_at > _LIVED_LONG_S else 2 * pause_s
            if self._stopping.wait(min(pause_s, _LONGEST_PAUSE_S)):
                return
            self.replaced += 1
            self.launch()
            if self._stopping.is_set():  # asked meanwhile, and not this process
                self._say({"stop_s": 0.0})
            with contextlib.suppress(ConfigError):  # it ends, and the next turn tries again
                self.wait_until_ready()

    def _free_tasks(self) -> None:
        try:
            self._queue.free(self._holder)
        except QueueUnavailable as error:
            _log.warning("the tasks of %s wait for the end of their lease: %s", self.name, error)

    def _say(self, request: dict[str, Any]) -> None:
        process = self._process
        # It may have just died; its watcher knows.
        with contextlib.suppress(OSError, ValueError):
            if process is not None and process.stdin is not None:
                process.stdin.write(json.dumps(request).encode() + b"\n")

    def _hear(self, timeout_s: float) -> dict[str, Any]:
        process = self._process
        with contextlib.suppress(OSError, ValueError):
            if process is not None and process.stdout is not None:
                ready, _, _ = select.select([process.stdout], [], [], timeout_s)
                return json.loads(process.stdout.readline() or b"{}") if ready else {}
        return {}

    @staticmethod
    def _close(process: subprocess.Popen[bytes]) -> None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
