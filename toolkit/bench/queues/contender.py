"""What each contender has to do: start workers, take tasks, and be known to have finished them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit.bench.queues.tally import Tally

URL_VARIABLE = "TOOLKIT_BENCH_URL"
_LOOK_S = 0.001
_STOP_TIMEOUT_S = 5.0
_SAID_CHARACTERS = 400


class QueueContender:
    """A queue with its workers, on the Redis of ``url``; a task is what :func:`tasks.payload` gives.

    Finished is what the tally says, unless a subclass knows better.

    Args:
        url: ``unix://`` address of a Redis that nobody else uses.
        folder: for the tally, and for what the workers say.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.tally = Tally(folder)
        self.sent = 0

    def start(self, workers: int) -> None:
        """Start so many workers; they may still be on their way when this is back."""
        raise NotImplementedError

    def stop(self) -> None:
        """End the workers."""
        raise NotImplementedError

    def send(self, sent_at: float, payloads: Sequence[Any]) -> None:
        """Hand over tasks, as this queue's documentation shows it."""
        if len(payloads) == 1:
            self.put(sent_at, payloads[0])
        else:
            self.put_many(sent_at, payloads)
        self.sent += len(payloads)

    def put(self, sent_at: float, payload: Any) -> None:
        """Hand over one task."""
        raise NotImplementedError

    def put_many(self, sent_at: float, payloads: Sequence[Any]) -> None:
        """Hand over many, at once where the queue knows how."""
        for payload in payloads:
            self.put(sent_at, payload)

    def settle(self, unfinished: int = 0) -> None:
        """Wait until no more than so many tasks are unfinished; who calls this has a time limit."""
        while self.sent - self.tally.count() > unfinished:
            self.check()
            time.sleep(_LOOK_S)

    def settled_at(self) -> float:
        """When the last task finished, ``time.monotonic``, as exactly as if nobody had slept."""
        return self.tally.last_at()

    def check(self) -> None:
        """Raise RuntimeError when a worker has ended."""


class CommandContender(QueueContender):
    """A queue whose workers are started by command lines."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self._log = folder / "workers.log"
        self._processes: list[subprocess.Popen[bytes]] = []

    def commands(self, workers: int) -> list[list[str]]:
        """The command lines that start so many workers."""
        raise NotImplementedError

    def start(self, workers: int) -> None:
        with self._log.open("ab") as log:
            self._processes = [
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
                for command in self.commands(workers)
            ]

    def check(self) -> None:
        for process in self._processes:
            if process.poll() is not None:
                said = self._log.read_text(encoding="utf-8", errors="replace")[-_SAID_CHARACTERS:]
                raise RuntimeError(f"a worker ended with code {process.returncode}: {said}")

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.wait()


def script(name: str) -> str:
    """Path of a command that was installed with this Python."""
    return str(Path(sys.executable).with_name(name))


def redis_url() -> str:
    """The address for an application that a peer's own command imports by name and tells nothing else."""
    return os.environ[URL_VARIABLE]
