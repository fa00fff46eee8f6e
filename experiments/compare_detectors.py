"""Our face detector beside YuNet and Haar: what each finds on checked frames of films, and how fast.

    python experiments/compare_detectors.py --videos "$TOOLKIT_DATA/videos" --json detectors.json

The frames and the boxes of their faces are those of ``datasets/video-faces/faces.json``; films that are not
in the folder are left out and named. With ``--made N`` also N made pictures of held-back faces are looked at,
with ``--rates`` the pictures a second of each detector on the cores the process may use, on those frames.
With ``--once`` ours looks at nothing a second time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from toolkit.errors import DataError, ToolkitError
from toolkit.evaluation.detection import LookedAt, at_score, detection_curve, recall_at, score_detector
from toolkit.live.detect import FaceDetector, HaarDetector, YuNetDetector
from toolkit.live_parts import FACE_ODDS
from toolkit.models.catalogue import find_model
from toolkit.models.detector.finder import FaceFinder
from toolkit.models.runtimes.base import usable_threads

CHECKED = Path(__file__).parent.parent / "datasets" / "video-faces" / "faces.json"

LEAST_PX = 24
"""Smaller faces are told of as well, but this is where detectors are held against each other."""

_LEAST_SCORE, _LIVE_SCORE = 0.005, 0.3
_TURNS, _TURN_S = 7, 0.4

Checked = list[tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Pictures (H, W, 3) uint8 BGR, the boxes of their faces, and of what is ignored."""


def main() -> None:
    """Print a table for what is found, and one for the rates."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--videos", type=Path, help="folder of the films that were checked")
    options.add_argument("--made", type=int, default=0, metavar="N", help="made pictures to look at")
    options.add_argument("--data", default="fairface_train_112", help="pack whose split val is in them")
    options.add_argument("--checkpoint", default="shipped")
    options.add_argument("--side", type=int, default=640, help="longest side of what is searched, in pixels")
    options.add_argument("--runtime", default="auto")
    options.add_argument("--once", action="store_true", help="ours looks at candidates no second time")
    options.add_argument("--rates", action="store_true", help="also measure pictures a second")
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    if given.videos is None and not given.made:
        options.error("nothing to look at: give --videos FOLDER, or --made N")
    try:
        report = _compared(given)
    except ToolkitError as error:
        sys.exit(f"error: {error}")
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


def _compared(given: argparse.Namespace) -> dict[str, Any]:
    contenders = _contenders(given, _LEAST_SCORE)
    report: dict[str, Any] = {"longest_side_px": given.side, "runtime": given.runtime}
    films = checked_frames(given.videos) if given.videos else []
    if films:
        report["films"] = _told("checked frames of films", contenders, films)
    if given.made:
        report["made"] = _told("made pictures", contenders, made_pictures(given.data, given.made))
    if given.rates:
        # As a live run asks: very weak boxes would cost time that nobody spends.
        report["rates"] = _rates(_contenders(given, _LIVE_SCORE), [picture for picture, _, _ in films])
    return report


def _contenders(given: argparse.Namespace, least_score: float) -> dict[str, FaceDetector]:
    contenders: dict[str, FaceDetector] = {
        "ours": FaceFinder.load(
            given.checkpoint,
            longest_side_px=given.side,
            score_threshold=least_score,
            runtime=given.runtime,
            face_odds=FACE_ODDS,
            looks_twice=not given.once,
        )
    }
    try:
        contenders["yunet"] = YuNetDetector(find_model("yunet"), given.side, score_threshold=least_score)
    except ToolkitError as error:
        print(f"yunet is missing: {error}")
    contenders["haar"] = HaarDetector(given.side, smallest_face_px=16)
    return contenders


def checked_frames(folder: Path) -> Checked:
    """The checked frames of the films in a folder.

    Raises:
        DataError: none of the films is there, or one is shorter than it was.
    """
    checked: Checked = []
    films = json.loads(CHECKED.read_text(encoding="utf-8"))
    for name, film in films.items():
        if not (folder / name).is_file():
            print(f"{name} is not in {folder}: left out")
            continue
        pictures = _pictures_of(folder / name, {int(number) for number in film["frames"]})
        for number, marked in film["frames"].items():
            faces, ignored = (
                np.array(marked[key], np.float32).reshape(-1, 4) for key in ("faces", "ignored")
            )
            checked.append((pictures[int(number)], faces, ignored))
    if not checked:
        raise DataError(
            f"{folder} holds none of {', '.join(films)}; datasets/video-faces/README.md says more"
        )
    return checked


def _pictures_of(path: Path, numbers: set[int]) -> dict[int, np.ndarray]:
    """Frames by number, decoded one after the other: to seek lands beside them in some films."""
    film, pictures = cv2.VideoCapture(str(path)), {}
    for number in range(max(numbers) + 1):
        is_there, picture = film.read()
        if not is_there:
            raise DataError(f"{path} ends at frame {number}, and frame {max(numbers)} was checked")
        if number in numbers:
            pictures[number] = picture
    film.release()
    return pictures


def made_pictures(data: str, count: int, side_px: int = 640) -> Checked:
    """Made pictures of faces that nobody learned from."""
    from toolkit.data.faces import load_faces
    from toolkit.data.store import decoded_pictures
    from toolkit.training.detector_pictures import PictureMaker

    maker = PictureMaker(decoded_pictures(load_faces(data, "val"), 112), side_px, seed=(99, 1), pool=200)
    made = [maker.make() for _ in range(count)]
    return [(one.image, one.boxes_xyxy[one.is_asked], one.boxes_xyxy[~one.is_asked]) for one in made]


def _told(title: str, contenders: dict[str, FaceDetector], checked: Checked) -> dict[str, Any]:
    looked = {name: look(detector, checked) for name, detector in contenders.items()}
    scores = {name: score_detector(pictures) for name, pictures in looked.items()}
    ours = scores["ours"]
    sizes = list(ours["by_size_px"])
    print(f"\n{title}: {len(checked)} pictures, {ours['faces']} faces; average precision, and by size")
    print(f"{'':8}{'all':>7}" + "".join(f"{size:>9}" for size in sizes))
    counts = "".join(f"{ours['by_size_px'][size]['faces']:>9}" for size in sizes)
    print(f"{'faces':8}{ours['faces']:>7}{counts}")
    for name, score in scores.items():
        row = "".join(f"{score['by_size_px'][size]['average_precision']:>9.3f}" for size in sizes)
        print(f"{name:8}{score['average_precision']:>7.3f}{row}")
    beside = _beside_yunet(looked) if "yunet" in looked else {}
    for threshold, row in beside.items():
        alarms = f"{row['false_alarms_per_picture']:.2f} false alarms a picture"
        print(
            f"recall from {LEAST_PX} px on: yunet at score {threshold} {row['yunet']:.3f} with {alarms}; "
            f"with as many, ours {row['ours']:.3f}, haar {row['haar']:.3f}"
        )
        print(
            f"  ours at that score, with the odds of live runs: {row['ours_at_score']:.3f} "
            f"with {row['ours_false_alarms_per_picture']:.2f}"
        )
    return {"scores": scores, "beside_yunet": beside}


def _beside_yunet(looked: dict[str, list[LookedAt]]) -> dict[str, dict[str, float]]:
    """Recall of each at the false alarms that YuNet gives at scores in use."""
    curves = {name: detection_curve(pictures, least_px=LEAST_PX) for name, pictures in looked.items()}
    rows = {}
    for threshold in (0.3, 0.6, 0.8):
        recall, alarms = at_score(curves["yunet"], threshold)
        others = {name: recall_at(curve, alarms) for name, curve in curves.items() if name != "yunet"}
        ours, ours_alarms = at_score(curves["ours"], threshold)
        rows[f"{threshold:g}"] = {"yunet": recall, "false_alarms_per_picture": alarms, **others} | {
            "ours_at_score": ours,
            "ours_false_alarms_per_picture": ours_alarms,
        }
    return rows


def look(detector: FaceDetector, checked: Checked) -> list[LookedAt]:
    """What a detector finds in every picture."""
    looked = []
    for picture, faces, ignored in checked:
        [found] = detector([picture])
        boxes = np.array([one.box_xyxy for one in found], np.float32).reshape(-1, 4)
        looked.append(LookedAt(boxes, np.array([one.score for one in found]), faces, ignored))
    return looked


def _rates(contenders: dict[str, FaceDetector], pictures: Sequence[np.ndarray]) -> dict[str, Any]:
    """Rate of each, one by one and in batches of 16, and its CPU time, in turns; and ours by the others'."""
    frames = [cv2.resize(picture, (640, 360)) for picture in pictures] or [np.zeros((360, 640, 3), np.uint8)]
    frames = (frames * 16)[:16]
    # OpenCV counts the machine's cores, of which this process may have fewer.
    cv2.setNumThreads(usable_threads())
    for detector in contenders.values():
        detector(frames)
    turns: dict[str, dict[str, list[float]]] = {name: {} for name in contenders}
    for _ in range(_TURNS):
        for name, detector in contenders.items():
            for size in (1, 16):
                per_s, cpu_ms = _rate(detector, frames, size)
                turns[name].setdefault(f"batch_{size}_per_s", []).append(per_s)
            turns[name].setdefault("cpu_ms", []).append(cpu_ms)
    rates = {name: {key: float(np.median(of)) for key, of in row.items()} for name, row in turns.items()}
    print(f"\npictures a second, 640 x 360, {usable_threads()} cores, medians of {_TURNS} turns")
    for name, row in rates.items():
        print(f"{name:8}" + "  ".join(f"{key} {rate:8.1f}" for key, rate in row.items()))
    times = {}
    for name in [name for name in contenders if name != "ours"]:
        of_turns = np.divide(turns["ours"]["batch_16_per_s"], turns[name]["batch_16_per_s"])
        least, median, most = np.percentile(of_turns, (0, 50, 100)).tolist()
        times[name] = {"least": least, "median": median, "most": most}
        print(f"in batches of 16, ours is {median:.2f} times as quick as {name} ({least:.2f} to {most:.2f})")
    ours = contenders["ours"]
    told = ours.runtime_for((360, 640)).described() if isinstance(ours, FaceFinder) else {}
    print(f"ours runs in {told.get('name')}, {told.get('threads')} threads")
    return {"pictures_per_s": rates, "times_as_quick": times, "runtime": told, "cores": usable_threads()}


def _rate(detector: FaceDetector, frames: Sequence[np.ndarray], size: int) -> tuple[float, float]:
    """Pictures a second, and milliseconds of CPU time a picture, of all threads together."""
    done, start, cpu_start = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < _TURN_S:
        for first in range(0, len(frames), size):
            detector(frames[first : first + size])
        done += len(frames)
    per_s = done / (time.perf_counter() - start)
    return per_s, (time.process_time() - cpu_start) / done * 1e3


if __name__ == "__main__":
    main()
