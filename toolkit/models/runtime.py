"""A network and the name of a runtime in, something that runs it out."""

from __future__ import annotations

from toolkit.errors import ConfigError, did_you_mean
from toolkit.models.network import PictureNetwork
from toolkit.models.runtimes.base import Runtime, usable_threads
from toolkit.models.runtimes.eager import EagerRuntime

__all__ = ["Runtime", "open_runtime"]

_RUNTIMES = {"torch": EagerRuntime}


def open_runtime(
    network: PictureNetwork,
    size_px: int,
    runtime: str = "auto",
    threads: int | None = None,
    device: str = "cpu",
) -> Runtime:
    """Make a network ready to run.

    Args:
        network: takes (N, S, S, 3) uint8 BGR, gives one tensor (N, ...) or a tuple of them.
        size_px: S.
        runtime: its name, or ``auto``.
        threads: on the CPU; None takes as many as this process may use cores.
        device: ``cpu`` or a torch device.

    Raises:
        ConfigError: there is no such runtime.
    """
    name = "torch" if runtime == "auto" else runtime
    if name not in _RUNTIMES:
        raise ConfigError(f"there is no runtime {name!r}; {did_you_mean(name, ['auto', *_RUNTIMES])}")
    return _RUNTIMES[name](network, size_px, usable_threads(threads), device)
