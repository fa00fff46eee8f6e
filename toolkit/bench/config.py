"""What a bench measures, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toolkit.errors import ConfigError

_MOST_TASKS = 1_000_000  # what one thread can keep a tally of, with room for those that run twice


@dataclass(frozen=True)
class QueueBenchConfig:
    """A bench of the task queue and its worker pool.

    Attributes:
        cases: names of the cases to measure; empty for all.
        contenders: names of the contenders; empty for all.
        rounds: how often each contender runs each case; medians are taken over them.
        seconds: about so long is one measurement of a rate.
        most_tasks: but of no more tasks than so many.
        latency_seconds: so long are tasks sent, ``latency_tasks_per_s`` a second, to measure their wait.
        latency_tasks_per_s: tasks a second then.
        timeout_s: a contender that takes longer for one run, starting and stopping included, is ended.
    """

    cases: tuple[str, ...] = ()
    contenders: tuple[str, ...] = ()
    rounds: int = 5
    seconds: float = 2.0
    most_tasks: int = 60_000
    latency_seconds: float = 10.0
    latency_tasks_per_s: float = 100.0
    timeout_s: float = 120.0

    def __post_init__(self) -> None:
        for name in (
            "rounds",
            "seconds",
            "most_tasks",
            "latency_seconds",
            "latency_tasks_per_s",
            "timeout_s",
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.most_tasks > _MOST_TASKS:
            raise ConfigError(f"most_tasks is at most {_MOST_TASKS:,}, got {self.most_tasks}")


@dataclass(frozen=True)
class CameraBenchConfig:
    """A bench of how cameras are read.

    Attributes:
        cases: names of the cases to measure; empty for all.
        contenders: names of the contenders; empty for all.
        rounds: how often each contender runs each case; medians are taken over them.
        seconds: so long is one measurement of a rate or of a cost.
        openings: so many times is a camera opened, to measure how long that takes.
        width: of the cameras' pictures, in pixels.
        height: of the cameras' pictures, in pixels.
        fps: pictures a second of each camera.
        timeout_s: a contender that takes longer for one run, starting and stopping included, is ended.
    """

    cases: tuple[str, ...] = ()
    contenders: tuple[str, ...] = ()
    rounds: int = 3
    seconds: float = 5.0
    openings: int = 10
    width: int = 1280
    height: int = 720
    fps: int = 25
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("rounds", "seconds", "openings", "width", "height", "fps", "timeout_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class BatchBenchConfig:
    """A bench of the batch processor.

    Attributes:
        cases: names of the cases to measure; empty for all.
        contenders: names of the contenders; empty for all.
        rounds: how often each contender runs each case; medians are taken over them.
        seconds: so long are answers counted in one measurement.
        warm_up_s: so long before that do the callers ask already.
        timeout_s: a contender that takes longer for one run, starting and stopping included, is ended.
    """

    cases: tuple[str, ...] = ()
    contenders: tuple[str, ...] = ()
    rounds: int = 5
    seconds: float = 2.0
    warm_up_s: float = 0.5
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("rounds", "seconds", "warm_up_s", "timeout_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class LiveBenchConfig:
    """A bench of the street: videos to answers.

    Attributes:
        cases: names of the cases to measure; empty for all.
        contenders: names of the contenders; empty for all.
        rounds: how often each contender runs each case; medians are taken over them.
        seconds: so long are answers counted in one measurement.
        warm_up_s: so long before that does a contender run already.
        videos: paths of videos, a camera for each, over and over; empty for one that is made for the bench.
        model: name of a timm model; its weights are random, and the same for all.
        size_px: side of the square that every frame is drawn to for the model.
        cores: so many cores a contender gets; None for all.
        timeout_s: a contender that takes longer for one run, starting and stopping included, is ended.
    """

    cases: tuple[str, ...] = ()
    contenders: tuple[str, ...] = ()
    rounds: int = 3
    seconds: float = 6.0
    warm_up_s: float = 2.0
    videos: tuple[str, ...] = ()
    model: str = "mobilenetv3_small_100"
    size_px: int = 224
    cores: int | None = 2
    timeout_s: float = 180.0

    def __post_init__(self) -> None:
        for name in ("rounds", "seconds", "size_px", "timeout_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.cores is not None and self.cores < 1:
            raise ConfigError(f"cores must be at least 1, or none for all, got {self.cores}")


@dataclass(frozen=True)
class ModelBenchConfig:
    """A bench of the runtimes.

    Attributes:
        cases: names of the cases to measure; empty for all.
        contenders: names of the contenders; empty for all but the one that compiles for a minute.
        rounds: how often each contender runs each case; medians are taken over them.
        seconds: so long are batches timed in one measurement.
        models: "shipped", or names of timm models, whose weights are random.
        batches: pictures at a time, a case for each.
        threads: of the CPU, a case for each; a contender gets as many cores.
        timeout_s: a contender that takes longer for one run, starting and stopping included, is ended.
    """

    cases: tuple[str, ...] = ()
    contenders: tuple[str, ...] = ()
    rounds: int = 3
    seconds: float = 1.0
    models: tuple[str, ...] = ("shipped", "mobilenetv3_small_100")
    batches: tuple[int, ...] = (1, 8, 32)
    threads: tuple[int, ...] = (1, 2)
    timeout_s: float = 240.0

    def __post_init__(self) -> None:
        for name in ("rounds", "seconds", "timeout_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("batches", "threads"):
            if min(getattr(self, name), default=0) < 1:
                raise ConfigError(f"{name} must be numbers from 1, got {list(getattr(self, name))}")


@dataclass(frozen=True)
class TrainBenchConfig:
    """A bench of the training loop.

    Attributes:
        cases: names of the cases to measure; empty for all.
        contenders: names of the contenders; empty for all.
        rounds: how often each contender runs each case; medians are taken over them.
        seconds: so long are pictures counted in one measurement.
        backbone: name of a timm model.
        image_px: side of the pictures.
        batch_size: pictures per step.
        optimiser: as in a training.
        precision: as in a training; of all contenders.
        threads: of the CPU, for each contender.
        device: a torch device.
        timeout_s: a contender that takes longer for one run, starting and stopping included, is ended.
    """

    cases: tuple[str, ...] = ()
    contenders: tuple[str, ...] = ()
    rounds: int = 3
    seconds: float = 8.0
    backbone: str = "cs3darknet_focus_s"
    image_px: int = 96
    batch_size: int = 128
    optimiser: str = "adamw"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int = 3
    device: str = "cpu"
    timeout_s: float = 120.0

    def __post_init__(self) -> None:
        for name in ("rounds", "seconds", "image_px", "batch_size", "threads", "timeout_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class BenchConfig:
    """The benches of one experiment.

    Attributes:
        batch: the batch processor, if it is to be measured.
        camera: how cameras are read, if that is to be measured.
        live: the street, from videos to answers, if it is to be measured.
        model: the runtimes of the model, if they are to be measured.
        queue: the task queue and its worker pool, if they are to be measured.
        train: the training loop, if it is to be measured.
    """

    batch: BatchBenchConfig | None = None
    camera: CameraBenchConfig | None = None
    live: LiveBenchConfig | None = None
    model: ModelBenchConfig | None = None
    queue: QueueBenchConfig | None = None
    train: TrainBenchConfig | None = None
