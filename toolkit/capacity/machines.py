"""Machines of any settings, each with what its settings cost in accuracy."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain
from typing import Any

from toolkit.capacity.config import CapacityConfig
from toolkit.capacity.grid import Settings, with_settings
from toolkit.capacity.measure import Machine
from toolkit.capacity.run import RunCameras
from toolkit.capacity.views import offline_answers, views_of
from toolkit.evaluation.streaming.answers import Answer
from toolkit.evaluation.streaming.difference import accuracy_loss
from toolkit.experiment import LiveConfig, as_plain
from toolkit.live_parts import make_body_predictor, make_detector, make_predictor

_OF_THE_CLOCK = ("threads", "pipeline.batch_size", "pipeline.max_wait_s", "pipeline.workers")
"""Settings that change when something is said, and not what."""


class Machines:
    """Gives the machine of some settings; what two of them have in common is loaded and worked out once.

    A machine is held against what it says itself offline: what latency costs. Its offline answers are held
    against those of the defaults, on all the people of the views: what its settings cost, and how surely.

    Args:
        live: the defaults.
        capacity: bounds, and what the cameras show.
        on_frame: see :func:`views_of`.
    """

    def __init__(
        self,
        live: LiveConfig,
        capacity: CapacityConfig,
        on_frame: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._live, self._capacity = live, capacity
        self._views = views_of(capacity, on_frame)
        self._truths = {view.name: view.truth for view in self._views if view.truth is not None}
        self._loaded: dict[str, tuple[Any, Any, Any]] = {}
        self._offline: dict[str, dict[str, list[Answer]]] = {}
        self._runs: dict[str, RunCameras] = {}

    def __call__(self, settings: Settings) -> RunCameras:
        """What runs cameras with these; its rows have ``settings_loss`` and ``settings_loss_error`` too."""
        key = json.dumps(settings, sort_keys=True)
        if key not in self._runs:
            self._runs[key] = self._made(settings)
        return self._runs[key]

    def _made(self, settings: Settings) -> RunCameras:
        config, answers = with_settings(self._live, settings), self._said(settings)
        detect, predict, predict_bodies = self._parts(config)
        machine = Machine(config, self._capacity, self._views, detect, predict, answers, predict_bodies)
        ours, theirs = ([*chain(*said.values())] for said in (answers, self._said({})))
        loss, error = accuracy_loss(self._truths, ours, theirs) if self._truths else (None, None)

        def run(cameras: int, number: int) -> dict[str, Any]:
            row = machine.run(cameras, number) | {"settings_loss": loss, "settings_loss_error": error}
            failures = self._capacity.failures(row)
            return row | {"failures": failures, "passed": not failures}

        return run

    def _said(self, settings: Settings) -> dict[str, list[Answer]]:
        """What is said offline with these settings."""
        telling = {key: value for key, value in settings.items() if key not in _OF_THE_CLOCK}
        key = json.dumps(telling, sort_keys=True)
        if key not in self._offline:
            config = with_settings(self._live, telling)
            detect, predict, predict_bodies = self._parts(config)
            self._offline[key] = offline_answers(
                self._views, detect, predict, config.pipeline, predict_bodies
            )
        return self._offline[key]

    def _parts(self, config: LiveConfig) -> tuple[Any, Any, Any]:
        """The detector, the model, and the model for bodies."""
        # By all settings but those of the street: of which of them a part is made, only its maker knows.
        key = json.dumps({**as_plain(config), "pipeline": None}, sort_keys=True)
        if key not in self._loaded:
            self._loaded[key] = make_detector(config), make_predictor(config), make_body_predictor(config)
        return self._loaded[key]
