"""What the process uses."""

import sys
import threading
import time
import types

import pytest
from fakes import FakeClock
from waiting import wait_until

from toolkit import resources
from toolkit.cores import usable_cores
from toolkit.resources import ResourceMeter, gpus


def spin(until: threading.Event) -> None:
    while not until.is_set():
        sum(range(1000))


def test_a_busy_thread_shows_under_its_name():
    clock, is_over = FakeClock(), threading.Event()
    meter = ResourceMeter(clock)
    thread = threading.Thread(target=spin, args=(is_over,), name="camera-door")
    thread.start()
    began_s = time.process_time()
    wait_until(lambda: time.process_time() - began_s > 0.3, 30)

    clock.advance(1.0)
    used = meter.snapshot()
    is_over.set()
    thread.join()

    assert used["threads"]["camera"] > 0.15
    assert used["cpu_cores_used"] >= 0.25
    assert used["cpu_cores_used_mean"] == used["cpu_cores_used"]
    assert used["memory_mb"] > 10


def test_it_looks_at_most_once_a_second():
    clock = FakeClock()
    meter = ResourceMeter(clock)
    first = meter.snapshot()
    clock.advance(0.9)

    assert meter.snapshot() is first
    clock.advance(0.2)
    assert meter.snapshot() is not first


def test_the_use_is_that_of_the_last_seconds():
    clock = FakeClock()
    meter = ResourceMeter(clock)
    for _ in range(20):
        clock.advance(1.0)
        meter.snapshot()

    assert len(meter._looks) <= 7
    assert meter.snapshot()["cpu_cores_used"] < 1.0


def test_cores_are_those_the_process_may_use():
    assert 1 <= usable_cores() <= 4096


@pytest.fixture
def nvml(monkeypatch):
    """A library that knows one GPU, as nvidia-ml-py names things."""

    class NVMLError(Exception):
        pass

    library = types.SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetName=lambda device: "A GPU",
        nvmlDeviceGetUtilizationRates=lambda device: types.SimpleNamespace(gpu=37),
        nvmlDeviceGetMemoryInfo=lambda device: types.SimpleNamespace(used=2_000_000_000),
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    resources._nvml.cache_clear()
    yield library
    resources._nvml.cache_clear()


def test_a_gpu_tells_how_busy_it_is(nvml):
    assert gpus() == [{"name": "A GPU", "busy_fraction": 0.37, "memory_mb": 2000.0}]


def test_a_gpu_that_does_not_answer_is_left_out(nvml):
    def fail(*args):
        raise nvml.NVMLError("not supported")

    nvml.nvmlDeviceGetUtilizationRates = fail

    assert gpus() == []


def test_without_a_driver_there_is_no_gpu(nvml):
    def fail():
        raise nvml.NVMLError("driver not loaded")

    nvml.nvmlInit = fail

    assert gpus() == []
