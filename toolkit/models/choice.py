"""Which runtime is quickest here: measured once for a network on a machine, then remembered."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch

from toolkit.errors import ToolkitError
from toolkit.models.runtimes.base import Outputs, Runtime, Size, difference, height_width
from toolkit.models.runtimes.onnx_file import cache_folder

_logger = logging.getLogger(__name__)

BATCH = 8
"""Pictures at a time while measuring: what a few cameras bring together."""

BUDGET_S = 1.5
"""About so long all candidates are measured together, each at least once after its first run."""

TOLERANCE = 0.05
"""A runtime whose outputs are further than this (root mean square) from those of torch in single precision is
out of the race. bfloat16 keeps 8 bits: after some fifty layers it is 0.005 to 0.02 off."""

MUST_GAIN = 1.1
"""A less precise runtime is taken only if it is so many times quicker."""

Make = Callable[[str], Runtime]

_VERSION = 1
_PACKAGES = ("torch", "timm", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Choice:
    """What was measured, and what follows.

    Attributes:
        name: of the chosen runtime.
        rates_per_s: pictures a second, by runtime, of those that could be used.
        left_out: why the others could not.
        day: when it was measured.
    """

    name: str
    rates_per_s: dict[str, float]
    left_out: dict[str, str]
    day: str

    def reason(self) -> str:
        """The same in words."""
        rates = sorted(self.rates_per_s.items(), key=lambda item: -item[1])
        others = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates if name != self.name)
        told = f"{self.rates_per_s[self.name]:,.0f} pictures/s in batches of {BATCH}"
        beside = f" ({others})" if others else ""
        out = "".join(f"; {name}: {why}" for name, why in self.left_out.items())
        return f"auto, measured {self.day}: {told}{beside}{out}"


def choose(
    digest: str, names: Iterable[str], make: Make, size_px: Size, threads: int, device: str
) -> Runtime:
    """The quickest runtime whose answers agree with torch's; opened, and its ``reason`` says why.

    Args:
        digest: tells the network from others.
        names: of the candidates, the most precise first; the first one is the reference.
        make: opens one.
        size_px: side of the network's pictures.
        threads: that each may use.
        device: where they run.
    """
    path = _remembered_at(digest, names, threads, device)
    choice = _recall(path)
    if choice is None:
        _logger.info("measuring which runtime is quickest here, once")
        choice = _measure(names, make, size_px)
        _remember(path, choice)
    runtime = make(choice.name)
    runtime.reason = choice.reason()
    _logger.info("the network runs in %s; %s", runtime, runtime.reason)
    return runtime


def _measure(names: Iterable[str], make: Make, size_px: Size) -> Choice:
    images = np.random.default_rng(0).integers(0, 256, (BATCH, *height_width(size_px), 3), dtype=np.uint8)
    reference: Outputs | None = None
    runtimes: dict[str, Runtime] = {}
    left_out: dict[str, str] = {}
    for name in names:
        try:
            runtime = make(name)
        except (ToolkitError, ImportError) as error:
            left_out[name] = str(error)
            continue
        outputs = runtime(images)
        reference = outputs if reference is None else reference
        far = difference(outputs, reference)
        if far > TOLERANCE:
            left_out[name] = f"its answers are {far:.0%} off"
        else:
            runtimes[name] = runtime
    rates = {name: BATCH / seconds for name, seconds in _least_seconds(runtimes, images).items()}
    return Choice(_best(rates), rates, left_out, date.today().isoformat())


def _least_seconds(runtimes: dict[str, Runtime], images: np.ndarray) -> dict[str, float]:
    """The shortest run of each. Others on the machine only ever make a run longer, and not all runs alike."""
    least = dict.fromkeys(runtimes, float("inf"))
    deadline = time.perf_counter() + BUDGET_S
    while True:
        for name, runtime in runtimes.items():
            start = time.perf_counter()
            runtime(images)
            least[name] = min(least[name], time.perf_counter() - start)
        if time.perf_counter() > deadline:
            return least


def _best(rates: dict[str, float]) -> str:
    """The quickest; in single precision, unless less precision pays."""
    precise = {name: rate for name, rate in rates.items() if not name.endswith(("-bf16", "-graphs"))}
    best = max(precise, key=precise.__getitem__)
    quickest = max(rates, key=rates.__getitem__)
    return quickest if rates[quickest] > MUST_GAIN * rates[best] else best


def _remembered_at(digest: str, names: Iterable[str], threads: int, device: str) -> Path:
    """A file whose name stands for everything the choice depends on."""
    versions = {name: _version(name) for name in _PACKAGES}
    key = [_VERSION, digest, list(names), versions, _processor(), threads, device, _device_name(device)]
    return cache_folder() / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]}.json"


def _recall(path: Path) -> Choice | None:
    try:
        return Choice(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _remember(path: Path, choice: Choice) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{time.monotonic_ns()}")
        part.write_text(json.dumps(asdict(choice), indent=2), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        _logger.warning("the choice of the runtime cannot be kept, and will be measured again: %s", error)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    """Name and abilities of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return "; ".join(
            sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
        )
    except OSError:
        return f"{platform.machine()} {platform.processor()}"


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else ""
