"""The settings with which this machine carries most: a grid by halves, and the best one held against none."""

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
from toolkit.capacity.run import RunCameras, load_trials, save_trials, search, summary

MachineOf = Callable[[Settings], RunCameras]
"""What runs cameras with these settings."""

OnRun = Callable[[str, Settings, dict[str, Any]], None]
"""``on_run(phase, settings, row)``, after each run."""


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
    journal: Journal, tried: Sequence[Settings], config: TuneConfig, capacity: CapacityConfig
) -> dict[str, Any]:
    """Find the best of the settings to be tried, and measure them and the defaults afresh.

    1. Without ``config.cameras``: roughly, how many cameras the defaults carry.
    2. Rounds at half of that number, then three quarters, then all of it (with ``config.cameras`` always at
       that): every candidate is run once, and the half is let go that failed more often or, of those that did
       not, spends more CPU time on a frame. Under a load that all carry, what fails is the accuracy, which no
       quicker machine would cure; and CPU time is not disturbed by others' work as latency is.
    3. That one and the defaults, each as :func:`toolkit.capacity.run.run_capacity` does it; with
       ``config.cameras``, each at that number. The defaults stay unless they are beaten.

    Returns:
        ``chosen`` ("tuned" or "defaults"), ``settings`` (dotted keys; {} for the defaults), ``tuned`` and
        ``defaults`` (a summary each), ``ratio`` of their cameras (None where it says nothing), ``rounds``.

    Source: successive halving, Jamieson, Talwalkar: Non-stochastic Best Arm Identification and Hyperparameter
    Optimization, AISTATS 2016, with more load from round to round instead of more time.
    """
    cameras = config.cameras or max(1, _rough(journal, capacity))
    left = list(tried)
    rounds: list[list[dict[str, Any]]] = []
    told_of: dict[str, list[dict[str, Any]]] = {}
    while len(left) > 1:
        share = 1.0 if config.cameras else min(1.0, (len(rounds) + 2) / 4)
        now = max(1, round(cameras * share))
        for candidate in left:
            row = journal.run(f"round {len(rounds) + 1}", candidate, now, len(rounds))
            told_of.setdefault(json.dumps(candidate), []).append(row)
        left.sort(key=lambda candidate: _rank(told_of[json.dumps(candidate)], capacity))
        rounds.append([{"settings": c, **told_of[json.dumps(c)][-1]} for c in left])
        left = left[: len(left) // 2]
    [best] = left
    # Not from the bottom: about where the edge lies is known.
    near = replace(capacity, first_cameras=cameras)
    told = {
        name: _measured(journal, name, settings, config, near)
        for name, settings in (("tuned", best), ("defaults", {}))
        if settings or name == "defaults"
    }
    told.setdefault("tuned", told["defaults"])
    is_better = _is_better(told["tuned"], told["defaults"], config, capacity)
    carried = [told[name]["cameras"] for name in ("tuned", "defaults")]
    return {
        "chosen": "tuned" if is_better else "defaults",
        "settings": best if is_better else {},
        "ratio": None if config.cameras or not carried[1] else carried[0] / carried[1],
        "rounds": rounds,
        **told,
    }


def _rank(rows: Sequence[Mapping[str, Any]], capacity: CapacityConfig) -> tuple[int, float, float]:
    """How bad: failures, then CPU time of a frame, then how much of a bound is used up."""
    costs_ms = [row["cpu_ms_per_frame"] or math.inf for row in rows]
    return sum(not row["passed"] for row in rows), statistics.median(costs_ms), _median_load(rows, capacity)


def _rough(journal: Journal, capacity: CapacityConfig) -> int:
    """About how many cameras the defaults carry: one run of each number."""
    once = replace(capacity, runs=1, confirm_runs=1)
    return search(partial(journal.run, "rough", {}), once, []).passes


def _measured(
    journal: Journal, phase: str, settings: Settings, config: TuneConfig, capacity: CapacityConfig
) -> dict[str, Any]:
    run = partial(journal.run, phase, settings)
    if config.cameras:
        rows = [run(config.cameras, number) for number in range(capacity.confirm_runs)]
        return summary(rows, None, settings) | {"cameras": config.cameras}
    trials: list[dict[str, Any]] = []
    found = search(run, capacity, trials)
    return summary(trials, found, settings)


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
