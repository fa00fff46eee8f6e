"""A network and the name of a runtime in, something that runs it out."""

from __future__ import annotations

from toolkit.errors import ConfigError, did_you_mean
from toolkit.models.choice import choose
from toolkit.models.network import PictureNetwork
from toolkit.models.runtimes.base import Runtime, Size, usable_threads
from toolkit.models.runtimes.compiled import CompiledRuntime
from toolkit.models.runtimes.eager import EagerRuntime, HalfRuntime
from toolkit.models.runtimes.graphs import GraphRuntime
from toolkit.models.runtimes.onnx_file import cached_onnx, network_digest
from toolkit.models.runtimes.onnx_runtime import OnnxRuntime
from toolkit.models.runtimes.openvino_runtime import OpenVinoHalfRuntime, OpenVinoRuntime

__all__ = ["RUNTIMES", "Runtime", "open_runtime"]

_IN_TORCH = {kind.name: kind for kind in (EagerRuntime, HalfRuntime, CompiledRuntime, GraphRuntime)}
_BESIDE_TORCH = {kind.name: kind for kind in (OnnxRuntime, OpenVinoRuntime, OpenVinoHalfRuntime)}

RUNTIMES = ("auto", *_IN_TORCH, *_BESIDE_TORCH)
"""The names there are. ``torch-compiled`` is never chosen by ``auto``: compiling takes up to minutes."""

# The most precise first: the first one is what the others are held against.
_CANDIDATES = {
    "cpu": ("torch", "onnxruntime", "openvino", "openvino-bf16"),
    "cuda": ("torch", "torch-bf16", "torch-graphs"),
}


def open_runtime(
    network: PictureNetwork,
    size_px: Size,
    runtime: str = "auto",
    threads: int | None = None,
    device: str = "cpu",
) -> Runtime:
    """Make a network ready to run.

    The network itself stays as it is and may go on learning: a runtime works on a copy.

    Args:
        network: takes (N, H, W, 3) uint8 BGR, gives one tensor (N, ...) or a tuple of them.
        size_px: of the pictures: H and W, or one side for both.
        runtime: one of ``RUNTIMES``. ``auto`` takes the quickest that is installed and agrees with torch in
            single precision; it is measured the first time a network runs on a machine with so many threads,
            in some seconds, and remembered.
        threads: on the CPU; None takes as many as this process may use cores.
        device: ``cpu`` or a torch device; the runtimes beside torch know the CPU alone.

    Raises:
        ConfigError: there is no such runtime, or not on this device.
        ModelError: the network cannot be turned into what the runtime reads.
    """
    threads, kind = usable_threads(threads), device.partition(":")[0]

    def make(name: str) -> Runtime:
        if name in _IN_TORCH:
            return _IN_TORCH[name](network, size_px, threads, device)
        return _BESIDE_TORCH[name](cached_onnx(network, size_px), size_px, threads)

    if runtime == "auto":
        names = _CANDIDATES.get(kind, ("torch",))
        return choose(network_digest(network, size_px), names, make, size_px, threads, device)
    if runtime not in RUNTIMES:
        raise ConfigError(f"there is no runtime {runtime!r}; {did_you_mean(runtime, RUNTIMES)}")
    if runtime in _BESIDE_TORCH and kind != "cpu":
        raise ConfigError(f"runtime {runtime!r} runs on the CPU, and the device is {device!r}; use 'torch'")
    return make(runtime)
