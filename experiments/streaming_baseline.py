"""The loop that people write today, on the cameras of a capacity search: a thread a camera, a face at a time.

    python experiments/streaming_baseline.py experiments/capacity.yaml --cameras 1 2 4 6 8

Each camera has a thread that reads a frame, finds the faces, and asks the model for one face after the other;
what it says of the frame is shown as it is. Beside it the street with the same detector and the same network.
Both play the same films, and are scored alike: see docs/streaming.md.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.capacity.config import CapacityConfig
from toolkit.capacity.measure import Machine
from toolkit.capacity.run import parts_of
from toolkit.capacity.views import View, offline_answers, views_of
from toolkit.crops import cut_crops
from toolkit.evaluation.streaming.recording import AnswerLog, recording_of
from toolkit.evaluation.streaming.scores import score_streaming
from toolkit.experiment import load_experiment
from toolkit.live.detect import FaceDetector
from toolkit.live.inference import Predict
from toolkit.live.source import Source, open_source
from toolkit.live_parts import make_body_predictor, make_detector, make_predictor
from toolkit.records import FrameResult, Track


def loop(source: Source, detect: FaceDetector, predict: Predict, log: AnswerLog) -> None:
    """One camera's thread."""
    while (frame := source.read()) is not None:
        found = [detection for detection in detect([frame.image])[0] if detection.part == "face"]
        boxes_xyxy = np.array([face.box_xyxy for face in found], np.float32).reshape(-1, 4)
        crops = cut_crops(frame.image, boxes_xyxy, 0.0)
        tracks = tuple(
            Track(crop.index + 1, found[crop.index].box_xyxy, 1.0, 1, predict([crop.image])[0], 1)
            for crop in crops
        )
        log(FrameResult(frame, tracks, time.monotonic()))


def run_loops(
    cameras: int, views: Sequence[View], config: CapacityConfig, detect: FaceDetector, predict: Predict
) -> dict[str, Any]:
    """So many loops side by side: how late, how much was never shown, and how right the screens were."""
    shown = {f"{views[k % len(views)].name}.{k}": views[k % len(views)] for k in range(cameras)}
    sources = {name: open_source(view.path, name, realtime=True) for name, view in shown.items()}
    log = AnswerLog()
    threads = [threading.Thread(target=loop, args=(s, detect, predict, log)) for s in sources.values()]
    for thread in threads:
        thread.start()
    time.sleep(config.warm_up_s + config.seconds)
    for source in sources.values():
        source.close()
    for thread in threads:
        thread.join()
    recording = recording_of({}, log.rows, {}, {})
    until_s = config.warm_up_s + config.seconds - 0.1
    truths = {name: view.truth for name, view in shown.items() if view.truth is not None}
    block = score_streaming(truths, recording.answers, config.warm_up_s, until_s)["all"]
    counting = [a for a in recording.answers if config.warm_up_s <= a.frame_time_s < until_s]
    # An answer that came after the end of the run was never on a screen.
    told = [a for a in counting if a.finished_at_s <= until_s]
    due = block["instants"]
    return {
        "cameras": cameras,
        "p99_ms": float(np.percentile([1000 * a.latency_s for a in counting], 99)) if counting else None,
        "dropped_fraction": 1 - len(told) / due,
        "streaming_gender_accuracy": block["gender_accuracy"],
    }


def main() -> None:
    """Print a line for each number of cameras, and write them where ``--json`` asks for it."""
    parser = argparse.ArgumentParser(description="The loop people write, beside the street.")
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4, 6, 8])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    laid_over = {"live": {"cameras": {"view": "scene:hall"}}}
    live, config = parts_of(load_experiment(asked.experiment, (), laid_over))
    views = views_of(config)
    detect, ours = make_detector(live), make_predictor(live)
    by_hand = make_predictor(replace(live, runtime="torch", threads=1))
    bodies = make_body_predictor(live)
    offline_of = offline_answers(views, detect, ours, live.pipeline, bodies)
    machine = Machine(live, config, views, detect, ours, offline_of, bodies)
    rows = []
    for cameras in asked.cameras:
        pair = {
            "loop": run_loops(cameras, views, config, detect, by_hand),
            "street": machine.run(cameras),
        }
        offline = pair["street"]["offline_gender_accuracy"]
        for name, row in pair.items():
            row["offline_gender_accuracy"] = offline
            rows.append({"who": name, **row, "failures": config.failures(row)})
            print(_line(rows[-1]), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _line(row: dict[str, Any]) -> str:
    late = "-" if row["p99_ms"] is None else f"{row['p99_ms']:.0f}"
    right = row["streaming_gender_accuracy"]
    verdict = "; ".join(row["failures"]) or "passes"
    return (
        f"{row['who']:6} {row['cameras']:3} cameras  p99 {late:>5} ms  not shown in time "
        f"{row['dropped_fraction']:6.1%}  gender on the screen {right:.1%}, offline "
        f"{row['offline_gender_accuracy']:.1%}  {verdict}"
    )


if __name__ == "__main__":
    main()
