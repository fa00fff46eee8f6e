"""The five scenarios on this machine: four shapes of load on single frames, and cameras that play."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from toolkit.capacity.config import CapacityConfig
from toolkit.capacity.frame_analysis import FrameAnalysis
from toolkit.capacity.measure import Machine
from toolkit.capacity.scenarios import multi_stream, offline, server, single_stream
from toolkit.capacity.search import plan
from toolkit.capacity.views import View
from toolkit.cores import usable_cores
from toolkit.experiment import LiveConfig
from toolkit.live.detect import FaceDetector
from toolkit.live.inference import Predict
from toolkit.live.source import open_source
from toolkit.records import Frame

_FRAMES = 32
_STREAMS = 8
"""As MLPerf's multi-stream has them."""


def run_scenarios(
    views: Sequence[View],
    detect: FaceDetector,
    predict: Predict,
    live: LiveConfig,
    config: CapacityConfig,
    predict_bodies: Predict | None = None,
) -> dict[str, dict[str, Any]]:
    """All five, with the same detector and model.

    MLPerf's four are run on decoded frames of the views: no cameras, nothing decoded, nobody followed, and
    faces alone labelled. Ours, LiveStream(N, fps), is the street itself: ``config.first_cameras`` cameras at
    the pace of their films.

    Returns:
        Name to figures; of ``server`` at the highest whole rate, to within a tenth, whose p99 keeps
        ``config.most_p99_ms``, None in the place of its figures where not even one frame a second does.
    """
    frames = [frame for view in views for frame in _first_frames(view, max(1, _FRAMES // len(views)))]
    serve = FrameAnalysis(detect, predict, live.pipeline.crop_margin)
    try:
        serve(frames[:_STREAMS])
        told = {
            "single-stream": single_stream(serve, frames, config.seconds),
            "multi-stream": multi_stream(serve, frames, config.seconds, _STREAMS),
            "offline": offline(serve, frames),
        }
        at_rate = partial(server, serve, frames, config.seconds, workers=usable_cores())
        told["server"] = _highest_rate(at_rate, round(2 * told["offline"]["samples_per_s"]), config)
    finally:
        serve.close()
    return told | {"live-stream": _live_stream(views, detect, predict, live, config, predict_bodies)}


def _live_stream(
    views: Sequence[View],
    detect: FaceDetector,
    predict: Predict,
    live: LiveConfig,
    config: CapacityConfig,
    predict_bodies: Predict | None,
) -> dict[str, Any]:
    # Without the truth: how right the screen is, the search for the capacity tells.
    unknown = [replace(view, truth=None) for view in views]
    machine = Machine(live, config, unknown, detect, predict, {}, predict_bodies)
    row = machine.run(config.first_cameras)
    figures = ("cameras", "frames_per_s", "p50_ms", "p99_ms", "dropped_fraction")
    return {"scenario": "live-stream", **{name: row[name] for name in figures}}


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
