"""What the process uses: cores, memory, and the GPU where one can be asked."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any

import psutil

from toolkit.cores import usable_cores

logger = logging.getLogger(__name__)

_WINDOW_S = 5.0
_LOOK_AT_MOST_EVERY_S = 1.0


class ResourceMeter:
    """Looks at the own process, at most once a second however often it is asked.

    Threads are told by their names, those of all cameras as one. Threads of libraries (OpenMP, FFmpeg,
    OpenVINO) have no name in Python: they are "libraries", together with threads that have ended.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._process = psutil.Process()
        self._lock = threading.Lock()
        self._looks: deque[tuple[float, float, dict[str, float]]] = deque()
        self._first: tuple[float, float] | None = None
        self._newest: dict[str, Any] = {}
        self._look()

    def snapshot(self) -> dict[str, Any]:
        """Use of the last seconds.

        Returns:
            ``{"cpu_cores_used", "cpu_cores_used_mean", "cpu_cores", "cpu_s", "memory_mb", "threads": {NAME:
            cores used}, "gpus": [{"name", "busy_fraction", "memory_mb"}]}``: cores used in the last seconds,
            and since the meter was made, of those the process may run on; CPU seconds since the process
            began; resident memory.
        """
        with self._lock:
            if self._clock() - self._looks[-1][0] >= _LOOK_AT_MOST_EVERY_S:
                self._look()
            return self._newest

    def _look(self) -> None:
        now = self._clock()
        with self._process.oneshot():
            times, memory = self._process.cpu_times(), self._process.memory_info()
        cpu_s, by_name = times.user + times.system, self._by_name()
        while len(self._looks) > 1 and now - self._looks[0][0] > _WINDOW_S:
            self._looks.popleft()
        then, then_cpu_s, then_by_name = self._looks[0] if self._looks else (now, cpu_s, by_name)
        passed_s = max(now - then, 1e-9)
        # A thread that ended takes its seconds with it: its row shows none, not less than none.
        threads = {
            name: round(max(0.0, seconds - then_by_name.get(name, 0.0)) / passed_s, 3)
            for name, seconds in by_name.items()
        }
        used = (cpu_s - then_cpu_s) / passed_s
        threads["libraries"] = round(max(0.0, used - sum(threads.values())), 3)
        self._looks.append((now, cpu_s, by_name))
        self._first = self._first or (now, cpu_s)
        began, began_cpu_s = self._first
        self._newest = {
            "cpu_cores_used": round(used, 3),
            "cpu_cores_used_mean": round((cpu_s - began_cpu_s) / max(now - began, 1e-9), 3),
            "cpu_cores": usable_cores(),
            "cpu_s": round(cpu_s, 3),
            "memory_mb": round(memory.rss / 1e6, 1),
            "threads": threads,
            "gpus": gpus(),
        }

    def _by_name(self) -> dict[str, float]:
        """CPU seconds of Python's threads by the stem of their names."""
        names = {thread.native_id: _stem(thread.name) for thread in threading.enumerate()}
        seconds: dict[str, float] = {}
        for thread in self._process.threads():
            if thread.id in names:
                name = names[thread.id]
                seconds[name] = seconds.get(name, 0.0) + thread.user_time + thread.system_time
        return seconds


def gpus() -> list[dict[str, Any]]:
    """How busy every NVIDIA GPU is, by all its users; empty without one, or without ``nvidia-ml-py``."""
    library = _nvml()
    if library is None:
        return []
    try:
        return [_gpu(library, number) for number in range(library.nvmlDeviceGetCount())]
    except library.NVMLError as error:
        logger.debug("the GPU does not say what it does: %s", error)
        return []


def system_metrics() -> Callable[[], dict[str, float]]:
    """Gives what tells how the machine is used, by the names of MLflow's system metrics."""
    before = psutil.net_io_counters()
    psutil.cpu_percent()  # counts from here

    def sample() -> dict[str, float]:
        memory, network = psutil.virtual_memory(), psutil.net_io_counters()
        told = {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / 1e6,
            "system_memory_usage_percentage": memory.percent,
        }
        # A container may have no network at all.
        if before is not None and network is not None:
            told["network_receive_megabytes"] = (network.bytes_recv - before.bytes_recv) / 1e6
            told["network_transmit_megabytes"] = (network.bytes_sent - before.bytes_sent) / 1e6
        for number, gpu in enumerate(gpus()):
            told[f"gpu_{number}_utilization_percentage"] = 100 * gpu["busy_fraction"]
            told[f"gpu_{number}_memory_usage_megabytes"] = gpu["memory_mb"]
        return {f"system/{name}": round(value, 1) for name, value in told.items()}

    return sample


def _gpu(library: Any, number: int) -> dict[str, Any]:
    device = library.nvmlDeviceGetHandleByIndex(number)
    return {
        "name": library.nvmlDeviceGetName(device),
        "busy_fraction": library.nvmlDeviceGetUtilizationRates(device).gpu / 100,
        "memory_mb": round(library.nvmlDeviceGetMemoryInfo(device).used / 1e6, 1),
    }


@cache
def _nvml() -> Any:
    """NVIDIA's management library, ready to be asked; None where there is none."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        logger.debug("no GPU is measured: %s", error)
        return None
    return pynvml


def _stem(name: str) -> str:
    """One row for all cameras; a name as Python gives it, ``Thread-3 (run)``, without what it runs."""
    return "camera" if name.startswith("camera-") else name.partition(" (")[0]
