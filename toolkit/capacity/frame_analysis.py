"""What a query of a scenario asks for: the faces of a frame, each with its label."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from toolkit.capacity.config import CapacityConfig
from toolkit.capacity.scenarios import multi_stream, offline, server, single_stream
from toolkit.capacity.search import plan
from toolkit.capacity.views import View
from toolkit.live.detect import FaceDetector
from toolkit.live.inference import Predict
from toolkit.live.pipeline import usable_cores
from toolkit.live.pixels import cut_faces
from toolkit.live.source import open_source
from toolkit.records import Frame

_FRAMES = 32
_STREAMS = 8
"""As MLPerf's multi-stream has them."""


class FrameAnalysis:
    """Faces found and labelled, nobody followed; frames side by side, their crops in one call of the model.

    Args:
        detect: finds faces.
        predict: see :data:`toolkit.live.inference.Predict`.
        crop_margin: border around a face box.
    """

    def __init__(self, detect: FaceDetector, predict: Predict, crop_margin: float) -> None:
        self._detect, self._predict, self._crop_margin = detect, predict, crop_margin
        self._pool = ThreadPoolExecutor(usable_cores(), thread_name_prefix="analyse")

    def __call__(self, frames: Sequence[Frame]) -> Sequence[Any]:
        """Answer them."""
        each = map(self._crops, frames) if len(frames) == 1 else self._pool.map(self._crops, frames)
        crops = [crop for of_frame in each for crop in of_frame]
        return self._predict(crops) if crops else []

    def close(self) -> None:
        """End its threads."""
        self._pool.shutdown()

    def _crops(self, frame: Frame) -> list[np.ndarray]:
        [found] = self._detect([frame.image])
        boxes_xyxy = np.array([face.box_xyxy for face in found], np.float32).reshape(-1, 4)
        return [crop.image for crop in cut_faces(frame, boxes_xyxy, self._crop_margin)]


def run_scenarios(
    views: Sequence[View],
    detect: FaceDetector,
    predict: Predict,
    config: CapacityConfig,
    crop_margin: float = 0.0,
) -> dict[str, dict[str, Any]]:
    """All four, on decoded frames of the views: no cameras, nothing decoded, nobody followed.

    Returns:
        Name to figures; of ``server`` at the highest whole rate, to within a tenth, whose p99 keeps
        ``config.most_p99_ms``, None in the place of its figures where not even one frame a second does.
    """
    frames = [frame for view in views for frame in _first_frames(view, max(1, _FRAMES // len(views)))]
    serve = FrameAnalysis(detect, predict, crop_margin)
    try:
        serve(frames[:_STREAMS])
        told = {
            "single-stream": single_stream(serve, frames, config.seconds),
            "multi-stream": multi_stream(serve, frames, config.seconds, _STREAMS),
            "offline": offline(serve, frames),
        }
        at_rate = partial(server, serve, frames, config.seconds, workers=usable_cores())
        return told | {"server": _highest_rate(at_rate, round(2 * told["offline"]["samples_per_s"]), config)}
    finally:
        serve.close()


def _highest_rate(at_rate: Any, most: int, config: CapacityConfig) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    while True:
        verdicts = [(round(row["rate_per_s"]), row["p99_ms"] <= config.most_p99_ms) for row in rows]
        now = plan(verdicts, max(1, most // 4), max(1, most), runs=12)
        if now.next is None:
            kept = [r for r in rows if r["rate_per_s"] <= now.passes and r["p99_ms"] <= config.most_p99_ms]
            nothing = {"scenario": "server", "rate_per_s": 0, "p99_ms": None}
            return max(kept, key=lambda row: row["rate_per_s"], default=nothing)
        rows.append(at_rate(rate_per_s=now.next, seed=len(rows)))


def _first_frames(view: View, count: int) -> list[Frame]:
    source = open_source(view.path, view.name)
    try:
        frames: list[Frame] = []
        while len(frames) < count and (frame := source.read()) is not None:
            # Made into pictures now: decoding is no part of a query.
            frames.append(Frame(frame.camera, frame.index, frame.captured_at, frame.image))
        return frames
    finally:
        source.close()
