"""FairFace: faces with age groups, in two label files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from toolkit.data.labels import LabelledPicture, read_age, read_gender
from toolkit.data.layouts.table import read_csv

_FILES = {"fairface_label_train.csv": "", "fairface_label_val.csv": "test"}
"""Label file to split: the official validation set is what papers test on; ours is cut from the training."""


def read_fairface(folder: Path) -> Iterator[LabelledPicture]:
    """Both sets, as they are unpacked: ``train/``, ``val/`` and the two label files in one folder.

    Raises:
        DataError: a label file is missing, or a label is not right; the text names the row.
    """
    for name, split in _FILES.items():
        rows = read_csv(folder / name, {"file", "age", "gender", "race"})
        for number, row in enumerate(rows.to_dict("records")):
            where = f"{name} row {number} ({row['file']})"
            lo, hi = read_age(row["age"], where)
            gender = read_gender(row["gender"], where)
            yield LabelledPicture(folder / row["file"], row["file"], gender, lo, hi, row["race"], split=split)
