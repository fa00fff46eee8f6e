"""A folder of pictures becomes a pack."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from made_faces import draw_face, draw_textured_face

from toolkit.data.faces import load_faces
from toolkit.data.prepare import prepare
from toolkit.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty faces with a table; each of the last ten is a smaller copy of one of the first ten."""
    folder = tmp_path / "own"
    folder.mkdir()
    lines = ["file,gender,age,person"]
    for number in range(40):
        image = draw_textured_face(number % 30 % 2, 30, 160, seed=number % 30)
        image = cv2.resize(image, (80, 80), interpolation=cv2.INTER_AREA) if number >= 30 else image
        cv2.imwrite(str(folder / f"{number}.png"), image)
        person = "anna" if number in (10, 11, 12) else ""
        lines.append(f"{number}.png,{'mf'[number % 2]},{20 + number % 30},{person}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def test_a_pack_holds_small_pictures_with_their_labels(folder: Path, tmp_path: Path) -> None:
    report = prepare("csv", folder, tmp_path / "out" / "own.parquet", side_px=96)

    faces = load_faces(tmp_path / "out" / "own.parquet")
    assert len(faces) == sum(report.splits.values()) == 40
    assert faces.picture(0).shape == (96, 96, 3)
    assert faces.picture(39).shape == (80, 80, 3)
    assert (faces.ages_lo[3], faces.genders[3]) == (23, 1)
    assert report.sha256 == faces.sha256
    assert "race" not in faces.rows


def test_copies_and_one_persons_pictures_stay_in_one_split(folder: Path, tmp_path: Path) -> None:
    report = prepare("csv", folder, tmp_path / "own.parquet")

    rows = pd.read_parquet(tmp_path / "own.parquet")
    splits = rows["split"].tolist()
    assert splits[:10] == splits[30:]
    assert len(set(splits[10:13])) == 1
    assert len(set(splits)) > 1
    assert report.duplicate_groups == 10
    assert rows["dup_group"].notna().sum() == 20


def test_copies_with_other_labels_are_counted(folder: Path, tmp_path: Path) -> None:
    table = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(table.replace("35.png,f,25", "35.png,f,60"))

    assert prepare("csv", folder, tmp_path / "own.parquet").disagreeing_groups == 1


def test_a_small_jpeg_is_kept_byte_for_byte(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), draw_face(0, 30, 96))
    (tmp_path / "labels.csv").write_text("file,gender,age,split\na.jpg,m,30,train\n")

    prepare("csv", tmp_path, tmp_path / "own.parquet")

    assert pd.read_parquet(tmp_path / "own.parquet")["image"][0] == (tmp_path / "a.jpg").read_bytes()


def test_a_long_strip_keeps_a_pixel_of_its_width(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((10, 4000, 3), 90, np.uint8))
    (tmp_path / "labels.csv").write_text("file,gender,age,split\na.png,m,30,train\n")

    prepare("csv", tmp_path, tmp_path / "own.parquet", side_px=128)

    assert load_faces(tmp_path / "own.parquet").picture(0).shape == (1, 128, 3)


def test_a_broken_and_a_missing_picture_are_both_named_and_nothing_is_written(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "3.png").write_bytes(b"broken")
    (folder / "7.png").unlink()

    with pytest.raises(DataError, match=r"3\.png: not a picture; 7\.png: No such file"):
        prepare("csv", folder, tmp_path / "own.parquet")

    assert not (tmp_path / "own.parquet").exists()


def test_a_picture_that_claims_a_billion_pixels_is_named(folder: Path, tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    parts = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    (folder / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))

    with pytest.raises(DataError, match=r"3\.png: not a picture"):
        prepare("csv", folder, tmp_path / "own.parquet")


def test_a_name_that_no_file_can_have_is_named(folder: Path, tmp_path: Path) -> None:
    table = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(table.replace("3.png", "3\0.png", 1))

    with pytest.raises(DataError, match=r"3\0\.png: embedded null byte"):
        prepare("csv", folder, tmp_path / "own.parquet")


def test_many_bad_labels_are_counted(folder: Path, tmp_path: Path) -> None:
    table = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(table.replace(",2", ",2000").replace(",3", ",3000"))

    with pytest.raises(DataError, match=r"ages must lie in 0\.\.120.*0\.png: ages 2000.*and \d+ more"):
        prepare("csv", folder, tmp_path / "own.parquet")


def test_an_unknown_layout_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean 'utkface'"):
        prepare("utkfaces", tmp_path, tmp_path / "x.parquet")


def test_a_missing_folder_points_to_the_card(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*datasets/adience/README\.md"):
        prepare("adience", tmp_path / "nowhere", tmp_path / "x.parquet")
