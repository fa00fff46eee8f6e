"""Face packs drawn on the spot: colour tells the gender, brightness the age."""

from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd


def draw_face(gender: int, age: int, side_px: int = 48, seed: int = 0) -> np.ndarray:
    """(S, S, 3), uint8, BGR: an ellipse with eyes; blue for male, red for female, lighter with age."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 60, (side_px, side_px, 3), dtype=np.uint8)
    light = 80 + min(age, 100)
    colour = (light, 60, 60) if gender == 0 else (60, 60, light)
    centre, axes = (side_px // 2, side_px // 2), (side_px // 3, side_px * 2 // 5)
    cv2.ellipse(image, centre, axes, 0, 0, 360, colour, -1)
    for x in (side_px * 2 // 5, side_px * 3 // 5):
        cv2.circle(image, (x, side_px * 2 // 5), side_px // 16, (20, 20, 20), -1)
    return image


def draw_textured_face(gender: int, age: int, side_px: int, seed: int) -> np.ndarray:
    """A face in patches of light that differ from seed to seed: no two look identical."""
    patches = np.random.default_rng(seed).uniform(0.4, 1.0, (6, 6)).astype(np.float32)
    light = cv2.resize(patches, (side_px, side_px), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(draw_face(gender, age, side_px, seed) * light, 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray) -> bytes:
    """The picture as JPEG."""
    return cv2.imencode(".jpg", image)[1].tobytes()


def face_rows(count: int = 12, split: str = "train", side_px: int = 48) -> pd.DataFrame:
    """Rows of a grouped pack: genders take turns, ages go through three groups, no two faces look alike."""
    groups = [(3, 9), (20, 29), (70, 100)]
    rows = []
    for index in range(count):
        gender, (lo, hi) = index % 2, groups[index % 3]
        seed = index + zlib.crc32(split.encode())
        image = jpeg(draw_textured_face(gender, (lo + hi) // 2, side_px, seed))
        row = {"file": f"{split}/{index}.jpg", "image": image, "gender": gender, "age_lo": lo, "age_hi": hi}
        rows.append(row | {"race": "Blue" if index % 4 < 2 else "Green", "split": split})
    return pd.DataFrame(rows)


def write_pack(path: Path, train: int = 12, val: int = 6) -> Path:
    """A pack with both splits at ``path``."""
    pd.concat([face_rows(train, "train"), face_rows(val, "val")], ignore_index=True).to_parquet(path)
    return path
