"""The settings a tuning tries: each value checked before anything is measured."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from toolkit.capacity.config import TuneConfig
from toolkit.errors import ConfigError
from toolkit.experiment import LiveConfig, as_plain, build

Settings = dict[str, Any]
"""Dotted keys of the live settings to values; {} are the defaults."""


def candidates(config: TuneConfig, live: LiveConfig) -> list[Settings]:
    """What is tried: the defaults, every change of the grid alone, then changes put together, some by chance.

    Settings name only what differs from ``live``.
    """
    changes = {
        key: [value for value in values if value != _value(live, key)] for key, values in config.grid.items()
    }
    alone: list[Settings] = [{key: value} for key, values in changes.items() for value in values]
    every = itertools.product(*([_SAME, *values] for values in changes.values()))
    together = [
        {key: value for key, value in zip(changes, values, strict=True) if value is not _SAME}
        for values in every
    ]
    together = [settings for settings in together if len(settings) > 1]
    room = max(0, config.candidates - 1 - len(alone))
    if len(together) > room:
        chosen = np.random.default_rng(config.seed).choice(len(together), room, replace=False)
        together = [together[number] for number in sorted(chosen)]
    return [{}, *alone, *together][: config.candidates]


_SAME: Any = object()
"""In the place of a value: as it is."""


def _value(live: LiveConfig, key: str) -> Any:
    """What a dotted key stands at."""
    return functools.reduce(getattr, key.split("."), live)


def with_settings(live: LiveConfig, settings: Settings) -> LiveConfig:
    """The same with other values of these dotted keys.

    Raises:
        ConfigError: there is no such setting, or a value is not right.
    """
    plain = as_plain(live)
    _lay_over(plain, nested(settings))
    return build(LiveConfig, plain, "tune.grid")


def check_grid(live: LiveConfig, config: TuneConfig) -> None:
    """Try every value of the grid on its own.

    Raises:
        ConfigError: there is no such setting, or a value is not right.
    """
    for key, values in config.grid.items():
        if key.startswith(("cameras", "camera.", "zones", "lines")):
            raise ConfigError(f"tune.grid: {key} says what is looked at, and not how; leave it out")
        for value in values:
            with_settings(live, {key: value})


def nested(settings: Settings) -> dict[str, Any]:
    """Dotted keys as nested values: ``{"pipeline.batch_size": 8}`` is ``{"pipeline": {"batch_size": 8}}``."""
    values: dict[str, Any] = {}
    for key, value in settings.items():
        *parents, last = key.split(".")
        part = values
        for parent in parents:
            part = part.setdefault(parent, {})
        part[last] = value
    return values


def _lay_over(values: dict[str, Any], settings: Mapping[str, Any]) -> None:
    for key, value in settings.items():
        if isinstance(value, Mapping) and isinstance(values.get(key), dict):
            _lay_over(values[key], value)
        else:
            values[key] = value
