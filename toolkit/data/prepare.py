"""A data set as it comes, packed into the one form everything reads: a Parquet of small JPEGs with labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from toolkit.data.duplicates import Groups, group_duplicates, perceptual_hash
from toolkit.data.faces import MAX_AGE_YEARS, load_faces
from toolkit.data.labels import LabelledPicture
from toolkit.data.layouts import LAYOUTS
from toolkit.data.splits import assign_splits
from toolkit.errors import DataError, did_you_mean
from toolkit.pictures import decoded
from toolkit.whole_files import whole_file

SIDE_PX = 128
JPEG_QUALITY = 95
_NAMED = 5
"""Bad rows an error names; it counts the rest."""

OnPictures = Callable[[int, int], None]
"""Called with pictures done and pictures in all."""


@dataclass
class PrepareReport:
    """What was packed.

    Attributes:
        path: of the pack.
        sha256: its digest, for the data card.
        splits: pictures in each split.
        duplicate_groups: groups of pictures that look identical.
        disagreeing_groups: those of them whose labels differ.
        left_out: pictures like one of a split of the data set's own that is looked at less.
        bytes: size of the pack.
    """

    path: Path
    sha256: str = ""
    splits: dict[str, int] = field(default_factory=dict)
    duplicate_groups: int = 0
    disagreeing_groups: int = 0
    left_out: int = 0
    bytes: int = 0


def prepare(
    name: str,
    folder: Path,
    target: Path,
    side_px: int = SIDE_PX,
    on_progress: OnPictures | None = None,
) -> PrepareReport:
    """Pack a data set.

    Pictures that look identical (by a perceptual hash) and pictures of one person never straddle a split.

    Args:
        name: of a layout: ``utkface``, ``fairface``, ``adience``, ``csv``, ``market1501``, ``pa100k``.
        folder: where the data set lies.
        target: the Parquet file to write.
        side_px: pictures are shrunk until their longer side is at most this; smaller ones stay as they are.
        on_progress: called after each picture.

    Raises:
        DataError: no such layout, the folder does not hold it, a label is out of range, or a picture cannot
            be read; the text names the rows.
    """
    if name not in LAYOUTS:
        raise DataError(f"no data set layout {name!r}; {did_you_mean(name, LAYOUTS)}")
    if not folder.is_dir():
        raise DataError(f"no folder {folder}; datasets/{name}/README.md says where the data comes from")
    pictures = _checked(list(LAYOUTS[name].read(folder)), folder)
    jpegs, hashes = _read(pictures, side_px, on_progress)
    looks = group_duplicates(hashes)
    groups = Groups(len(pictures))
    groups.join(enumerate(looks.tolist()))
    groups.join_alike([picture.person for picture in pictures])
    splits = assign_splits(groups.numbers(), [p.split for p in pictures], [p.file for p in pictures])
    rows = _rows(pictures, jpegs, looks, splits)
    left_out = int((rows["split"] == "").sum())
    rows = rows[rows["split"] != ""]
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as part:
        rows.to_parquet(part, index=False)
    return _report(target, rows, left_out)


def _checked(pictures: list[LabelledPicture], folder: Path) -> list[LabelledPicture]:
    if not pictures:
        raise DataError(f"{folder} holds no labelled picture")
    bad = [
        f"{p.file}: ages {p.age_lo}..{p.age_hi}"
        for p in pictures
        if not 0 <= p.age_lo <= p.age_hi <= MAX_AGE_YEARS
    ]
    if bad:
        raise DataError(f"ages must lie in 0..{MAX_AGE_YEARS}, the first at most the second: {_some(bad)}")
    return pictures


def _read(
    pictures: list[LabelledPicture], side_px: int, on_progress: OnPictures | None
) -> tuple[list[bytes], np.ndarray]:
    """The pictures as small JPEGs, and their hashes (N, 16)."""
    jpegs, hashes, broken = [], [], []
    for done, picture in enumerate(pictures, start=1):
        try:
            content = picture.path.read_bytes()
        except (OSError, ValueError) as error:
            # No file has a NUL byte in its name: that is a ValueError, which has no strerror.
            broken.append(f"{picture.file}: {getattr(error, 'strerror', error)}")
            continue
        image = decoded(content)
        if image is None:
            broken.append(f"{picture.file}: not a picture")
            continue
        hashes.append(perceptual_hash(image))
        jpegs.append(_small(content, image, side_px))
        if on_progress:
            on_progress(done, len(pictures))
    if broken:
        raise DataError(f"remove these from the labels, or get them again: {_some(broken)}")
    return jpegs, np.stack(hashes)


def _small(content: bytes, image: np.ndarray, side_px: int) -> bytes:
    """The file itself where it is a small JPEG: every new compression loses a little."""
    scale = side_px / max(image.shape)
    if scale >= 1 and content.startswith(b"\xff\xd8"):
        return content
    if scale < 1:
        # Of a strip 400 times as long as wide, the width would be rounded to nothing.
        fy, fx = (max(scale, 1 / side) for side in image.shape[:2])
        image = cv2.resize(image, None, fx=fx, fy=fy, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _rows(
    pictures: list[LabelledPicture], jpegs: list[bytes], looks: np.ndarray, splits: list[str]
) -> pd.DataFrame:
    rows = pd.DataFrame([vars(picture) for picture in pictures]).drop(columns=["path"])
    is_alone = np.bincount(looks, minlength=len(looks))[looks] == 1
    dup_group = pd.Series(looks, dtype="Int64").mask(is_alone)
    rows = rows.assign(image=jpegs, split=splits, dup_group=dup_group)
    # A label that the data set does not have is no column, rather than a column of nothing.
    return rows.drop(columns=[name for name in ("race", "person") if (rows[name] == "").all()])


def _report(target: Path, rows: pd.DataFrame, left_out: int) -> PrepareReport:
    of_group = rows.dropna(subset=["dup_group"]).groupby("dup_group")[["gender", "age_lo", "age_hi"]]
    return PrepareReport(
        target,
        load_faces(target).sha256,
        dict(Counter(rows["split"])),
        len(of_group),
        int((of_group.nunique() > 1).any(axis=1).sum()) if len(of_group) else 0,
        left_out,
        target.stat().st_size,
    )


def _some(problems: list[str]) -> str:
    more = f" and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
    return "; ".join(problems[:_NAMED]) + more
