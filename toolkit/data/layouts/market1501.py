"""Market-1501: pedestrians seen by six cameras, with attributes per person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolkit.data.labels import OLDEST_YEARS, LabelledPicture
from toolkit.errors import DataError

AGES = {1: (0, 12), 2: (13, 19), 3: (20, 59), 4: (60, OLDEST_YEARS)}
"""Years of young, teenager, adult and old. The data set gives the words; the years are ours."""

_ATTRIBUTES = "market_attribute.mat"
_FOLDERS = {
    "bounding_box_train": ("train", ""),
    "bounding_box_test": ("test", "test"),
    "query": ("test", "test"),
}
"""Folder to the attributes' part and to the split; validation is cut from the training, by person."""


def read_market1501(folder: Path) -> Iterator[LabelledPicture]:
    """The crops of the three folders, with ``market_attribute.mat`` beside them.

    Source of the attributes: Lin et al., "Improving person re-identification by attribute and identity
    learning", Pattern Recognition 2019. Crops of nobody (``-1`` and ``0000`` in front) have none and are
    left out.

    Raises:
        DataError: the attributes or all pictures are missing.
    """
    attributes = _read_attributes(folder / _ATTRIBUTES)
    found = False
    for name, (part, split) in _FOLDERS.items():
        for path in sorted((folder / name).glob("*.jpg")):
            person = path.name.partition("_")[0]
            if person not in attributes[part]:
                continue
            found = True
            gender, age = attributes[part][person]
            lo, hi = AGES[age]
            yield LabelledPicture(path, f"{name}/{path.name}", gender, lo, hi, person=person, split=split)
    if not found:
        raise DataError(f"no Market-1501 picture with attributes in {folder}/bounding_box_train")


def _read_attributes(path: Path) -> dict[str, dict[str, tuple[int, int]]]:
    """Part to person to gender (0, 1) and age (1..4)."""
    content = read_mat(path)
    try:
        market = content["market_attribute"]
        parts = {}
        for part in ("train", "test"):
            people = getattr(market, part)
            persons = [str(person) for person in people.image_index]
            genders = [int(gender) - 1 for gender in people.gender]
            parts[part] = dict(zip(persons, zip(genders, map(int, people.age), strict=True), strict=True))
    except (AttributeError, KeyError, ValueError) as error:
        raise DataError(f"{path} does not hold the attributes of Market-1501: {error}") from error
    return parts


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a MATLAB file.

    Raises:
        DataError: it is missing or is no such file.
    """
    from scipy.io import loadmat

    if not path.is_file():
        raise DataError(f"no {path.name} in {path.parent}: it holds the labels")
    try:
        return loadmat(path, squeeze_me=True, struct_as_record=False)
    except (OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path} is not a MATLAB file that can be read: {error}") from error
