"""How long frames are on their way: jitter, and gaps after which everything comes at once."""

from __future__ import annotations

import numpy as np

from toolkit.data.scenes.config import SceneConfig


def arrival_delays_s(config: SceneConfig, camera: int) -> np.ndarray:
    """How much later each frame of a camera arrives than it was filmed.

    Frames never overtake each other. The delay is exponential about ``jitter_s``; what falls due in a gap
    comes at its end. The first frame is not held up at all: the scene begins with it.

    Args:
        config: of the scene.
        camera: its number, from 1.

    Returns:
        (F,), float64, seconds, none below 0.
    """
    rng = np.random.default_rng((config.seed, 7, camera))
    times_s = np.arange(config.frames) / config.frames_per_s
    arrivals_s = times_s + rng.exponential(1.0, len(times_s)) * config.jitter_s
    if config.gap_s:
        # Within each period the gap comes last, so that no scene begins with one.
        gap_begins_s = max(0.0, config.gap_every_s - config.gap_s)
        in_period_s = times_s % config.gap_every_s
        ends_s = times_s - in_period_s + config.gap_every_s
        arrivals_s = np.where(in_period_s > gap_begins_s, np.maximum(arrivals_s, ends_s), arrivals_s)
    arrivals_s[0] = times_s[0]
    return np.maximum.accumulate(arrivals_s) - times_s
