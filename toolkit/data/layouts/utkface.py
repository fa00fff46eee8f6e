"""UTKFace: faces with their labels in the file names."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from toolkit.data.labels import LabelledPicture
from toolkit.errors import DataError

_logger = logging.getLogger(__name__)

RACES = ("White", "Black", "Asian", "Indian", "Others")
_NAME = re.compile(r"(\d+)_([01])_([0-4])_\d+")


def read_utkface(folder: Path) -> Iterator[LabelledPicture]:
    """The aligned and cropped faces, ``age_gender_race_date.jpg.chip.jpg``, in folders as they were unpacked.

    Three or four files of the original, by its version, lack a label in their name: left out, with a warning.

    Raises:
        DataError: no file in the folder has such a name.
    """
    paths = sorted(folder.rglob("*.jpg"))
    left_out = 0
    for path in paths:
        match = _NAME.match(path.name)
        if match is None:
            left_out += 1
            continue
        age, gender, race = map(int, match.groups())
        file = str(path.relative_to(folder))
        yield LabelledPicture(path, file, gender, age, age, RACES[race])
    if left_out == len(paths):
        raise DataError(f"no UTKFace picture in {folder}: names are age_gender_race_date.jpg")
    if left_out:
        _logger.warning("%d files in %s have no labels in their names and are left out", left_out, folder)
