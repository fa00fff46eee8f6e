"""The settings with which this machine carries most: changes alone, then together, held against none."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.capacity.config import CapacityConfig, TuneConfig
from toolkit.capacity.grid import Settings
from toolkit.capacity.run import RunCameras, load_trials, save_trials, search, step, summary, verdicts
from toolkit.capacity.search import Plan, probability_of_more

MachineOf = Callable[[Settings], RunCameras]
"""What runs cameras with these settings."""

OnRun = Callable[[str, Settings, dict[str, Any]], None]
"""``on_run(phase, settings, row)``, after each run."""

_ROUGH_RUNS = 8
"""Enough to know the scale of what the defaults carry."""

_AFRESH_RUNS = 5
"""Of each side, where the number of cameras is given."""

_WORTH = 0.98
"""A change that saves less CPU time than this leaves is no help, but the noise of two runs."""


class Journal:
    """Every run of a tuning, kept: one that is broken off is taken up by doing the same steps again.

    Args:
        machine_of: see :data:`MachineOf`.
        path: of the file.
        settings: what the whole tuning was asked for.
        on_run: see :data:`OnRun`.

    Raises:
        ConfigError: the file holds a tuning that was asked for something else.
    """

    def __init__(
        self, machine_of: MachineOf, path: Path, settings: Mapping[str, Any], on_run: OnRun | None = None
    ) -> None:
        self._machine_of, self._path, self._settings, self._on_run = machine_of, path, settings, on_run
        self.rows = load_trials(path, settings)
        self._known = {row["key"]: row for row in self.rows}

    def undisturbed(
        self, phase: str, settings: Settings, cameras: int, number: int, capacity: CapacityConfig
    ) -> dict[str, Any]:
        """One run, or, when others disturbed it, a second one, however that goes."""
        row = self.run(phase, settings, cameras, number)
        is_quiet = row["others_cpu"] <= capacity.most_others
        return row if is_quiet else self.run(f"{phase} again", settings, cameras, number)

    def run(self, phase: str, settings: Settings, cameras: int, number: int) -> dict[str, Any]:
        """One run, unless it was made before."""
        key = json.dumps([phase, settings, cameras, number], sort_keys=True)
        if key not in self._known:
            row = self._machine_of(settings)(cameras, number)
            row |= {"key": key, "phase": phase, "candidate": settings}
            self._known[key] = row
            self.rows.append(row)
            save_trials(self._path, self._settings, self.rows)
            if self._on_run:
                self._on_run(phase, settings, row)
        return self._known[key]


def tune(
    journal: Journal, alone: Sequence[Settings], config: TuneConfig, capacity: CapacityConfig
) -> dict[str, Any]:
    """Find the best changes of the settings, and measure them and the defaults afresh.

    1. Without ``config.cameras``: roughly, how many cameras the defaults carry.
    2. At half of that number (with ``config.cameras`` always at that): the defaults, and every change alone.
       Under a load that all carry, what fails is the accuracy, which no quicker machine would cure; and CPU
       time is not disturbed by others' work as latency is.
    3. At three quarters, the changes that helped, the most helpful first: it alone, it with the next, and so
       on. The better half of them goes on to the whole number, until one is left.
    4. That one and the defaults, run by turns, each as :func:`toolkit.capacity.run.run_capacity` does it;
       with ``config.cameras``, each at that number. The defaults stay unless they are beaten.

    Returns:
        ``chosen`` ("tuned" or "defaults"), ``settings`` (dotted keys; {} for the defaults), ``tuned`` and
        ``defaults`` (a summary each), ``ratio`` of their cameras and ``sure`` (how probable it is that the
        tuned ones are more; both None where they say nothing), ``rounds``.

    Source: forward selection for the changes; for letting half of them go successive halving, Jamieson,
    Talwalkar: Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016, with more
    load from round to round instead of more time.
    """
    cameras = config.cameras or max(1, _rough(journal, capacity))
    rounds, best = _rounds(journal, alone, cameras, capacity, bool(config.cameras))
    phases = {"tuned": best, "defaults": {}} if best else {"defaults": {}}
    if config.cameras:
        told = _at_number(journal, phases, config.cameras, capacity)
        sure = None
    else:
        # Not from the bottom: about where the edge lies is known.
        near = replace(capacity, first_cameras=min(cameras, capacity.most_cameras))
        told, sure = _by_turns(journal, phases, near)
    told.setdefault("tuned", told["defaults"])
    is_better = _is_better(told["tuned"], told["defaults"], config, capacity)
    carried = [told[name]["cameras"] for name in ("tuned", "defaults")]
    return {
        "chosen": "tuned" if is_better else "defaults",
        "settings": best if is_better else {},
        "ratio": None if config.cameras or not carried[1] else carried[0] / carried[1],
        "sure": sure,
        "rounds": rounds,
        **told,
    }


def _rounds(
    journal: Journal,
    alone: Sequence[Settings],
    cameras: int,
    capacity: CapacityConfig,
    is_given: bool,
) -> tuple[list[list[dict[str, Any]]], Settings]:
    """All rounds, each in its order, and the settings that are left."""
    rounds: list[list[dict[str, Any]]] = []
    told_of: dict[str, list[dict[str, Any]]] = {}

    def rank(settings: Settings) -> tuple[int, float, float]:
        return _rank(told_of[json.dumps(settings)], capacity)

    def race(left: Sequence[Settings]) -> list[Settings]:
        share = 1.0 if is_given else min(1.0, (len(rounds) + 2) / 4)
        for settings in left:
            row = journal.undisturbed(
                f"round {len(rounds) + 1}", settings, max(1, round(cameras * share)), len(rounds), capacity
            )
            told_of.setdefault(json.dumps(settings), []).append(row)
        ordered = sorted(left, key=rank)
        rounds.append([{"settings": s, **told_of[json.dumps(s)][-1]} for s in ordered])
        return ordered

    ordered = race([{}, *alone])
    left = _put_together(ordered, rank)
    # What the most helpful change did alone, it did at another load than those it is held against now.
    told_of.clear()
    while len(left) > 1:
        left = race(left)[: len(left) // 2]
    return rounds, left[0] if left else {}


def _put_together(
    ordered: Sequence[Settings], rank: Callable[[Settings], tuple[int, float, float]]
) -> list[Settings]:
    """The most helpful change, it with the next one, and so on; of each setting the best value alone."""
    failures, cost_ms, _ = rank({})
    together: list[Settings] = []
    sum_of: Settings = {}
    for change in ordered:
        helps = rank(change) < (failures, _WORTH * cost_ms)
        if helps and not sum_of.keys() & change.keys():
            sum_of = sum_of | change
            together.append(sum_of)
    return together


def _rank(rows: Sequence[Mapping[str, Any]], capacity: CapacityConfig) -> tuple[int, float, float]:
    """How bad: failures, then CPU time of a frame, then how much of a bound is used up."""
    costs_ms = [row["cpu_ms_per_frame"] or math.inf for row in rows]
    return sum(not row["passed"] for row in rows), statistics.median(costs_ms), _median_load(rows, capacity)


def _rough(journal: Journal, capacity: CapacityConfig) -> int:
    """About how many cameras the defaults carry."""
    few = replace(capacity, runs=min(_ROUGH_RUNS, capacity.runs))
    return search(partial(journal.run, "rough", {}), few, []).passes


def _by_turns(
    journal: Journal, phases: Mapping[str, Settings], capacity: CapacityConfig
) -> tuple[dict[str, Any], float | None]:
    """A search for each, a run of one after a run of the other: a slow minute falls on both."""
    trials: dict[str, list[dict[str, Any]]] = {name: [] for name in phases}
    found: dict[str, Plan] = {}
    while len(found) < len(phases):
        for name in [name for name in phases if name not in found]:
            now = step(partial(journal.run, name, phases[name]), capacity, trials[name])
            if now.next is None:
                found[name] = now
    told = {name: summary(trials[name], found[name], phases[name]) for name in phases}
    if "tuned" not in phases:
        return told, None
    tuned, defaults = (verdicts(trials[name]) for name in ("tuned", "defaults"))
    return told, round(probability_of_more(tuned, defaults, capacity.most_cameras), 3)


def _at_number(
    journal: Journal, phases: Mapping[str, Settings], cameras: int, capacity: CapacityConfig
) -> dict[str, Any]:
    """Some runs of each at this number, by turns."""
    trials: dict[str, list[dict[str, Any]]] = {name: [] for name in phases}
    for number in range(_AFRESH_RUNS):
        for name, settings in phases.items():
            row = journal.undisturbed(name, settings, cameras, number, capacity)
            trials[name].append(row | {"counts": True})
    return {n: summary(trials[n], None, s) | {"cameras": cameras} for n, s in phases.items()}


def _is_better(
    tuned: Mapping[str, Any], defaults: Mapping[str, Any], config: TuneConfig, capacity: CapacityConfig
) -> bool:
    if tuned is defaults:
        return False
    if not config.cameras:
        return tuned["cameras"] > defaults["cameras"]
    loads = [_median_load(told["trials"], capacity) for told in (tuned, defaults)]
    return loads[0] < loads[1]


def _median_load(trials: Sequence[Mapping[str, Any]], capacity: CapacityConfig) -> float:
    return statistics.median(capacity.load(row) for row in trials)
