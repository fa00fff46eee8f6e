"""One worker process: told what to do on its standard input, gone when that ends.

Run by :class:`toolkit.work.process_crew.ProcessCrew` as ``python -m toolkit.work.child``. The first line is
the :class:`ChildSettings`; each later one asks for statistics, or to stop. Lines and answers are JSON. The
settings come this way, and not as arguments, because the address of a Redis may hold a password.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import sys
from dataclasses import dataclass
from typing import IO, Any

from toolkit.work.crew import ThreadCrew, outage_log
from toolkit.work.handlers import resolve_handlers
from toolkit.work.task_queue import TaskQueue

_log = logging.getLogger(__name__)

_STOP_TIMEOUT_S = 10.0
_LOOK_S = 0.2


@dataclass(frozen=True)
class ChildSettings:
    """What a worker process has to know.

    Attributes:
        queue: arguments of its TaskQueue.
        handlers: "module:attribute" of its handlers.
        retries, retry_wait_s: as for WorkerPool.
        run_limit_s: a task that runs longer ends the process; None for no limit.
        tells_of_outages: whether this one logs that Redis is away.
    """

    queue: dict[str, Any]
    handlers: str
    retries: int
    retry_wait_s: float
    run_limit_s: float | None
    tells_of_outages: bool = True


def main() -> None:
    """Work until asked to stop, until standard input ends, or until SIGTERM."""
    # What handlers print goes to standard error: standard output is for answers alone.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = ChildSettings(**json.loads(_read_line()))
    outage_log.disabled = not settings.tells_of_outages
    with TaskQueue(**settings.queue) as queue:
        try:
            handlers = resolve_handlers(settings.handlers)
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent shall raise it
            _answer(answers, {"error": f"{type(error).__name__}: {error}"})
            return
        crew = ThreadCrew(queue, lambda: handlers, 1, settings.retries, settings.retry_wait_s)
        crew.start()
        stop_s = _STOP_TIMEOUT_S
        try:
            _answer(answers, {"holder": queue.holder})
            stop_s = _serve(crew, answers, settings.run_limit_s)
        finally:
            busy = crew.stop(stop_s)
    if busy:
        # A thread that hangs in a handler would keep the interpreter from ending.
        os._exit(1)


def _serve(crew: ThreadCrew, answers: IO[str], run_limit_s: float | None) -> float:
    """Answer until asked to stop; returns how long stopping may take."""
    while True:
        ready, _, _ = select.select([0], [], [], _LOOK_S if run_limit_s else None)
        if run_limit_s and crew.longest_run_s() > run_limit_s:
            _log.error("a task ran longer than %.1f s; this worker ends, another one starts", run_limit_s)
            return 0.0
        if ready:
            line = _read_line()
            request = json.loads(line) if line else {"stop_s": _STOP_TIMEOUT_S}
            if "stop_s" in request:
                return request["stop_s"]
            _answer(answers, crew.statistics())


def _read_line() -> bytes:
    # Byte by byte and unbuffered, so that select() tells the truth; requests are short and rare.
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return b""
        line += byte
    return line


def _answer(answers: IO[str], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
