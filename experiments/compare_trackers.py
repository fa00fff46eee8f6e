"""Trackers held against people labelled by hand, on the two crowded videos of TOOLKIT_DATA.

    python experiments/compare_trackers.py            # ours, and `trackers` (Roboflow) where it is installed

**The labels.** YuNet's detections, weak ones included, are linked by a strict rule (each other's best
overlap, at least 0.35, at most two frames apart) into short pieces. Pieces of 4 frames or more (6 on the
street) were looked at, several frames of each, and put together by eye into persons: the tables below. What
is no face, or cannot be told, is in no table, and counts for nothing.

**The scores.** Per person: `switches`, how often the number changes between two sightings; `numbers`, how
many different ones the person was given (1 is right). Per number: `mixed`, how many were given to more than
one person. `covered`: share of the sightings with a number. `idf1`: Ristani et al., Performance Measures and
a Data Set for Multi-Target, Multi-Camera Tracking, ECCV Workshops 2016, on sightings of labelled people.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

from toolkit.live.detect import YuNetDetector
from toolkit.live.matching import iou_matrix
from toolkit.live.source import open_source
from toolkit.live.track import FaceTracker
from toolkit.records import Detection

# Video: shortest piece that was looked at, and the pieces of each person, in order of their first frame.
PERSONS = {
    "arcade-faces-1080p.mp4": (
        4,
        [[0], [1, 23, 37], [2], [3, 38], [4, 19, 27, 36], [5], [6], [7, 18], [8], [17], [22], [29]],
    ),
    "street-walking-720p.mp4": (
        6,
        [
            *([0], [1], [2], [4, 12, 34], [8], [19, 22, 24, 36], [26], [27, 45, 51, 57, 71], [37, 50, 76]),
            *([42, 61, 73, 77], [49], [53, 55, 59, 64, 75], [58], [60], [62], [70], [79]),
        ],
    ),
}
_WEAKEST_SCORE = 0.3
_STRONG_SCORE = 0.6

Frames = list[list[Detection]]
Assign = Callable[[list[Detection], float], list[int | None]]
"""Detections of a frame and its time in; for each the number of its person, None where there is none."""


def detections_of(path: Path, detector: YuNetDetector) -> tuple[Frames, float]:
    """All detections of a video, weak ones too, and its frames a second."""
    source, frames = open_source(path), []
    while (frame := source.read()) is not None:
        frames += detector([frame.image])
    source.close()
    return frames, source.fps or 25.0


def pieces_of(frames: Frames, shortest: int) -> list[list[tuple[int, int]]]:
    """Short tracks that the strict rule makes: (frame, number of the detection) each."""
    pieces: list[list[tuple[int, int]]] = []
    for now, found in enumerate(frames):
        alive = [piece for piece in pieces if now - piece[-1][0] <= 2]
        linked = set()
        if alive and found:
            last = np.array([frames[piece[-1][0]][piece[-1][1]].box_xyxy for piece in alive])
            overlaps = iou_matrix(np.array([d.box_xyxy for d in found]), last)
            for number in range(len(found)):
                best = int(overlaps[number].argmax())
                if overlaps[number, best] >= 0.35 and overlaps[:, best].argmax() == number:
                    alive[best].append((now, number))
                    linked.add(number)
        pieces += [[(now, number)] for number in range(len(found)) if number not in linked]
    return sorted((p for p in pieces if len(p) >= shortest), key=lambda piece: piece[0][0])


def people_of(frames: Frames, shortest: int, persons: list[list[int]]) -> dict[tuple[int, int], int]:
    """(Frame, number of the detection) to the person it shows."""
    pieces = pieces_of(frames, shortest)
    return {at: n for n, numbers in enumerate(persons) for number in numbers for at in pieces[number]}


def score(
    assigned: list[list[int | None]], people: dict[tuple[int, int], int], every: int
) -> dict[str, float]:
    """What the numbers of a tracker are worth; see the head of this file."""
    seen: dict[int, list[int | None]] = defaultdict(list)
    for (frame, number), person in sorted(people.items()):
        if frame % every == 0:
            seen[person].append(assigned[frame][number])
    given = {person: [n for n in numbers if n is not None] for person, numbers in seen.items()}
    of_number: dict[int, Counter[int]] = defaultdict(Counter)
    for person, numbers in given.items():
        for number in numbers:
            of_number[number][person] += 1
    sightings = sum(map(len, seen.values()))
    numbered = sum(map(len, given.values()))
    return {
        "switches": sum(a != b for n in given.values() for a, b in pairwise(n)),
        "numbers": sum(len(set(numbers)) for numbers in given.values()),
        "persons": sum(bool(numbers) for numbers in given.values()),
        "mixed": sum(len(persons) > 1 for persons in of_number.values()),
        "covered": numbered / sightings,
        "idf1": 2 * _best_pairing(of_number) / (sightings + numbered),
    }


def _best_pairing(of_number: dict[int, Counter[int]]) -> int:
    from scipy.optimize import linear_sum_assignment

    table = np.array([[counts[p] for p in range(32)] for counts in of_number.values()])
    rows, columns = linear_sum_assignment(table, maximize=True)
    return int(table[rows, columns].sum())


def ours() -> Assign:
    """The tracker of this package, a track's number once it is confirmed."""
    tracker = FaceTracker()

    def assign(found: list[Detection], at_s: float) -> list[int | None]:
        tracks = {t.box_xyxy: t.track_id for t in tracker.update(found, at_s) if t.is_confirmed}
        return [tracks.get(detection.box_xyxy) for detection in found]

    return assign


def of_library(name: str, weak: bool, **settings: float) -> Callable[[], Assign] | None:
    """A tracker of the package `trackers`; None where it is not installed.

    It has its own settings but for those given, and gets weak detections if it knows what to do with them.
    """
    try:
        import supervision
        import trackers
    except ImportError:
        return None

    def make() -> Assign:
        tracker = getattr(trackers, name)(**settings)

        def assign(found: list[Detection], at_s: float) -> list[int | None]:
            used = [n for n, d in enumerate(found) if weak or d.score >= _STRONG_SCORE]
            boxes = np.array([found[n].box_xyxy for n in used], np.float32).reshape(-1, 4)
            scores = np.array([found[n].score for n in used], np.float32)
            detections = supervision.Detections(
                xyxy=boxes, confidence=scores, data={"number": np.array(used)}
            )
            followed = tracker.update(detections, timestamp=at_s)
            numbers: list[int | None] = [None] * len(found)
            for row in range(len(followed)):
                if followed.tracker_id[row] >= 0:
                    numbers[int(followed.data["number"][row])] = int(followed.tracker_id[row])
            return numbers

        return assign

    return make


def main() -> None:
    """Print the table, and write it where ``--json`` asks for it."""
    parser = argparse.ArgumentParser(description="Trackers held against people labelled by hand.")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TOOLKIT_DATA", "../shared/data")))
    parser.add_argument(
        "--every", type=int, nargs="+", default=[1, 2, 3, 5], help="detect every so many frames"
    )
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    contenders = {"ours": ours}
    library = {
        "SORT": of_library("SORTTracker", weak=False),
        "ByteTrack": of_library("ByteTrackTracker", weak=True),
        # A face is strong from 0.6 here; ByteTrack's own 0.7 starts fewer tracks.
        "ByteTrack 0.6": of_library("ByteTrackTracker", weak=True, track_activation_threshold=_STRONG_SCORE),
        "OCSORT": of_library("OCSORTTracker", weak=True),
    }
    contenders |= {f"trackers {name}": make for name, make in library.items() if make}
    if len(contenders) == 1:
        print("the package `trackers` is not installed: ours alone")
    detector = YuNetDetector(
        asked.data / "models" / "face_detection_yunet_2026may.onnx", score_threshold=_WEAKEST_SCORE
    )
    rows = []
    for video, (shortest, persons) in PERSONS.items():
        frames, fps = detections_of(asked.data / "videos" / video, detector)
        people = people_of(frames, shortest, persons)
        for every in asked.every:
            for name, make in contenders.items():
                rows.append({"video": video, "every": every, "tracker": name})
                rows[-1] |= run(make(), frames, fps, people, every)
                print(_line(rows[-1]), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def run(
    assign: Assign, frames: Frames, fps: float, people: dict[tuple[int, int], int], every: int
) -> dict[str, float]:
    """The scores of a tracker over one video, and its CPU time per frame in microseconds."""
    began = time.process_time()
    assigned = [assign(found, n / fps) if n % every == 0 else [] for n, found in enumerate(frames)]
    spent_s = time.process_time() - began
    return score(assigned, people, every) | {"us_per_frame": 1e6 * spent_s / len(frames[::every])}


def _line(row: dict) -> str:
    return (
        f"{row['video'].split('-')[0]:7} every {row['every']}  {row['tracker']:22} "
        f"switches {row['switches']:3} "
        f"numbers {row['numbers']:3} for {row['persons']:2} persons  mixed {row['mixed']:2}  "
        f"covered {row['covered']:.2f}  idf1 {row['idf1']:.3f}  {row['us_per_frame']:5.0f} us/frame"
    )


if __name__ == "__main__":
    main()
