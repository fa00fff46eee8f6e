"""Cases by contenders, taken in turns, so that a slow minute of the machine falls on all of them."""

from __future__ import annotations

import importlib.util
import os
import statistics
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from toolkit.bench.apart import MeasurementFailed, call_apart
from toolkit.errors import ConfigError, did_you_mean
from toolkit.memory import torch_as_it_comes

# What contenders write while they are measured does not wait for a disk.
_SHARED_MEMORY = "/dev/shm"

OnProgress = Callable[[str, int, int], None]
"""Called before each measurement with what is measured, how many were, and how many there are."""


@dataclass(frozen=True)
class Contender:
    """One that takes part.

    Attributes:
        name: what it is called in tables and records.
        kind: one of ours; a limit, the parts alone; or a peer, what others use.
        home: "module:attribute" of its class.
        packages: what has to be installed for it.
    """

    name: str
    kind: Literal["ours", "limit", "peer"]
    home: str
    packages: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Why it cannot take part here; None when it can."""
        absent = [name for name in self.packages if importlib.util.find_spec(name) is None]
        return "not installed: pip install 'toolkit[peers]'" if absent else None


@dataclass(frozen=True)
class Case:
    """One thing that is measured.

    Attributes:
        name: what it is called in tables and records.
        title: the same in words, with the unit.
        function: "module:attribute" of the function that measures one contender once.
        settings: what that function is told, besides ``home``, the contender's class, and ``folder``.
        contenders: names of those that take part.
        limit: name of the limit that ours is held against.
        figure: the key of a measurement that is compared.
        less_is_better: as for a latency.
        unit: of the compared figure, for people.
    """

    name: str
    title: str
    function: str
    settings: Mapping[str, Any]
    contenders: Sequence[str]
    limit: str
    figure: str = "rate_per_s"
    less_is_better: bool = False
    unit: str = "tasks/s"


def check_names(what: str, asked: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names that are not there.

    Raises:
        ConfigError: the first one that is not, and the nearest that is.
    """
    names = list(known)
    for name in asked:
        if name not in names:
            raise ConfigError(f"there is no {what} {name!r}; {did_you_mean(name, names)}")


def run_rounds(
    cases: Iterable[Case],
    contenders: Mapping[str, Contender],
    rounds: int,
    timeout_s: float,
    on_progress: OnProgress = lambda *_: None,
) -> dict[str, Any]:
    """Measure every contender of every case ``rounds`` times, in turns, each in a process of its own.

    Ended by Ctrl-C, it gives what was measured until then.

    Returns:
        By case ``contenders``, ``limits`` and ``ratios``, as :func:`summary` makes them.

    Raises:
        KeyboardInterrupt: nothing was measured until then.
    """
    turns = [
        (case, round_number, name)
        for case in cases
        for round_number in range(1, rounds + 1)
        for name in case.contenders
    ]
    measured: dict[str, dict[str, list[dict[str, Any]]]] = {}
    try:
        for done, (case, round_number, name) in enumerate(turns):
            on_progress(f"{case.name}, round {round_number}: {name}", done, len(turns))
            run = _measure(case, contenders[name], timeout_s)
            measured.setdefault(case.name, {name: [] for name in case.contenders})[name].append(run)
        on_progress("done", len(turns), len(turns))
    except KeyboardInterrupt:
        if not measured:
            raise
    begun = {case.name: case for case, _, _ in turns if case.name in measured}
    return {name: summary(case, contenders, measured[name]) for name, case in begun.items()}


def summary(
    case: Case, contenders: Mapping[str, Contender], measured: Mapping[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    """Medians of a case's measurements, and ours against the best peer and the limit.

    Returns:
        ``title``; ``figure``, the name of the compared one, and its ``unit``; ``measurements``, their number;
        ``contenders``: by name ``kind``, the medians, ``spread`` (lowest and highest of the compared figure),
        ``runs`` (the measurements themselves), or ``missing`` or ``error``, why there is none; ``limits``:
        the compared figure of each limit; ``ratios``: of our best to the best peer (``vs_best_peer``) and to
        the case's limit (``vs_limit``), None without one, and who those were.
    """
    told = {name: _medians(case, contenders[name].kind, runs) for name, runs in measured.items()}

    def best(kind: str) -> str | None:
        figures = {n: c[case.figure] for n, c in told.items() if c["kind"] == kind and case.figure in c}
        choose = min if case.less_is_better else max
        return choose(figures, key=figures.__getitem__) if figures else None

    def ratio(name: str | None, figure: str = case.figure) -> float | None:
        if ours is None or name is None or figure not in told.get(name, {}):
            return None
        return round(told[ours][figure] / told[name][figure], 3)

    ours, peer = best("ours"), best("peer")
    ratios: dict[str, Any] = {"vs_best_peer": ratio(peer), "vs_limit": ratio(case.limit)}
    if case.figure == "p50_ms":
        ratios |= {"p99_vs_best_peer": ratio(peer, "p99_ms"), "p99_vs_limit": ratio(case.limit, "p99_ms")}
    return {
        "title": case.title,
        "figure": case.figure,
        "unit": case.unit,
        "measurements": sum(map(len, measured.values())),
        "contenders": told,
        "limits": {n: c[case.figure] for n, c in told.items() if c["kind"] == "limit" and case.figure in c},
        "ratios": {**ratios, "ours": ours, "best_peer": peer, "limit": case.limit},
    }


def _measure(case: Case, contender: Contender, timeout_s: float) -> dict[str, Any]:
    if missing := contender.missing():
        return {"missing": missing}
    memory = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-", dir=memory) as folder:
        settings = {**case.settings, "home": contender.home, "folder": folder}
        environment = torch_as_it_comes() if contender.kind == "peer" else {}
        try:
            return call_apart(case.function, settings, Path(folder), timeout_s, environment)
        except MeasurementFailed as error:
            return {"error": str(error)}


def _medians(case: Case, kind: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    good = [run for run in runs if case.figure in run]
    told: dict[str, Any] = {"kind": kind}
    # A contender that failed in some rounds shows both: what it did, and that it failed.
    for run in runs:
        told |= {reason: run[reason] for reason in ("missing", "error") if reason in run}
    if good:
        numbers = [key for key, value in good[0].items() if isinstance(value, int | float)]
        told |= {key: round(statistics.median(run[key] for run in good), 3) for key in numbers}
        figures = [round(run[case.figure], 3) for run in good]
        told |= {"spread": [min(figures), max(figures)], "runs": good}
    return told
