"""One measurement of one contender: many callers that ask, wait and ask again."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import threading
import time
from typing import Any

import numpy as np

from toolkit.bench.batches import model

# Items of different callers are so far apart.
_CALLERS_APART = 1_000_000_000


def rate(settings: dict[str, Any]) -> dict[str, Any]:
    """Answers a second.

    Args:
        settings: ``home`` (the contender's class), ``callers``, ``process_fn`` (a name in
            :mod:`toolkit.bench.batches.model`), so many ``seconds`` after ``warm_up_s``.

    Returns:
        ``rate_per_s``, ``answers``, ``p50_ms`` and ``p99_ms`` from asking to answer, and
        ``cpu_us_per_item``: of the whole process, callers, interpreter and waking included.

    Raises:
        RuntimeError: a caller was given another's answer, or an error.
    """
    model.sleep_no_longer_than_asked()
    home, _, name = settings["home"].partition(":")
    contender = getattr(importlib.import_module(home), name)
    if contender.form == "arithmetic":
        return {"rate_per_s": contender.rate_per_s(settings["callers"])}
    if contender.form == "threads":
        return _threads(contender, settings)
    return asyncio.run(_tasks(contender, settings))


def _threads(kind: Any, settings: dict[str, Any]) -> dict[str, Any]:
    contender = kind(getattr(model, settings["process_fn"]), settings["callers"])
    window = _Window(settings)
    errors: list[BaseException] = []

    def ask(caller: int) -> None:
        try:
            asked_at = time.monotonic()
            for item in itertools.count(caller * _CALLERS_APART):
                model.check_own(item, contender.call(item))
                answered_at = time.monotonic()
                if not window.record(caller, asked_at, answered_at):
                    return
                asked_at = answered_at
        except Exception as error:  # noqa: BLE001 - a thread's outermost loop: the error is raised below
            errors.append(error)

    callers = [
        threading.Thread(target=ask, args=(caller,), daemon=True) for caller in range(settings["callers"])
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    contender.stop()
    if errors:
        raise RuntimeError(f"{len(errors)} callers failed, the first one: {errors[0]!r}")
    return window.figures()


async def _tasks(kind: Any, settings: dict[str, Any]) -> dict[str, Any]:
    contender = kind(getattr(model, settings["process_fn"]), settings["callers"])
    window = _Window(settings)

    async def ask(caller: int) -> None:
        asked_at = time.monotonic()
        for item in itertools.count(caller * _CALLERS_APART):
            model.check_own(item, await contender.call(item))
            answered_at = time.monotonic()
            if not window.record(caller, asked_at, answered_at):
                return
            asked_at = answered_at

    await asyncio.gather(*[ask(caller) for caller in range(settings["callers"])])
    await contender.stop()
    return window.figures()


class _Window:
    """The time that counts: answers, their waits, and the CPU time of the process in it.

    The callers themselves take the CPU time, with the first answer in the window and the first one after it:
    a thread that only watched would wait for the interpreter, up to half a second beside a busy event loop.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._opens_at = time.monotonic() + settings["warm_up_s"]
        self._closes_at = self._opens_at + settings["seconds"]
        self._waits_s: list[list[float]] = [[] for _ in range(settings["callers"])]
        self._began_at_cpu_s: float | None = None
        self._cpu_s: float | None = None

    def record(self, caller: int, asked_at: float, answered_at: float) -> bool:
        """Count an answer if it came while the window was open; whether to ask on."""
        if answered_at < self._opens_at:
            return True
        if self._began_at_cpu_s is None:
            self._began_at_cpu_s = time.process_time()
        if answered_at < self._closes_at:
            self._waits_s[caller].append(answered_at - asked_at)
            return True
        if self._cpu_s is None:
            self._cpu_s = time.process_time() - self._began_at_cpu_s
        return False

    def figures(self) -> dict[str, Any]:
        """Rate, waits and cost.

        Raises:
            RuntimeError: there was no answer in the window.
        """
        waits_s = np.concatenate([np.array(waits) for waits in self._waits_s])
        if not len(waits_s) or self._cpu_s is None:
            raise RuntimeError("no answer came while the window was open")
        p50, p99 = np.percentile(waits_s * 1000, [50, 99])
        return {
            "rate_per_s": len(waits_s) / (self._closes_at - self._opens_at),
            "answers": len(waits_s),
            "p50_ms": float(p50),
            "p99_ms": float(p99),
            "cpu_us_per_item": self._cpu_s / len(waits_s) * 1e6,
        }
