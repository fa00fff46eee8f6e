"""How wide to cut around a detector's face box, and how small a face may be, for a model of faces.

    python experiments/crop_margin.py --checkpoint shipped --json crop_margin.json

Pictures of the validation split are enlarged and given a border, YuNet looks for the face in them, and the
model judges what is cut around its box with several margins, the whole picture, and the whole picture made
small. Beyond the edge of a picture its last pixels are repeated, where a camera would show what is there:
wide margins come out a little worse here than they are.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from toolkit.crops import cut_crops
from toolkit.data.faces import FaceTable, load_faces
from toolkit.evaluation.scores import score_table
from toolkit.evaluation.table import table_of
from toolkit.live.detect import YuNetDetector
from toolkit.models.catalogue import find_model
from toolkit.models.predictor import Predictor

MARGINS = (-0.1, -0.05, 0.0, 0.05, 0.1)
SMALL_PX = (32, 24, 16)
FRAME_PX = 224
"""Side a picture is enlarged to before the search; the border around it is half of that."""


def main() -> None:
    """Print a row for each way to cut."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--data", default="fairface_train_112")
    options.add_argument("--checkpoint", default="shipped")
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    faces, predictor = load_faces(given.data, "val"), Predictor.load(given.checkpoint)
    framed = [with_border(faces.picture(index)) for index in range(len(faces))]
    boxes = face_boxes(framed)
    found = [index for index, box in enumerate(boxes) if box is not None]
    seen = FaceTable(faces.name, faces.path, faces.rows.iloc[found])
    pictures = [faces.picture(index) for index in found]

    ways = {"whole picture": pictures}
    for margin in MARGINS:
        cut = [cut_crops(framed[index], boxes[index], margin)[0].image for index in found]
        ways[f"box, margin {margin:+.2f}"] = cut
    for side_px in SMALL_PX:
        ways[f"whole picture at {side_px} px"] = [
            cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_AREA) for picture in pictures
        ]
    rows = {}
    print(f"a face was found in {len(found)} of {len(faces)} pictures")
    for name, crops in ways.items():
        scores = score_table(table_of(predictor.predict_arrays(crops), seen))
        rows[name] = {key: scores[key] for key in ("gender_accuracy", "age_group_accuracy", "age_mae_years")}
        print(f"{name:24} " + "  ".join(f"{key} {value:.3f}" for key, value in rows[name].items()))
    if given.json:
        given.json.write_text(
            json.dumps({"found": len(found), "of": len(faces), "ways": rows}, indent=2) + "\n"
        )


def with_border(picture: np.ndarray) -> np.ndarray:
    """The picture enlarged, in the middle of a square twice its side."""
    large = cv2.resize(picture, (FRAME_PX, FRAME_PX), interpolation=cv2.INTER_CUBIC)
    return cv2.copyMakeBorder(large, *[FRAME_PX // 2] * 4, cv2.BORDER_REPLICATE)


def face_boxes(framed: list[np.ndarray]) -> list[np.ndarray | None]:
    """The box (1, 4) of the face nearest to the middle of each picture; None where no face was found."""
    boxes: list[np.ndarray | None] = []
    for detections in YuNetDetector(find_model("yunet"))(framed):
        found = np.array([detection.box_xyxy for detection in detections])
        if len(found) == 0:
            boxes.append(None)
            continue
        centres = (found[:, :2] + found[:, 2:]) / 2
        boxes.append(found[np.abs(centres - FRAME_PX).sum(axis=1).argmin()][None])
    return boxes


if __name__ == "__main__":
    main()
