"""What a stopped training goes on from: one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from toolkit.errors import ConfigError, ModelError
from toolkit.training.config import TrainConfig

STATE_FILE = "state.safetensors"

_FREE = ("out_dir", "loader_threads", "device")
"""Settings that may change between stop and resume: none of them changes what is learned."""


@dataclass
class TrainingState:
    """A training between two epochs.

    Pictures, their order and the dropout follow from seed, epoch and step, so no generator is part of it.

    Attributes:
        tensors: by name: the network's, the running mean's, the optimiser's.
        values: numbers and what the result holds so far.
        settings: of the training; resuming under others is refused.
    """

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write it into ``folder``; the one before is kept until this one is complete on disk."""
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{STATE_FILE}.part"
        text = {"values": json.dumps(self.values), "settings": json.dumps(self.settings)}
        save_file({name: tensor.contiguous() for name, tensor in self.tensors.items()}, part, text)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(folder / STATE_FILE)

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> TrainingState:
        """Read what :meth:`save` wrote; ``settings`` are those of the training that goes on.

        Raises:
            ConfigError: there is none in ``folder``, or it belongs to other settings; the text names them.
            ModelError: the file is damaged, or is another one.
        """
        path = folder / STATE_FILE
        if not path.is_file():
            raise ConfigError(
                f"nothing to resume in {folder}: no {STATE_FILE}; it is written after each epoch"
            )
        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
                text = file.metadata() or {}
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{path} is damaged: {error}; train anew without resuming") from error
        if missing := {"values", "settings"} - set(text):
            raise ModelError(f"{path} is no state of a training: it lacks {sorted(missing)}; train anew")
        state = cls(tensors, json.loads(text["values"]), json.loads(text["settings"]))
        state.check(settings, path)
        return state

    def check(self, settings: Mapping[str, Any], path: Path) -> None:
        """Refuse to go on with other settings than those the state was made with."""
        names = [name for name in settings if settings[name] != self.settings.get(name)]
        if names:
            told = ", ".join(
                f"{name} was {self.settings.get(name)!r}, is {settings[name]!r}" for name in names
            )
            raise ConfigError(f"{path} belongs to other settings: {told}; use the same, or another folder")


def settings_of(config: TrainConfig, shares: int) -> dict[str, Any]:
    """The settings that a resumed training must share; ``threads`` are the shares that a batch is cut into.

    Where nobody named a number it is that of the cores, and the training may go on where there are others.
    """
    kept = {name: value for name, value in asdict(config).items() if name not in _FREE}
    return kept | {"threads": shares}


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """An optimiser's memory as named tensors, and its plain numbers by the same names.

    Some count steps for each group of parameters: what is a number or tensor there is part of it too.
    """
    tensors: dict[str, torch.Tensor] = {}
    numbers: dict[str, Any] = {}
    for index, entries in optimiser.state_dict()["state"].items():
        for key, value in entries.items():
            known = tensors if isinstance(value, torch.Tensor) else numbers
            known[f"optimiser.{index}.{key}"] = value
    for index, group in enumerate(optimiser.param_groups):
        for key, value in group.items():
            if isinstance(value, torch.Tensor):
                tensors[f"group.{index}.{key}"] = value
            elif isinstance(value, int | float):
                numbers[f"group.{index}.{key}"] = value
    return tensors, numbers


def restore_optimiser(
    optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor], numbers: Mapping[str, Any]
) -> None:
    """Give an optimiser back what :func:`optimiser_tensors` took from it."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    memory: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **numbers}.items():
        kind, _, rest = name.partition(".")
        if kind == "optimiser":
            index, _, key = rest.partition(".")
            memory.setdefault(int(index), {})[key] = _laid_out_as(parameters[int(index)], value)
    groups = optimiser.state_dict()["param_groups"]
    for number, group in enumerate(groups):
        prefix = f"group.{number}."
        kept = {**tensors, **numbers}.items()
        group.update({name.removeprefix(prefix): value for name, value in kept if name.startswith(prefix)})
    optimiser.load_state_dict({"state": memory, "param_groups": groups})


def _laid_out_as(parameter: torch.Tensor, value: Any) -> Any:
    """The same numbers in the parameter's memory layout: fused optimisers take that for granted."""
    if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
        return torch.empty_like(parameter, requires_grad=False).copy_(value)
    return value
