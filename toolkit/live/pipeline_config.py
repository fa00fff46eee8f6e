"""How the street runs: what is looked at, how much at a time, and how long anything may wait."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Integral

from toolkit.errors import ConfigError
from toolkit.live.track import TrackerConfig


@dataclass(frozen=True)
class PipelineConfig:
    """How the street runs.

    Attributes:
        crop_margin: border around a face box, as a share of its side; must suit the model.
        smallest_face_px: faces with a shorter longest side are followed but not analysed.
        batch_size: most crops in one call of the model.
        max_wait_s: longest wait of a crop for others while the model has nothing to do; those of a recording
            as fast as it goes wait ten times as long.
        frames_in_hand: frames that may be looked at, or be with the model, at a time; more makes larger
            batches.
        live_frames_in_hand: and so many of them of one live camera; more makes more latency when the model is
            slow.
        detect_every: when frames of a live camera have to be skipped, faces are looked for only in every so
            many-th of those that are not, and persons are carried on in between; 1 always looks.
        search_every: faces are looked for only in every so many-th frame, also when none is skipped, and
            persons are carried on in between.
        workers: frames looked at, and calls of the model, at a time; None for as many as this process may
            use cores.
        tracker: see :class:`TrackerConfig`.
    """

    # What suits the shipped model: toolkit.models.preprocess.LIVE_CROP_MARGIN.
    crop_margin: float = 0.0
    smallest_face_px: float = 20.0
    batch_size: int = 32
    max_wait_s: float = 0.01
    frames_in_hand: int = 96
    live_frames_in_hand: int = 4
    detect_every: int = 2
    search_every: int = 1
    workers: int | None = None
    tracker: TrackerConfig = field(default_factory=TrackerConfig)

    def __post_init__(self) -> None:
        counts = ("batch_size", "frames_in_hand", "live_frames_in_hand", "detect_every", "search_every")
        for name in (*counts, "workers"):
            value: int | None = getattr(self, name)
            if name == "workers" and value is None:
                continue
            if not (isinstance(value, Integral) and value >= 1):
                raise ConfigError(f"{name} must be at least 1, got {value!r}; whole numbers only")
        # From half of the side on, taken away on each side, nothing of the face is left.
        if not -0.5 < self.crop_margin < math.inf:
            raise ConfigError(f"crop_margin must be more than -0.5 and finite, got {self.crop_margin!r}")
        if not self.smallest_face_px >= 0:
            raise ConfigError(f"smallest_face_px must be 0 or more, got {self.smallest_face_px!r}")
        if not 0 <= self.max_wait_s < 10:
            raise ConfigError(f"max_wait_s must lie between 0 and 10 s, got {self.max_wait_s}")
