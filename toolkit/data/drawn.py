"""Labelled faces drawn on the spot, for a first look at training and evaluation without any data set."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from toolkit.whole_files import whole_file

SIDE_PX = 64

GROUPS = {"group A": 0.8, "group B": 0.2}
"""Stand in for a data set's own race label; the second one is rare, and drawn in less contrast."""

_CONTRAST = {"group A": 1.0, "group B": 0.5}


def write_drawn_faces(path: Path, train: int = 1200, val: int = 250, test: int = 400, seed: int = 7) -> Path:
    """Write a pack of drawn faces with the splits train, val and test.

    The mouth's colour tells the gender, the grey of the hair the age, both in noise. What a model makes of
    them says nothing of people, but everything that is done with real packs can be done with this one.

    Args:
        path: of the Parquet file.
        train: faces of the split train.
        val: faces of the split val.
        test: faces of the split test.
        seed: of all chance.

    Returns:
        The path.
    """
    rng = np.random.default_rng(seed)
    rows = [
        _drawn_row(f"{split}/{number}.jpg", split, rng)
        for split, count in (("train", train), ("val", val), ("test", test))
        for number in range(count)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        pd.DataFrame(rows).to_parquet(part)
    return path


def write_drawn_folder(folder: Path, faces: int = 40, seed: int = 7) -> Path:
    """Write drawn faces as ``toolkit data prepare csv`` wants them: pictures, and a ``labels.csv``.

    Returns:
        The folder.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_drawn_row(f"{number:03d}.jpg", "", rng) for number in range(faces)]
    for row in rows:
        (folder / str(row["file"])).write_bytes(row["image"])  # type: ignore[arg-type]
    labels = pd.DataFrame(rows)[["file", "gender", "age"]]
    labels.assign(gender=labels["gender"].map({0: "male", 1: "female"})).to_csv(
        folder / "labels.csv", index=False
    )
    return folder


def _drawn_row(file: str, split: str, rng: np.random.Generator) -> dict[str, object]:
    group = str(rng.choice([*GROUPS], p=[*GROUPS.values()]))
    gender, age = int(rng.integers(2)), int(rng.integers(1, 91))
    image = _draw(gender, age, _CONTRAST[group], rng)
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    return {"file": file, "image": jpeg, "age": age, "gender": gender, "race": group, "split": split}


def _draw(gender: int, age: int, contrast: float, rng: np.random.Generator) -> np.ndarray:
    """(64, 64, 3), uint8, BGR."""
    image = np.full((SIDE_PX, SIDE_PX, 3), rng.integers(40, 90), np.float32)
    middle = (SIDE_PX // 2 + int(rng.integers(-3, 4)), SIDE_PX // 2 + int(rng.integers(-3, 4)))
    skin = np.array([110.0, 130.0, 160.0])
    cv2.ellipse(image, middle, (22, 27), 0, 0, 360, skin.tolist(), cv2.FILLED)
    for side in (-8, 8):
        cv2.circle(image, (middle[0] + side, middle[1] - 6), 3, (30.0, 30.0, 30.0), cv2.FILLED)
    redder = np.array([-50.0, -50.0, 60.0]) if gender else np.array([50.0, 20.0, -60.0])
    mouth = skin + contrast * (redder + rng.normal(0, 45, 3))
    cv2.ellipse(image, (middle[0], middle[1] + 12), (10, 4), 0, 0, 360, mouth.tolist(), cv2.FILLED)
    grey = 20 + contrast * 2.2 * age + rng.normal(0, 12)
    hair = (middle[0], middle[1] - 18)
    cv2.ellipse(image, hair, (23, 12), 0, 0, 360, (grey, grey, grey), cv2.FILLED)
    return np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
