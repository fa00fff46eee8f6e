"""Scenes by address: ``scene:hall?persons=6&cameras=4&camera=2``."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from toolkit.data.scenes.config import SceneConfig
from toolkit.errors import ConfigError, did_you_mean

SCHEME = "scene"

SCENES: Mapping[str, Mapping[str, Any]] = {
    "hall": {"place": "hall"},
    "street": {"place": "street", "face_px": (24.0, 90.0), "exposure_s": 0.01, "light_swing": 0.1},
    "room": {"place": "room", "ways": "stand", "turning_deg": 25.0},
    "crowd": {"place": "street", "persons": 24, "entrances_per_s": 5.0, "crowding": 0.6, "occlusion": 0.08},
    "night": {"place": "street", "light": 0.45, "night": 12.0, "exposure_s": 0.03, "crf": 28},
}
"""Scenes by name: what each lays over the defaults of :class:`SceneConfig`."""


class SceneAddress(typing.NamedTuple):
    """What an address says: the scene, and which of its cameras, from 1."""

    config: SceneConfig
    camera: int


def is_scene(address: str | int | Path) -> bool:
    """Whether this is the address of a scene."""
    return str(address).startswith(f"{SCHEME}:")


def parse_scene(address: str) -> SceneAddress:
    """Read ``scene:NAME?SETTING=VALUE&...``; settings are those of :class:`SceneConfig`, and ``camera``.

    A range is written ``face_px=40-110``.

    Raises:
        ConfigError: there is no such scene or setting (the nearest is named), or a value is not right.
    """
    name, _, query = address.removeprefix(f"{SCHEME}:").partition("?")
    if name not in SCENES:
        raise ConfigError(f"there is no scene {name!r}; {did_you_mean(name, SCENES)}")
    hints = typing.get_type_hints(SceneConfig)
    known = {field.name for field in dataclasses.fields(SceneConfig)} | {"camera"}
    values = dict(SCENES[name])
    camera = 1
    for key, text in parse_qsl(query, keep_blank_values=True):
        if key not in known:
            raise ConfigError(f"scene:{name} has no setting {key!r}; {did_you_mean(key, known)}")
        if key == "camera":
            camera = _read(int, key, text)
        else:
            values[key] = _read(hints[key], key, text)
    config = SceneConfig(**values)
    if not 1 <= camera <= config.cameras:
        raise ConfigError(
            f"scene:{name} has the cameras 1 to {config.cameras}, got camera={camera}; cameras=N makes more"
        )
    return SceneAddress(config, camera)


def scene_cameras(address: str) -> dict[str, str]:
    """An address for each camera of a scene, by a name such as ``hall-1``; one alone is called ``hall``.

    Raises:
        ConfigError: as :func:`parse_scene`.
    """
    scene = parse_scene(address)
    name, _, query = address.removeprefix(f"{SCHEME}:").partition("?")
    if scene.config.cameras == 1:
        return {name: address}
    rest = [(key, text) for key, text in parse_qsl(query) if key != "camera"]
    return {
        f"{name}-{camera}": f"{SCHEME}:{name}?{urlencode([*rest, ('camera', camera)], safe='/')}"
        for camera in range(1, scene.config.cameras + 1)
    }


def played_from_film(address: str) -> str:
    """The same scene without a server between: the same pictures, as fast as they are read."""
    name, _, query = address.partition("?")
    rest = [(key, text) for key, text in parse_qsl(query, keep_blank_values=True) if key != "through"]
    return f"{name}?{urlencode(rest, safe='/')}" if rest else name


def _read(kind: Any, key: str, text: str) -> Any:
    """A value of the type a setting has."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        [kind] = [inner for inner in typing.get_args(kind) if inner is not type(None)]
    if kind is Path:
        return Path(text).expanduser()
    if typing.get_origin(kind) is tuple:
        end = r"(\d+\.?\d*|\.\d+)"
        ends = re.fullmatch(rf"{end}(?:[-,]{end})?", text)
        if ends is None:
            raise ConfigError(f"{key} is written as a range such as 40-110, got {text!r}")
        return float(ends[1]), float(ends[2] or ends[1])
    if kind not in (int, float):
        return text
    try:
        return kind(text)
    except ValueError as error:
        number = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{key} must be {number}, got {text!r}") from error
