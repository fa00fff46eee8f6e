"""The bench of the training loop: every contender learns, and its pictures are counted."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from fakes import FakeClock

from toolkit.bench.config import BenchConfig, TrainBenchConfig
from toolkit.bench.runs import run_train_bench
from toolkit.bench.trainings import measure
from toolkit.bench.trainings.cases import CONTENDERS, train_cases
from toolkit.errors import ConfigError, ToolkitError
from toolkit.experiment import Experiment


@pytest.mark.parametrize("name", CONTENDERS)
def test_every_contender_learns(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PICTURES", 96)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    config = TrainBenchConfig(seconds=0.05, backbone="test_resnet", image_px=32, batch_size=8, threads=2)
    settings = asdict(config) | {"home": CONTENDERS[name].home, "folder": str(tmp_path)}

    measured = measure.learn(settings)

    assert measured["rate_per_s"] > 0
    assert measured["pictures"] % 8 == 0


def test_only_what_comes_after_the_warm_up_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr(measure.time, "monotonic", clock)
    meter = measure.Meter(seconds=2.0)

    for _ in range(measure.WARM_UP_STEPS):
        clock.advance(10.0)
        meter.step(8)
    clock.advance(1.0)
    meter.step(8)
    clock.advance(1.0)
    with pytest.raises(measure.Enough):
        meter.step(8)

    assert (meter.pictures, meter.took_s) == (16, 2.0)


@pytest.mark.parametrize(
    ("wrong", "said"), [({"backbone": "zzz"}, "no model 'zzz'"), ({"device": "xpu9"}, "no device 'xpu9'")]
)
def test_what_cannot_train_is_refused_before_anything_is_measured(wrong: dict[str, str], said: str) -> None:
    experiment = Experiment(bench=BenchConfig(train=TrainBenchConfig(**wrong)))  # type: ignore[arg-type]

    with pytest.raises(ToolkitError, match=said):
        run_train_bench(experiment)


def test_an_unknown_contender_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'timm-parts'"):
        train_cases(TrainBenchConfig(contenders=("timm",)))
