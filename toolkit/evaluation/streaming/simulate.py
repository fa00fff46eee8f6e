"""Answers that a machine of given speed would have had ready, worked out without a clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from toolkit.errors import ShapeError
from toolkit.evaluation.streaming.answers import SAME_INSTANT_S, Answer


def delayed(answers: Sequence[Answer], latency_s: float | Sequence[float]) -> list[Answer]:
    """The same answers, each finished so long after its frame.

    Args:
        answers: of any cameras.
        latency_s: of all, or of each.

    Raises:
        ShapeError: neither one latency, nor one for each answer.
    """
    if np.ndim(latency_s) and np.shape(latency_s) != (len(answers),):
        raise ShapeError(
            f"latency_s must be one number, or one for each of {len(answers)} answers, "
            f"got shape {np.shape(latency_s)}"
        )
    each = np.broadcast_to(np.asarray(latency_s, dtype=np.float64), len(answers)).tolist()
    return [replace(a, finished_at_s=a.frame_time_s + late) for a, late in zip(answers, each, strict=True)]


def newest_wins(
    frame_times_s: Mapping[str, np.ndarray], service_s: Callable[[], float], workers: int = 1
) -> dict[str, list[tuple[int, float]]]:
    """Which frames of live cameras get analysed, and when that is finished.

    Each camera keeps its newest frame; a worker that is free takes that of the next camera in turn, and never
    two of one camera at a time. It never waits while there is a frame to take: with one camera and one worker
    this is the idle-free schedule of Li, Wang, Ramanan, ECCV 2020, section 3.3.

    Args:
        frame_times_s: camera to the times at which its frames arrive, growing.
        service_s: called for each analysed frame: how long a worker has it.
        workers: frames that are analysed at a time.

    Returns:
        Camera to (number of the frame, seconds at which it was finished), in order; the others were skipped.
    """
    names = list(frame_times_s)
    times_s = [np.asarray(frame_times_s[name], dtype=np.float64) for name in names]
    last, busy_until_s = [-1] * len(names), [0.0] * len(names)
    done: dict[str, list[tuple[int, float]]] = {name: [] for name in names}
    free_at_s, turn = [0.0] * workers, 0
    while True:
        now_s = heapq.heappop(free_at_s)
        waits_s = [
            max(busy_until_s[c], times_s[c][last[c] + 1]) if last[c] + 1 < len(times_s[c]) else np.inf
            for c in range(len(names))
        ]
        now_s = max(now_s, min(waits_s, default=np.inf))
        if not np.isfinite(now_s):
            return done
        in_turn = [(turn + n) % len(names) for n in range(len(names))]
        camera = next(c for c in in_turn if waits_s[c] <= now_s + SAME_INSTANT_S)
        turn = camera + 1
        last[camera] = int(np.searchsorted(times_s[camera], now_s + SAME_INSTANT_S, side="right")) - 1
        busy_until_s[camera] = now_s + service_s()
        done[names[camera]].append((last[camera], busy_until_s[camera]))
        heapq.heappush(free_at_s, busy_until_s[camera])


def simulated(answers: Sequence[Answer], service_s: Callable[[], float], workers: int = 1) -> list[Answer]:
    """What of these answers a machine with these service times would have shown, and when.

    Args:
        answers: of every frame of every camera, made without a clock.
        service_s: see :func:`newest_wins`, for example ``lambda: rng.choice(measured_s)``.
        workers: see :func:`newest_wins`.

    Returns:
        The answers of the frames that were analysed. They are taken as they are: a person who was followed
        through every frame is not followed anew through fewer.
    """
    by_camera: dict[str, list[Answer]] = {}
    for answer in sorted(answers, key=lambda answer: answer.frame_time_s):
        by_camera.setdefault(answer.camera, []).append(answer)
    arrivals = {name: np.array([a.frame_time_s for a in own]) for name, own in by_camera.items()}
    done = newest_wins(arrivals, service_s, workers)
    return [
        replace(by_camera[name][frame], finished_at_s=finished_s)
        for name, frames in done.items()
        for frame, finished_s in frames
    ]
