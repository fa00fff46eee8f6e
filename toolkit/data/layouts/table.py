"""Pictures of one's own: a folder with a labels.csv."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toolkit.data.labels import LabelledPicture, read_age, read_gender
from toolkit.errors import DataError

LABELS = "labels.csv"


def read_table(folder: Path) -> Iterator[LabelledPicture]:
    """Every row of ``labels.csv``.

    Its columns: ``file`` (relative to the folder), ``gender`` (male, female, m, f, 0, 1), ``age`` (31, 20-29,
    70+, or nothing if it is not known); and if they are there ``race``, ``person`` (whose pictures stay in
    one split) and ``split`` (train, val, test).

    Raises:
        DataError: the file or a column is missing, or a label is not right; the text names the row.
    """
    rows = read_csv(folder / LABELS, {"file", "gender", "age"})
    for number, row in enumerate(rows.to_dict("records")):
        if not row["file"]:
            raise DataError(f"{LABELS} row {number}: file must name a picture, got nothing")
        where = f"{LABELS} row {number} ({row['file']})"
        lo, hi = read_age(row["age"], where)
        yield LabelledPicture(
            folder / row["file"],
            row["file"],
            read_gender(row["gender"], where),
            lo,
            hi,
            row.get("race", ""),
            row.get("person", ""),
            row.get("split", ""),
        )


def read_csv(path: Path, columns: set[str], separator: str = ",") -> pd.DataFrame:
    """A table of texts; what is missing in a row is an empty text.

    Raises:
        DataError: it cannot be read, or lacks a column.
    """
    try:
        rows = read_rows(path, sep=separator, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise DataError(f"no {path.name} in {path.parent}: it holds the labels") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a table: {error}") from error
    if missing := columns - set(rows.columns):
        raise DataError(f"{path} lacks the columns {sorted(missing)}; it has {list(rows.columns)}")
    return rows


def read_rows(path: Path, **options: Any) -> pd.DataFrame:
    """A CSV as pandas reads it, also where every row, but not the heading, ends in a comma."""
    rows = pd.read_csv(path, **options)
    if rows.iloc[:, -1].isin(["", np.nan]).all():
        # Of rows longer than the heading, pandas takes the first values for names of rows. Where nothing more
        # than a comma follows, it reads them again; a column that is empty by right stays as it was.
        rows = pd.read_csv(path, **options, index_col=False, usecols=[*rows.columns])
    return rows
