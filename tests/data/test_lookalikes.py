"""Look-alikes that straddle the splits of a pack are not learned from."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from made_faces import draw_textured_face, face_rows, jpeg

from toolkit.data.faces import FaceTable, load_faces
from toolkit.data.lookalikes import without_lookalikes
from toolkit.errors import DataError


def pack(path: Path, *rows: pd.DataFrame) -> FaceTable:
    pd.concat(rows, ignore_index=True).to_parquet(path)
    return load_faces(path)


def copies(split: str, of: int, count: int = 1) -> pd.DataFrame:
    """Rows of one picture, which ``of`` tells from those of others."""
    image = jpeg(draw_textured_face(0, 30, side_px=48, seed=of))
    rows = face_rows(count, split).assign(image=[image] * count)
    return rows.assign(file=[f"copy/{split}/{of}/{number}.jpg" for number in range(count)])


@pytest.mark.parametrize(
    ("one", "other", "kept"),
    [
        ("train", "test", ["test"]),
        ("train", "val", ["val"]),
        ("val", "test", ["test"]),
        ("test", "test", ["test", "test"]),
        ("train", "train", ["train", "train"]),
        ("train", "aside", ["train", "aside"]),
    ],
)
def test_of_look_alikes_those_of_the_strictest_split_stay(
    tmp_path: Path, one: str, other: str, kept: list[str]
) -> None:
    faces = pack(tmp_path / "made.parquet", face_rows(6), copies(one, of=1), copies(other, of=1))

    left = without_lookalikes(faces).rows

    assert (left["file"].str.startswith("train/")).sum() == 6
    assert left.loc[left["file"].str.startswith("copy/"), "split"].tolist() == kept


def test_rows_keep_their_place_in_the_file(tmp_path: Path) -> None:
    straddling = copies("train", of=1, count=2), copies("test", of=1)
    faces = pack(tmp_path / "made.parquet", *straddling, face_rows(2))

    assert without_lookalikes(faces).rows.index.tolist() == [2, 3, 4]


def test_a_broken_picture_is_named_by_its_row(tmp_path: Path) -> None:
    rows = face_rows(4)
    rows.at[2, "image"] = b"no picture"

    with pytest.raises(DataError, match=r"made.parquet row 2 \(train/2.jpg\): image cannot be decoded"):
        without_lookalikes(pack(tmp_path / "made.parquet", rows))
