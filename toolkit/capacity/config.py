"""Settings of a search for a machine's capacity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit.data.scenes.config import SceneConfig
from toolkit.errors import ConfigError


@dataclass(frozen=True)
class CapacityConfig:
    """Bounds that a number of cameras has to keep, what they show, and how often each number is tried.

    Attributes:
        most_p99_ms: 99th percentile of the time from capture to result, of all frames of all cameras.
        most_dropped: share of the frames read that got no result; 0..1.
        most_accuracy_loss: how far streaming gender accuracy may lie below the offline one, and in a tuning
            the offline one below that of the defaults; 0..1.
        most_cameras: no more are tried.
        first_cameras: so many are tried first.
        seconds: how long one run is measured,
        warm_up_s: after so long, which does not count.
        runs: after so many the search ends in any case;
        sure: before, when the answer is within one camera (of many, a tenth) with this probability.
        most_others: share of the machine's CPU time that others may take during a run; of one in which they
            take more, see :func:`toolkit.capacity.run.counts`.
        scene: what the cameras show, when there are no ``videos``; its length follows from the runs. More
            cameras than it has share its views, each at a moment of its own. By default people stand about:
            of those who hurry across, a screen shows where they were, on a machine of any speed.
        videos: recordings to show instead. Nothing is known about who is in them: accuracy is not judged.
        seed: of the moments at which cameras begin.

    Raises:
        ConfigError: a value is out of its range.
    """

    most_p99_ms: float = 200.0
    most_dropped: float = 0.01
    most_accuracy_loss: float = 0.02
    most_cameras: int = 64
    first_cameras: int = 4
    seconds: float = 4.0
    warm_up_s: float = 1.5
    runs: int = 36
    sure: float = 0.98
    most_others: float = 0.05
    scene: SceneConfig = field(default_factory=lambda: SceneConfig(cameras=4, place="room", ways="stand"))
    videos: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("most_cameras", "first_cameras", "runs"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("most_dropped", "most_accuracy_loss", "most_others", "sure"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is a share from 0 to 1, got {getattr(self, name)}")
        for name in ("most_p99_ms", "seconds"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be more than 0, got {getattr(self, name)}")
        for name in ("warm_up_s", "seed"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must be 0 or more, got {getattr(self, name)}")

    def failures(self, row: Mapping[str, Any]) -> list[str]:
        """Which bounds a measured run breaks, in words; none when it passes.

        Args:
            row: ``p99_ms``, ``dropped_fraction``, ``streaming_gender_accuracy`` and
                ``offline_gender_accuracy``; a ``p99_ms`` of None is a run without any result. Of settings
                that are held against others also ``settings_loss``.
        """
        broken = []
        if row["p99_ms"] is None:
            broken.append("no frame got a result")
        elif row["p99_ms"] > self.most_p99_ms:
            broken.append(f"p99 {row['p99_ms']:.0f} ms > {self.most_p99_ms:g}")
        if row["dropped_fraction"] > self.most_dropped:
            broken.append(f"dropped {row['dropped_fraction']:.1%} > {self.most_dropped:.1%}")
        streaming, offline = row["streaming_gender_accuracy"], row["offline_gender_accuracy"]
        if streaming is not None and offline is not None and offline - streaming > self.most_accuracy_loss:
            broken.append(
                f"gender accuracy {100 * (offline - streaming):.1f} points below offline > "
                f"{100 * self.most_accuracy_loss:.1f}"
            )
        loss = row.get("settings_loss")
        if loss is not None and loss > self.most_accuracy_loss:
            broken.append(
                f"offline {100 * loss:.1f} points below the defaults > {100 * self.most_accuracy_loss:.1f}"
            )
        return broken

    def load(self, row: Mapping[str, Any]) -> float:
        """How much of its tightest bound a run uses up: above 1 it fails; infinite without results."""
        if row["p99_ms"] is None:
            return math.inf
        shares = [row["p99_ms"] / self.most_p99_ms, row["dropped_fraction"] / max(self.most_dropped, _LITTLE)]
        streaming, offline = row["streaming_gender_accuracy"], row["offline_gender_accuracy"]
        if streaming is not None and offline is not None:
            shares.append((offline - streaming) / max(self.most_accuracy_loss, _LITTLE))
        return max(shares)


# A bound of 0 is a bound, and cannot be divided by.
_LITTLE = 1e-4


@dataclass(frozen=True)
class TuneConfig:
    """A search for the settings with which a machine carries most, within the bounds of its capacity.

    Attributes:
        grid: dotted keys of the live settings, each with the values to try.
        cameras: tune for so many; None for as many as can be.

    Raises:
        ConfigError: there is nothing to try.
    """

    grid: dict[str, list[Any]] = field(default_factory=lambda: {k: list(v) for k, v in _GRID.items()})
    cameras: int | None = None

    def __post_init__(self) -> None:
        if self.cameras is not None and self.cameras < 1:
            raise ConfigError(f"cameras must be at least 1, got {self.cameras}")
        for key, values in self.grid.items():
            if not values:
                raise ConfigError(f"grid: {key} has no values to try")


_GRID: dict[str, tuple[Any, ...]] = {
    "pipeline.search_every": (1, 2),
    "detector_longest_side_px": (640, 560, 480),
    "runtime": ("auto", "onnxruntime"),
    "threads": (None, 1),
    "pipeline.batch_size": (32, 8),
    "pipeline.max_wait_s": (0.01, 0.0),
    "pipeline.tracker.votes_wanted": (5, 3),
    "pipeline.tracker.look_again_s": (2.0, 5.0),
}
"""What costs most first: the search for faces, then the model, then what waits for what, then how often."""
