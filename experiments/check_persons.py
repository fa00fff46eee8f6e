"""How many of the people in a real film the person detector finds, and what a look for them costs.

    python experiments/check_persons.py --videos "$TOOLKIT_DATA/videos"
    taskset -c 0,1 python experiments/check_persons.py --videos "$TOOLKIT_DATA/videos" --rates

The people were pointed at by eye: ``datasets/video-people``.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from toolkit.live.detect import YuNetDetector
from toolkit.live.source import open_source
from toolkit.models.catalogue import find_model
from toolkit.models.persons.finder import PersonFinder
from toolkit.models.persons.runtimes import RUNTIMES

FILM = "campus-people-360p.avi"
POINTS = Path(__file__).parents[1] / "datasets" / "video-people" / "campus-people.csv"


def frames_of(film: Path, numbers: set[int]) -> dict[int, np.ndarray]:
    """Some frames of a film, by number."""
    source, found = open_source(str(film), "film"), {}
    while len(found) < len(numbers) and (frame := source.read()) is not None:
        if frame.index in numbers:
            found[frame.index] = frame.image
    source.close()
    return found


def check(film: Path, longest_side_px: int) -> None:
    """Print recall and false alarms at the scores that continue and that start a person."""
    people: dict[int, list[tuple[float, float]]] = {}
    with POINTS.open() as file:
        for row in csv.DictReader(file):
            people.setdefault(int(row["frame"]), []).append((float(row["x"]), float(row["y"])))
    finder = PersonFinder.load(longest_side_px=longest_side_px, runtime="onnxruntime")
    frames = frames_of(film, set(people))
    for least in (0.3, 0.6):
        right = found = 0
        for number, points in people.items():
            boxes = np.array([d.box_xyxy for d in finder([frames[number]])[0] if d.score >= least])
            x, y = np.array(points).T[:, :, None]
            inside = (x >= boxes[:, 0]) & (x <= boxes[:, 2]) & (y >= boxes[:, 1]) & (y <= boxes[:, 3])
            right += int(inside[linear_sum_assignment(inside, maximize=True)].sum())
            found += len(boxes)
        total = sum(map(len, people.values()))
        print(
            f"{longest_side_px} px, score {least}: {right} of {total} people ({right / total:.2f}), "
            f"{found - right} false alarms in {len(people)} frames"
        )


def rates(seconds: float = 4.0) -> None:
    """Print CPU time and rate of a look at one picture of 640 x 360, the best of three turns."""
    picture = np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8)
    looks = {f"yolox, {name}": PersonFinder.load(runtime=name) for name in RUNTIMES[1:]}
    contenders = looks | {"yunet": YuNetDetector(find_model("yunet"), score_threshold=0.3)}
    best = dict.fromkeys(contenders, (float("inf"), 0.0))
    for _ in range(3):
        for name, look in contenders.items():
            look([picture])
            began, cpu_began, turns = time.perf_counter(), time.process_time(), 0
            while time.perf_counter() - began < seconds / 3:
                look([picture])
                turns += 1
            cpu_ms = 1000 * (time.process_time() - cpu_began) / turns
            best[name] = min(best[name], (cpu_ms, turns / (time.perf_counter() - began)))
    for name, (cpu_ms, rate) in best.items():
        print(f"{name}: {cpu_ms:.1f} ms CPU a picture, {rate:.0f} a second")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--rates", action="store_true", help="measure what a look costs")
    asked = parser.parse_args()
    if asked.rates:
        rates()
        return
    for longest_side_px in (416, 640):
        check(asked.videos / FILM, longest_side_px)


if __name__ == "__main__":
    main()
