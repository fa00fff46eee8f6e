"""Contenders in torch: ours, and the network called as one calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from toolkit.bench.models.files import network_named
from toolkit.models.runtime import Runtime, open_runtime


def eager(folder: Path, settings: dict[str, Any]) -> Runtime:
    """Ours."""
    return _ours("torch", settings)


def half(folder: Path, settings: dict[str, Any]) -> Runtime:
    """Ours."""
    return _ours("torch-bf16", settings)


def compiled(folder: Path, settings: dict[str, Any]) -> Runtime:
    """Ours."""
    return _ours("torch-compiled", settings)


def plain(folder: Path, settings: dict[str, Any]) -> Any:
    """The network itself, with so many threads for each layer."""
    network, _ = network_named(settings["model"])
    torch.set_num_threads(settings["threads"])

    def run(images_nhwc: np.ndarray) -> Any:
        with torch.inference_mode():
            return network(torch.from_numpy(images_nhwc))

    return run


def _ours(runtime: str, settings: dict[str, Any]) -> Runtime:
    network, size_px = network_named(settings["model"])
    return open_runtime(network, size_px, runtime, settings["threads"])
