"""Each data set is read as it lies on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from toolkit.data.labels import LabelledPicture
from toolkit.data.layouts import LAYOUTS
from toolkit.errors import DataError


def read(name: str, folder: Path) -> list[LabelledPicture]:
    return list(LAYOUTS[name].read(folder))


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_utkface_is_read_from_its_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "part1/26_1_2_20170116.jpg.chip.jpg", "part1/61_1_20170109.jpg.chip.jpg")

    (face,) = read("utkface", tmp_path)

    assert (face.gender, face.age_lo, face.age_hi, face.race) == (1, 26, 26, "Asian")
    assert face.file == "part1/26_1_2_20170116.jpg.chip.jpg"
    assert "1 files" in caplog.text


def test_a_folder_without_utkface_names_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "holiday.jpg")

    with pytest.raises(DataError, match="no UTKFace picture"):
        read("utkface", tmp_path)


def test_fairface_is_read_from_its_two_tables(tmp_path: Path) -> None:
    head = "file,age,gender,race,service_test\n"
    (tmp_path / "fairface_label_train.csv").write_text(head + "train/1.jpg,50-59,Male,East Asian,True\n")
    (tmp_path / "fairface_label_val.csv").write_text(head + "val/1.jpg,more than 70,Female,White,False\n")

    first, second = read("fairface", tmp_path)

    assert (first.gender, first.age_lo, first.age_hi, first.race) == (0, 50, 59, "East Asian")
    assert (second.gender, second.age_lo, second.age_hi) == (1, 70, 100)
    assert (first.split, second.split) == ("", "test")


def test_adience_is_read_fold_by_fold(tmp_path: Path) -> None:
    head = "user_id\toriginal_image\tface_id\tage\tgender\tx\ty\tdx\tdy\n"
    for fold in range(5):
        lines = f"7@N0{fold}\ta.jpg\t2\t(25, 32)\tf\t1\t1\t9\t9\n8@N00\tb.jpg\t1\tNone\tu\t1\t1\t9\t9\n"
        (tmp_path / f"fold_{fold}_data.txt").write_text(head + lines)
    (tmp_path / "aligned").mkdir()

    faces = read("adience", tmp_path)

    assert len(faces) == 5
    assert faces[0].path == tmp_path / "aligned/7@N00/landmark_aligned_face.2.a.jpg"
    assert (faces[0].gender, faces[0].age_lo, faces[0].age_hi, faces[0].person) == (1, 25, 32, "7@N00")
    assert [face.split for face in faces] == ["", "", "", "", "test"]


def test_market1501_takes_gender_and_age_from_its_attributes(tmp_path: Path) -> None:
    people = {"gender": [1, 2], "age": [3, 4]}
    attributes = {
        "train": people | {"image_index": np.array(["0002", "0007"], object)},
        "test": people | {"image_index": np.array(["0001", "0003"], object)},
    }
    savemat(tmp_path / "market_attribute.mat", {"market_attribute": attributes})
    touch(tmp_path, "bounding_box_train/0007_c1s1_000451_03.jpg", "query/0001_c2s1_000301_00.jpg")
    touch(tmp_path, "bounding_box_test/-1_c1s1_000401_03.jpg")

    train, test = read("market1501", tmp_path)

    assert (train.gender, train.age_lo, train.age_hi, train.person, train.split) == (1, 60, 100, "0007", "")
    assert (test.gender, test.age_lo, test.age_hi, test.person, test.split) == (0, 20, 59, "0001", "test")


def test_pa100k_takes_gender_and_age_from_its_columns(tmp_path: Path) -> None:
    content = {"attributes": np.array([["Female"], ["AgeOver60"], ["Age18-60"], ["AgeLess18"]], object)}
    for split in ("train", "val", "test"):
        content[f"{split}_images_name"] = np.array([[f"{split}1.jpg"], [f"{split}2.jpg"]], object)
        content[f"{split}_label"] = np.array([[1, 0, 1, 0], [0, 0, 0, 0]])
    savemat(tmp_path / "annotation.mat", content)

    people = read("pa100k", tmp_path)

    assert [person.split for person in people] == ["train", "train", "val", "val", "test", "test"]
    assert (people[0].gender, people[0].age_lo, people[0].age_hi) == (1, 18, 60)
    assert (people[1].gender, people[1].age_lo, people[1].age_hi) == (0, 0, 100)


def test_a_table_of_ones_own_needs_file_gender_and_age(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,gender,age,person\na.png,f,31,anna\nb.png,male,,bert\n")

    first, second = read("csv", tmp_path)

    assert (first.gender, first.age_lo, first.age_hi, first.person) == (1, 31, 31, "anna")
    assert (second.gender, second.age_lo, second.age_hi) == (0, 0, 100)


@pytest.mark.parametrize("commas", [",", ",,"])
def test_rows_may_end_in_commas_that_the_heading_lacks(commas: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"file,gender,age\na.jpg,f,33{commas}\nb.jpg,m,8{commas}\n")

    first, second = read("csv", tmp_path)

    assert (first.file, first.gender, first.age_lo) == ("a.jpg", 1, 33)
    assert (second.file, second.gender, second.age_lo) == ("b.jpg", 0, 8)


def test_a_wrong_label_is_named_with_its_row(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,gender,age\na.png,f,31\nb.png,x,31\n")

    with pytest.raises(DataError, match=r"labels.csv row 1 \(b.png\): gender must be"):
        read("csv", tmp_path)


def test_a_row_that_names_no_picture_is_told_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,gender,age\na.png,f,31\n,m,31\n")

    with pytest.raises(DataError, match=r"labels\.csv row 1: file must name a picture, got nothing"):
        read("csv", tmp_path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,age\na.png,31\n")

    with pytest.raises(DataError, match=r"lacks the columns \['gender'\]"):
        read("csv", tmp_path)


@pytest.mark.parametrize("name", ["adience", "csv", "fairface", "market1501", "pa100k"])
def test_a_folder_without_labels_says_which_file_is_missing(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no .*\.(csv|txt|mat) in .*: it holds the labels"):
        read(name, tmp_path)


@pytest.mark.parametrize("name", ["market1501", "pa100k"])
def test_a_matlab_file_of_something_else_is_refused(name: str, tmp_path: Path) -> None:
    for file in ("market_attribute.mat", "annotation.mat"):
        savemat(tmp_path / file, {"x": 1})

    with pytest.raises(DataError, match="does not hold"):
        read(name, tmp_path)


def test_every_layout_has_a_data_card() -> None:
    cards = Path(__file__).parents[2] / "datasets"

    assert all((cards / name / "README.md").is_file() for name in LAYOUTS)
