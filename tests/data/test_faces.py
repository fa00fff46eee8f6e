"""Face packs: what is read, and what is refused by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from made_faces import face_rows, write_pack

from toolkit.data.faces import load_faces
from toolkit.errors import DataError


def test_a_pack_is_read_with_its_pictures_and_labels(tmp_path: Path) -> None:
    faces = load_faces(write_pack(tmp_path / "made.parquet"), split="train")

    assert len(faces) == 12
    assert faces.picture(1).shape == (48, 48, 3)
    assert faces.genders.tolist()[:3] == [0, 1, 0]
    assert (faces.ages_lo[1], faces.ages_hi[1]) == (20, 29)


def test_a_pack_is_found_by_name_under_toolkit_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "faces").mkdir()
    path = write_pack(tmp_path / "faces" / "made.parquet")
    monkeypatch.setenv("TOOLKIT_DATA", str(tmp_path))

    assert load_faces("made").path == path


def test_a_missing_pack_says_where_it_was_sought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLKIT_DATA", str(tmp_path))

    with pytest.raises(DataError, match=r"no face pack 'nowhere'.*faces/nowhere\.parquet.*README"):
        load_faces("nowhere")


def test_without_toolkit_data_the_error_tells_to_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOOLKIT_DATA", raising=False)

    with pytest.raises(DataError, match="set TOOLKIT_DATA"):
        load_faces("nowhere")


def test_an_exact_age_becomes_an_interval_of_one_year(tmp_path: Path) -> None:
    rows = face_rows(2).drop(columns=["age_lo", "age_hi"]).assign(age=[31, 116])
    rows.to_parquet(tmp_path / "exact.parquet")

    faces = load_faces(tmp_path / "exact.parquet")

    assert faces.ages_lo.tolist() == faces.ages_hi.tolist() == [31, 116]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("gender", 2, r"row 3 \(train/3.jpg\): gender must be 0"),
        ("age_hi", 200, r"row 3 \(train/3.jpg\): ages must lie in 0..120"),
        ("age_lo", 119, r"row 3 \(train/3.jpg\): age_lo must not exceed age_hi"),
        ("age_hi", 99.5, r"row 3 \(train/3.jpg\): ages are whole years"),
        ("split", None, r"row 3 \(train/3.jpg\): split must be a name, such as train"),
        ("image", None, r"row 3 \(train/3.jpg\): image must be JPEG bytes"),
    ],
)
def test_a_bad_label_is_refused_with_its_row(
    tmp_path: Path, column: str, value: object, message: str
) -> None:
    rows = face_rows(6)
    values = rows[column].tolist()
    values[3] = value
    rows[column] = values
    rows.to_parquet(tmp_path / "bad.parquet")

    with pytest.raises(DataError, match=message):
        load_faces(tmp_path / "bad.parquet")


@pytest.mark.parametrize("image", ["train/0.jpg", {"bytes": b"", "path": "train/0.jpg"}])
def test_a_pack_whose_pictures_are_no_bytes_is_refused(tmp_path: Path, image: object) -> None:
    face_rows(2).assign(image=[image, image]).to_parquet(tmp_path / "names.parquet")

    with pytest.raises(DataError, match=r"names.parquet row 0 \(train/0.jpg\): image must be JPEG bytes"):
        load_faces(tmp_path / "names.parquet")


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_a_broken_picture_is_named_by_its_row_in_the_file(tmp_path: Path, content: bytes) -> None:
    rows = face_rows(6)
    rows.at[4, "image"] = content
    rows.loc[:2, "split"] = "val"
    rows.to_parquet(tmp_path / "bad.parquet")

    with pytest.raises(DataError, match=r"bad.parquet row 4 \(train/4.jpg\): image cannot be decoded"):
        load_faces(tmp_path / "bad.parquet", split="train").picture(1)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    face_rows(2).drop(columns="gender").to_parquet(tmp_path / "bad.parquet")

    with pytest.raises(DataError, match=r"lacks the columns \['gender'\]"):
        load_faces(tmp_path / "bad.parquet")


def test_a_split_without_rows_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows in split 'test': known: train, val"):
        load_faces(write_pack(tmp_path / "made.parquet"), split="test")


def test_a_pack_without_faces_is_refused(tmp_path: Path) -> None:
    face_rows(1).iloc[:0].to_parquet(tmp_path / "made.parquet")

    with pytest.raises(DataError, match="holds no faces"):
        load_faces(tmp_path / "made.parquet")


def test_a_file_that_is_no_parquet_says_so(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_text("hello")

    with pytest.raises(DataError, match="not a readable Parquet file"):
        load_faces(tmp_path / "bad.parquet")


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    path = write_pack(tmp_path / "made.parquet")

    assert load_faces(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_real_packs_can_be_read(data_dir: Path) -> None:
    fairface = load_faces(data_dir / "faces" / "fairface_test_128.parquet", split="test")
    utkface = load_faces(data_dir / "faces" / "utkface_128.parquet", split="val")

    assert (len(fairface), len(utkface)) == (5000, 2481)
    assert fairface.picture(4999).shape == utkface.picture(0).shape == (128, 128, 3)
    assert utkface.ages_lo.max() <= 116
