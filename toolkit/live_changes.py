"""Other cameras, another model, other settings: for a live run that goes on meanwhile."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from toolkit.addresses import without_password
from toolkit.errors import ConfigError, did_you_mean
from toolkit.experiment import LiveConfig, build
from toolkit.live.pipeline import LivePipeline, PipelineConfig
from toolkit.live.zones import LineConfig, ZoneConfig
from toolkit.live_parts import MakePredictor
from toolkit.models.runtime import RUNTIMES

Watch = Callable[[Mapping[str, Mapping[str, ZoneConfig]], Mapping[str, Mapping[str, LineConfig]]], None]
"""See :meth:`PeopleCounter.watch`."""

MODEL = ("checkpoint", "device", "runtime", "threads")
"""Settings that need the model to be loaded anew."""

STREET = tuple(
    field.name for field in dataclasses.fields(PipelineConfig) if field.name not in ("workers", "tracker")
)
"""Settings of the street that may change while it runs."""


def with_camera(
    live: LiveConfig,
    name: str,
    address: str | int,
    zones: Mapping[str, ZoneConfig] | None = None,
    lines: Mapping[str, LineConfig] | None = None,
) -> LiveConfig:
    """The same with one camera more, its zones and its lines.

    Raises:
        ConfigError: the name is taken or no name, or there is no address.
    """
    if name in live.cameras:
        raise ConfigError(f"there is a camera {name!r} already; remove it first, or choose another name")
    if str(address).strip() == "":
        raise ConfigError(
            f"where is camera {name!r}? Give a file, a folder, a USB number, or an address such as "
            "rtsp://door.example/1"
        )
    return replace(
        live,
        cameras={**live.cameras, name: address},
        zones={**live.zones, name: dict(zones)} if zones else live.zones,
        lines={**live.lines, name: dict(lines)} if lines else live.lines,
    )


def without_camera(live: LiveConfig, name: str) -> LiveConfig:
    """The same without a camera, its zones and its lines.

    Raises:
        ConfigError: there is no such camera, or it is the last one.
    """
    if name not in live.cameras:
        raise ConfigError(f"there is no camera {name!r}; {did_you_mean(name, live.cameras)}")
    return replace(
        live,
        cameras=_without(live.cameras, name),
        zones=_without(live.zones, name),
        lines=_without(live.lines, name),
    )


def with_settings(live: LiveConfig, **settings: Any) -> LiveConfig:
    """The same with other values of the settings in :data:`MODEL` and :data:`STREET`.

    Raises:
        ConfigError: there is no such setting, or a value makes no sense.
    """
    for name in settings:
        if name not in MODEL + STREET:
            raise ConfigError(f"no setting {name!r} can be changed; {did_you_mean(name, MODEL + STREET)}")
    # Here, and not when it is loaded: whoever asks is told, and the next run does not begin with it.
    runtime = str(settings.get("runtime", "auto"))
    if runtime not in RUNTIMES:
        raise ConfigError(f"there is no runtime {runtime!r}; {did_you_mean(runtime, RUNTIMES)}")
    of_model = {name: value for name, value in settings.items() if name in MODEL}
    of_street = {name: value for name, value in settings.items() if name in STREET}
    street = build(PipelineConfig, {**vars(live.pipeline), **of_street}, "settings")
    return build(LiveConfig, {**vars(live), **of_model, "pipeline": street}, "settings")


class Steering:
    """Brings changed settings to a street that runs. One of its callers changes it at a time.

    Args:
        pipeline: the street.
        live: the settings it began with.
        load: see :func:`make_predictor`.
        watch: told of the zones and lines, when they differ.

    Attributes:
        live: the settings in force.
    """

    def __init__(self, pipeline: LivePipeline, live: LiveConfig, load: MakePredictor, watch: Watch) -> None:
        self.live = live
        self._pipeline = pipeline
        self._load = load
        self._watch = watch
        self._changing = threading.Lock()

    def change(self, to: LiveConfig, tell: Callable[[str], None]) -> None:
        """See :meth:`LiveRun.change`; ``tell`` hears in words of each change that is in force."""
        with self._changing:
            # Each is in force, and told, before the next is tried.
            steps = (
                self._check,
                self._change_street,
                self._change_model,
                self._change_cameras,
                self._change_places,
            )
            for change in steps:
                for what in change(to):
                    tell(without_password(what))

    def _check(self, to: LiveConfig) -> Iterable[str]:
        may_differ = (*MODEL, "pipeline", "cameras", "zones", "lines")
        for field in dataclasses.fields(LiveConfig):
            if field.name not in may_differ and getattr(to, field.name) != getattr(self.live, field.name):
                raise ConfigError(
                    f"{field.name} cannot change while a run is on, only {', '.join(may_differ)}; start anew"
                )
        moved = [n for n, address in to.cameras.items() if self.live.cameras.get(n, address) != address]
        if moved:
            raise ConfigError(f"camera {moved[0]!r} has another address now: remove it, then add it again")
        return ()

    def _change_street(self, to: LiveConfig) -> Iterator[str]:
        if to.pipeline != self.live.pipeline:
            self._pipeline.change(to.pipeline)
            before, self.live = self.live, replace(self.live, pipeline=to.pipeline)
            yield _told(vars(before.pipeline), vars(to.pipeline), STREET)

    def _change_model(self, to: LiveConfig) -> Iterator[str]:
        if what := _told(vars(self.live), vars(to), MODEL):
            self._pipeline.use_model(self._load(to))
            self.live = replace(
                self.live, checkpoint=to.checkpoint, device=to.device, runtime=to.runtime, threads=to.threads
            )
            yield what

    def _change_cameras(self, to: LiveConfig) -> Iterator[str]:
        for name, address in to.cameras.items():
            if name not in self.live.cameras:
                self._pipeline.add_camera(name, address)
                self.live = with_camera(self.live, name, address)
                yield f"camera {name} added: {address}"
        for name in [name for name in self.live.cameras if name not in to.cameras]:
            self._pipeline.remove_camera(name)
            self.live = without_camera(self.live, name)
            # Should it be added again, it begins to count anew.
            self._watch(self.live.zones, self.live.lines)
            yield f"camera {name} removed"

    def _change_places(self, to: LiveConfig) -> Iterator[str]:
        before = self.live
        if (to.zones, to.lines) != (before.zones, before.lines):
            self._watch(to.zones, to.lines)
            self.live = replace(before, zones=to.zones, lines=to.lines)
            yield _places_told(to) if to.zones or to.lines else "no zones or lines any more"


def _places_told(live: LiveConfig) -> str:
    places = [
        f"{camera}/{name}" for kind in (live.zones, live.lines) for camera in kind for name in kind[camera]
    ]
    return f"counted now: {', '.join(places)}"


def _told(before: Mapping[str, Any], after: Mapping[str, Any], names: Iterable[str]) -> str:
    """What differs, in words: ``batch_size 32 → 8, max_wait_s 0.01 → 0.05``."""
    pairs = [(name, before[name], after[name]) for name in names]
    return ", ".join(f"{name} {old} → {new}" for name, old, new in pairs if old != new)


def _without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}
