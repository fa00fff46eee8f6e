"""Adience: faces with age groups, in five folds by person."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from toolkit.data.labels import LabelledPicture, read_age, read_gender
from toolkit.data.layouts.table import read_csv

_logger = logging.getLogger(__name__)

TEST_FOLD = 4
_KINDS = {"aligned": "landmark_aligned_face", "faces": "coarse_tilt_aligned_face"}
"""Folder of the pictures, and how their names begin in it."""


def read_adience(folder: Path) -> Iterator[LabelledPicture]:
    """All five folds; the last is the test split.

    ``fold_0_data.txt`` to ``fold_4_data.txt`` lie beside ``aligned/`` or ``faces/``. Faces without a gender
    (``u`` or nothing) are left out with a warning; one without an age is kept for its gender.

    Raises:
        DataError: a fold is missing, or a label is not right; the text names the row.
    """
    kind = next((kind for kind in _KINDS if (folder / kind).is_dir()), "faces")
    columns = {"user_id", "original_image", "face_id", "age", "gender"}
    left_out = 0
    for fold in range(5):
        name = f"fold_{fold}_data.txt"
        for number, row in enumerate(read_csv(folder / name, columns, "\t").to_dict("records")):
            if row["gender"] in ("", "u"):
                left_out += 1
                continue
            where = f"{name} row {number} ({row['original_image']})"
            lo, hi = read_age(row["age"], where)
            file = f"{kind}/{row['user_id']}/{_KINDS[kind]}.{row['face_id']}.{row['original_image']}"
            split = "test" if fold == TEST_FOLD else ""
            gender = read_gender(row["gender"], where)
            yield LabelledPicture(folder / file, file, gender, lo, hi, person=row["user_id"], split=split)
    if left_out:
        _logger.warning("%d faces of %s have no gender and are left out", left_out, folder)
