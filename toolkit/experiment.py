"""One YAML file, one checked experiment."""

from __future__ import annotations

import dataclasses
import os
import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import TypeAdapter, ValidationError

from toolkit.addresses import without_password
from toolkit.bench.config import BenchConfig
from toolkit.capacity.config import CapacityConfig, TuneConfig
from toolkit.errors import ConfigError, did_you_mean
from toolkit.evaluation.config import EvaluateConfig
from toolkit.live.camera_config import CameraConfig
from toolkit.live.people_counter import CountConfig
from toolkit.live.pipeline import PipelineConfig
from toolkit.live.zones import LineConfig, ZoneConfig
from toolkit.training.config import SweepConfig, TrainConfig


@dataclass(frozen=True)
class LiveConfig:
    """A live run.

    Attributes:
        cameras: name to file, folder, USB number or URL.
        duration_s: stop after this long; None runs until every camera has ended or somebody stops it.
        detector: "yunet", "ours", "haar", or "auto": YuNet where its file can be had, else ours.
        detector_longest_side_px: pictures are shrunk to this before faces are looked for.
        detector_looks_twice: ours is asked again about what may be a face, drawn large: it finds more and is
            wrong less, and takes twice the time, three times in a crowd. Others look once.
        person_detector: "yolox" looks for bodies too: people whose face is too small or turned away are
            followed and counted; "none" looks for faces alone.
        person_detector_longest_side_px: pictures are shrunk to this before bodies are looked for; a multiple
            of 32.
        checkpoint: "shipped", or the path of a trained model.
        body_checkpoint: path of a model trained on whole figures; it labels people as long as their face was
            not analysed. None comes along.
        device: "cpu", "cuda", or "auto".
        runtime: what runs the model: "auto" takes the quickest on this machine, measured once and remembered;
            else a name of :data:`toolkit.models.runtime.RUNTIMES`.
        threads: of the model, on the CPU; None takes as many as this process may use cores.
        camera: how cameras are read.
        pipeline: how the street runs.
        zones: camera to name to a part of its picture, in which people are counted.
        lines: camera to name to a line in its picture, at which those who cross are counted.
        count: when a person counts.
    """

    cameras: dict[str, str | int]
    duration_s: float | None = None
    detector: Literal["auto", "yunet", "ours", "haar"] = "auto"
    detector_longest_side_px: int = 640
    detector_looks_twice: bool = True
    person_detector: Literal["none", "yolox"] = "none"
    person_detector_longest_side_px: int = 416
    checkpoint: str = "shipped"
    body_checkpoint: str | None = None
    device: str = "auto"
    runtime: str = "auto"
    threads: int | None = None
    camera: CameraConfig = field(default_factory=lambda: CameraConfig(realtime=True, retry=True))
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    zones: dict[str, dict[str, ZoneConfig]] = field(default_factory=dict)
    lines: dict[str, dict[str, LineConfig]] = field(default_factory=dict)
    count: CountConfig = field(default_factory=CountConfig)

    def __post_init__(self) -> None:
        if not self.cameras:
            raise ConfigError("a live run needs at least one camera: cameras: {door: 'rtsp://...'}")
        zones = [name for of_camera in self.zones.values() for name in of_camera]
        lines = [name for of_camera in self.lines.values() for name in of_camera]
        for name in (*self.cameras, *zones, *lines):
            # The name becomes part of metric names and of file names.
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
                raise ConfigError(
                    "the name of a camera, zone or line is made of English letters, digits, _ . and -, and "
                    f"begins with a letter or digit, got {name!r}"
                )
        if self.body_checkpoint is not None and self.person_detector == "none":
            raise ConfigError(
                "body_checkpoint labels the bodies that a person_detector finds: name one, yolox"
            )
        if self.duration_s is not None and not self.duration_s > 0:
            raise ConfigError(f"duration_s must be more than 0, got {self.duration_s}")
        # Smaller ones are gone before a detector has halved them as often as it does.
        if self.detector_longest_side_px < 32:
            raise ConfigError(
                f"detector_longest_side_px must be at least 32, got {self.detector_longest_side_px}"
            )
        for camera in (*self.zones, *self.lines):
            if camera not in self.cameras:
                raise ConfigError(
                    f"zones and lines belong to cameras of the run: there is no {camera!r}; "
                    f"{did_you_mean(camera, self.cameras)}"
                )


@dataclass(frozen=True)
class Experiment:
    """What one YAML file asks for.

    Attributes:
        name: the file's name without its ending.
        question: what the experiment is to answer, in words.
        seed: of everything random; parts that have a seed of their own take this one unless they name one.
        live: the live run, if it asks for one.
        train: the training, if it asks for one.
        sweep: what to vary of the training, if it asks for many.
        evaluate: the evaluation, if it asks for one.
        bench: the benches, if it asks for any.
        capacity: the search for a machine's capacity, if it asks for one.
        tune: the search for the settings that carry most, if it asks for one.
    """

    name: str = "experiment"
    question: str = ""
    seed: int = 0
    live: LiveConfig | None = None
    train: TrainConfig | None = None
    sweep: SweepConfig | None = None
    evaluate: EvaluateConfig | None = None
    bench: BenchConfig | None = None
    capacity: CapacityConfig | None = None
    tune: TuneConfig | None = None


PARTS = tuple(f.name for f in dataclasses.fields(Experiment) if f.name not in ("name", "question", "seed"))
"""What an experiment may ask for."""


def load_experiment(
    path: str | Path | None = None,
    overrides: Iterable[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> Experiment:
    """Read and check an experiment.

    ``${NAME}`` in any text of it stands for the environment variable of that name: the place for passwords
    (``rtsp://viewer:${DOOR_PASSWORD}@door.example/1``) and for folders that differ between machines.

    Args:
        path: a YAML file; with neither this nor settings, the one named by ``TOOLKIT_EXPERIMENT`` is taken,
            as notebooks run in batch do.
        overrides: ``key=value`` texts, the key with dots (``train.epochs=3``), the value in YAML.
        settings: nested values laid over the file's, under the overrides.

    Raises:
        ConfigError: the file cannot be read, or a key or value in it is not right; the text names it.
    """
    chosen = path or (os.environ.get("TOOLKIT_EXPERIMENT") if settings is None else None)
    if chosen is None and settings is None:
        raise ConfigError("no experiment given: name a YAML file, or set TOOLKIT_EXPERIMENT to one")
    values = _read_yaml(Path(chosen)) if chosen else {}
    _lay_over(values, settings or {})
    if chosen:
        values.setdefault("name", Path(chosen).stem)
    for override in overrides:
        _apply(values, override)
    for part in ("train", "evaluate", "capacity"):
        if "seed" in values and isinstance(values.get(part), dict):
            values[part].setdefault("seed", values["seed"])
    return build(Experiment, _with_variables(values), str(chosen or "settings"))


def notebook_experiment(settings: Mapping[str, Any]) -> Experiment:
    """The experiment of a notebook: the one ``TOOLKIT_EXPERIMENT`` names, else the notebook's own settings.

    ``TOOLKIT_OVERRIDES``, ``key=value`` a line, is laid over it: so ``toolkit notebooks run`` passes them on.

    Args:
        settings: of the notebook, as nested values.

    Raises:
        ConfigError: as :func:`load_experiment`.
    """
    overrides = os.environ.get(OVERRIDES, "").splitlines()
    path = os.environ.get("TOOLKIT_EXPERIMENT")
    return load_experiment(path, overrides) if path else load_experiment(None, overrides, settings)


def check_keys(overrides: Iterable[str]) -> None:
    """Check the keys of ``key=value`` words, whatever experiment they are for; values are not looked at.

    Raises:
        ConfigError: a key is unknown (the nearest known one is named), or a word is not written so.
    """
    _completed(Experiment, overrides_of(overrides), "settings")


def overrides_of(words: Iterable[str]) -> dict[str, Any]:
    """``key=value`` words as nested values.

    Raises:
        ConfigError: one is not written so.
    """
    values: dict[str, Any] = {}
    for word in words:
        _apply(values, word)
    return values


T = typing.TypeVar("T")

_LONGEST_VALUE = 60

OVERRIDES = "TOOLKIT_OVERRIDES"
"""Environment variable: ``key=value`` lines that are laid over the experiment of a notebook."""

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def build(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """A checked dataclass from plain values.

    Raises:
        ConfigError: a key is unknown (the nearest known one is named) or missing, or a value is of another
            type.
    """
    complete = _completed(kind, values, where)
    try:
        return TypeAdapter(kind).validate_python(complete)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or kind.__name__}: {_mistake(e)}" for e in error.errors()]
        raise ConfigError(f"{where}: " + "; ".join(lines)) from error


def _mistake(told: Mapping[str, Any]) -> str:
    """What is wrong with a value, and the value."""
    if told["type"] == "value_error":  # ours, which say all
        return str(told["msg"]).removeprefix("Value error, ")
    if told["type"] == "missing":
        return "is missing"
    wanted = str(told["msg"]).removeprefix("Input should be ").partition(", unable to")[0]
    if told["type"] == "dataclass_type":
        wanted = "settings of its own, key: value"
    got = without_password(repr(told["input"]))
    return f"expected {wanted}, got {got if len(got) <= _LONGEST_VALUE else got[:_LONGEST_VALUE] + '...'}"


def as_yaml(config: Any) -> str:
    """The resolved settings as YAML, addresses without their passwords: what a run keeps."""
    return yaml.safe_dump(as_plain(config), sort_keys=False, allow_unicode=True)


def as_plain(config: Any) -> Any:
    """Dataclasses, tuples and paths as dicts, lists and text, addresses without their passwords."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {f.name: as_plain(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, Mapping):
        return {key: as_plain(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [as_plain(value) for value in config]
    return without_password(str(config)) if isinstance(config, str | Path) else config


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the experiment {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is no text, and an experiment is a YAML file; a camera is named as -c NAME={path}"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {_yaml_mistake(error)}") from error
    if not isinstance(values, dict):
        kind = "nothing" if values is None else f"a {type(values).__name__}"
        raise ConfigError(f"{path} must hold keys and values, such as live: {{...}}, and holds {kind}")
    return values


def _yaml_mistake(error: yaml.YAMLError) -> str:
    """Where and what, in one line."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(error).replace("\n", " ")
    return (
        f"line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', None) or 'not readable'}"
    )


def _lay_over(values: dict[str, Any], settings: Mapping[str, Any]) -> None:
    for key, value in settings.items():
        if isinstance(value, Mapping) and isinstance(values.get(key), dict):
            _lay_over(values[key], value)
        else:
            values[key] = dict(value) if isinstance(value, Mapping) else value


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"an override is written key=value, got {override!r}")
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{override!r}: {parent} holds a value, not further keys")
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{override!r}: the value is not YAML") from error


def _with_variables(value: Any) -> Any:
    """The same values, ``${NAME}`` in texts replaced by the environment's value."""
    if isinstance(value, Mapping):
        return {key: _with_variables(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_variables(inner) for inner in value]
    return _VARIABLE.sub(_variable, value) if isinstance(value, str) else value


def _variable(match: re.Match[str]) -> str:
    if match[1] not in os.environ:
        raise ConfigError(
            f"the experiment speaks of ${{{match[1]}}}, and no such environment variable is set"
        )
    return os.environ[match[1]]


def _completed(kind: Any, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values, every key known; a part given in part gets the rest from its field's own default."""
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    complete = {}
    for key, value in values.items():
        if key not in fields:
            raise ConfigError(f"{where}: unknown key {key!r}; {_nearest(str(key), hints)}")
        part = _dataclass_in(hints[key])
        if part is not None and isinstance(value, Mapping):
            default = fields[key].default_factory
            # Not the part's class defaults: a live run's cameras are real-time unless told otherwise.
            base = {} if default is dataclasses.MISSING else dataclasses.asdict(default())
            value = base | _completed(part, value, f"{where}: {key}")
        elif isinstance(value, Mapping):
            value = _named_parts(hints[key], value, f"{where}: {key}")
        complete[key] = value
    return complete


def _nearest(key: str, hints: Mapping[str, Any]) -> str:
    """Where the key stands, if it is one of a part's; else the nearest one."""
    parts = {name: part for name in hints if (part := _dataclass_in(hints[name])) is not None}
    homes = [name for name, part in parts.items() if key in {f.name for f in dataclasses.fields(part)}]
    return f"did you mean {homes[0] + '.' + key!r}?" if homes else did_you_mean(key, hints)


def _named_parts(kind: Any, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values of a ``dict[str, X]``, every key known of those X that are dataclasses."""
    [*_, inner] = typing.get_args(kind) or [None]
    parts: dict[str, Any] = {}
    for name, value in values.items():
        parts[name] = value
        if isinstance(value, Mapping) and typing.get_origin(inner) is dict:
            parts[name] = _named_parts(inner, value, f"{where}: {name}")
        elif isinstance(value, Mapping) and dataclasses.is_dataclass(inner):
            parts[name] = _completed(inner, value, f"{where}: {name}")
    return parts


def _dataclass_in(kind: Any) -> Any:
    """The dataclass named by a type hint, ``X`` or ``X | None``; None for any other hint."""
    candidates = [kind, *typing.get_args(kind)]
    return next((c for c in candidates if dataclasses.is_dataclass(c) and isinstance(c, type)), None)
