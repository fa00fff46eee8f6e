"""Decoded pictures: the pictures of the pack, made once."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from made_faces import face_rows, write_pack

from toolkit.data.faces import FaceTable, load_faces
from toolkit.data.store import decoded_pictures, square
from toolkit.errors import DataError


@pytest.fixture
def faces(tmp_path: Path) -> FaceTable:
    return load_faces(write_pack(tmp_path / "made.parquet"))


def test_stored_pictures_are_those_of_the_pack(faces: FaceTable, tmp_path: Path) -> None:
    stored = decoded_pictures(faces, 112, tmp_path / "store")

    assert stored.shape == (18, 48, 48, 3)
    assert all(np.array_equal(stored[index], faces.picture(index)) for index in range(18))


def test_large_pictures_are_stored_smaller(faces: FaceTable, tmp_path: Path) -> None:
    assert decoded_pictures(faces, 32, tmp_path).shape == (18, 32, 32, 3)


def test_the_second_call_reads_the_file_of_the_first(faces: FaceTable, tmp_path: Path) -> None:
    decoded_pictures(faces, 48, tmp_path / "store")
    (path,) = (tmp_path / "store").iterdir()
    os.utime(path, (0, 0))

    decoded_pictures(faces, 48, tmp_path / "store")

    assert path.stat().st_mtime == 0


def test_each_split_has_a_file_of_its_own(faces: FaceTable, tmp_path: Path) -> None:
    train = decoded_pictures(faces.split("train"), 48, tmp_path)
    val = decoded_pictures(faces.split("val"), 48, tmp_path)

    assert (len(train), len(val)) == (12, 6)
    assert np.array_equal(val[0], faces.picture(12))


def test_a_broken_picture_is_named_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.data.store._LOOKED_AT", 2)
    rows = face_rows(6)
    rows.at[4, "image"] = b"broken"
    rows.to_parquet(tmp_path / "made.parquet")

    with pytest.raises(DataError, match=r"row 4 \(train/4.jpg\)"):
        decoded_pictures(load_faces(tmp_path / "made.parquet"), 48, tmp_path / "store")

    assert list((tmp_path / "store").iterdir()) == []


def test_a_full_disk_is_told_before_the_pictures_are_decoded(
    faces: FaceTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, f"No room for {size} bytes")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)

    with pytest.raises(DataError, match=f"No room for {18 * 48 * 48 * 3 + 128} bytes; make room"):
        decoded_pictures(faces, 48, tmp_path / "store")

    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_sets_no_room_aside_is_written_to_all_the_same(
    faces: FaceTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(handle: int, start: int, size: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)

    assert len(decoded_pictures(faces, 48, tmp_path / "store")) == len(faces)


def test_one_small_picture_does_not_shrink_the_others(tmp_path: Path) -> None:
    rows = face_rows(6)
    rows.at[0, "image"] = cv2.imencode(".jpg", np.zeros((20, 20, 3), np.uint8))[1].tobytes()
    rows.to_parquet(tmp_path / "made.parquet")

    pictures = decoded_pictures(load_faces(tmp_path / "made.parquet"), 64, tmp_path / "store")

    assert pictures.shape == (6, 48, 48, 3)


def test_tables_put_together_from_several_keep_their_pictures_apart(tmp_path: Path) -> None:
    parts = [face_rows(4), face_rows(4).iloc[::-1].assign(split="val")]
    pd.concat(parts).to_parquet(tmp_path / "made.parquet")
    faces = load_faces(tmp_path / "made.parquet")

    train, val = (decoded_pictures(faces.split(name), 48, tmp_path / "store") for name in ("train", "val"))

    assert (train == val[::-1]).all()
    assert not (train == val).all()


def test_a_picture_that_is_not_square_keeps_its_proportions() -> None:
    tall = np.zeros((40, 20, 3), np.uint8)
    tall[:, :10] = 200

    middle = square(tall, 20)[10, :, 0].tolist()

    assert middle == [200] * 10 + [0] * 10
