"""The choice of a runtime: the quickest one that agrees, measured once, and always said why."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from toolkit.errors import ModelError
from toolkit.models import choice
from toolkit.models.choice import choose
from toolkit.models.runtimes.base import Outputs, Runtime

SIDE_PX = 8


class Made(Runtime):
    """Takes its time, then says the mean of each picture, and how far it is off."""

    def __init__(self, name: str, seconds: float, off: float = 0.0) -> None:
        super().__init__(SIDE_PX, threads=1)
        self.name, self._seconds, self._off = name, seconds, off

    def _run(self, images_nhwc: np.ndarray) -> Outputs:
        time.sleep(self._seconds)
        return (images_nhwc.mean((1, 2, 3)) * (1 + self._off),)


class Maker:
    """Opens runtimes by name, and counts."""

    def __init__(self, **runtimes: Callable[[], Runtime]) -> None:
        self.runtimes = {name.replace("_", "-"): make for name, make in runtimes.items()}
        self.opened: list[str] = []

    def __call__(self, name: str) -> Runtime:
        self.opened.append(name)
        return self.runtimes[name]()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(choice, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(choice, "BUDGET_S", 0.1)
    return tmp_path


def chosen(maker: Maker, digest: str = "a network", threads: int = 1) -> Runtime:
    return choose(digest, tuple(maker.runtimes), maker, SIDE_PX, threads, "cpu")


def test_the_quickest_is_chosen_and_says_why() -> None:
    maker = Maker(torch=lambda: Made("torch", 0.05), openvino=lambda: Made("openvino", 0.01))

    runtime = chosen(maker)

    assert runtime.name == "openvino"
    assert "pictures/s in batches of 8 (torch 1" in runtime.reason


def test_what_was_measured_is_remembered_for_the_same_network_and_threads() -> None:
    maker = Maker(torch=lambda: Made("torch", 0.01), openvino=lambda: Made("openvino", 0.001))
    first = chosen(maker)
    maker.opened.clear()

    again = chosen(maker)

    assert maker.opened == [again.name]
    assert again.reason == first.reason
    for changed in ({"digest": "another"}, {"threads": 2}):
        maker.opened.clear()
        chosen(maker, **changed)
        assert len(maker.opened) == 3


def test_one_that_answers_otherwise_is_left_out_however_quick() -> None:
    maker = Maker(torch=lambda: Made("torch", 0.01), openvino=lambda: Made("openvino", 0.0, off=0.2))

    runtime = chosen(maker)

    assert runtime.name == "torch"
    assert "openvino: its answers are 20% off" in runtime.reason


def test_one_that_cannot_be_opened_is_left_out_and_named() -> None:
    def missing() -> Runtime:
        raise ModelError("no such file")

    runtime = chosen(Maker(torch=lambda: Made("torch", 0.0), openvino=missing))

    assert runtime.name == "torch"
    assert "openvino: no such file" in runtime.reason


@pytest.mark.parametrize(("half_rate", "expected"), [(105.0, "openvino"), (150.0, "openvino-bf16")])
def test_less_precision_has_to_pay(half_rate: float, expected: str) -> None:
    assert choice._best({"openvino": 100.0, "openvino-bf16": half_rate, "torch": 20.0}) == expected


def test_a_damaged_memory_is_measured_anew(cache: Path) -> None:
    maker = Maker(torch=lambda: Made("torch", 0.0))
    chosen(maker)
    (remembered,) = cache.glob("*.json")
    remembered.write_text("{")

    assert chosen(maker).name == "torch"
    assert json.loads(remembered.read_text())["name"] == "torch"


def test_a_cache_that_cannot_be_written_costs_only_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(choice, "cache_folder", lambda: tmp_path / "file")

    assert chosen(Maker(torch=lambda: Made("torch", 0.0))).name == "torch"
    assert "cannot be kept" in caplog.text
