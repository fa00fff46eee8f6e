"""The settings a tuning tries: each value checked before anything is measured."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from toolkit.capacity.config import TuneConfig
from toolkit.errors import ConfigError
from toolkit.experiment import LiveConfig, as_plain, build

Settings = dict[str, Any]
"""Dotted keys of the live settings to values; {} are the defaults."""


def changes(config: TuneConfig, live: LiveConfig) -> list[Settings]:
    """Every change that the grid makes to ``live``, each alone."""
    return [
        {key: value} for key, values in config.grid.items() for value in values if value != _value(live, key)
    ]


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
        ConfigError: there is no such setting, a value is not right, or none changes anything.
    """
    for key, values in config.grid.items():
        if key.startswith(("cameras", "camera.", "zones", "lines")):
            raise ConfigError(f"tune.grid: {key} says what is looked at, and not how; leave it out")
        for value in values:
            with_settings(live, {key: value})
    if not changes(config, live):
        raise ConfigError("tune.grid: nothing to try: it names no value but those in force")


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
