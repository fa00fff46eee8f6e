"""PA-100K: pedestrians with 26 attributes, gender and age group among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from toolkit.data.labels import OLDEST_YEARS, LabelledPicture
from toolkit.data.layouts.market1501 import read_mat
from toolkit.errors import DataError

AGES = {"AgeLess18": (0, 17), "Age18-60": (18, 60), "AgeOver60": (61, OLDEST_YEARS)}
_SPLITS = ("train", "val", "test")


def read_pa100k(folder: Path) -> Iterator[LabelledPicture]:
    """The official splits, ``annotation.mat`` beside ``release_data/release_data`` or ``data``.

    Raises:
        DataError: the annotation is missing or is not that of PA-100K.
    """
    content = read_mat(folder / "annotation.mat")
    places = ("release_data/release_data", "release_data", "data")
    place = next((place for place in places if (folder / place).is_dir()), places[0])
    try:
        columns = [str(name) for name in content["attributes"]]
        female, ages = columns.index("Female"), {columns.index(name): AGES[name] for name in AGES}
        parts = [(split, content[f"{split}_images_name"], content[f"{split}_label"]) for split in _SPLITS]
    except (KeyError, ValueError) as error:
        raise DataError(f"{folder}/annotation.mat does not hold the labels of PA-100K: {error}") from error
    for split, names, labels in parts:
        for name, label in zip(names, labels, strict=True):
            told = [years for column, years in ages.items() if label[column] == 1]
            lo, hi = told[0] if len(told) == 1 else (0, OLDEST_YEARS)
            file = f"{place}/{name}"
            yield LabelledPicture(folder / file, file, int(label[female]), lo, hi, split=split)
