"""Labelled faces from a Parquet pack: pictures, ages, genders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.errors import DataError, did_you_mean
from toolkit.pictures import decoded

MAX_AGE_YEARS = 120
"""Older labels are mistakes; UTKFace's oldest is 116."""


@dataclass(frozen=True, eq=False)
class FaceTable:
    """Labelled faces, one row per picture.

    Attributes:
        name: name of the pack, the file name without its ending.
        path: the file it came from.
        rows: columns ``file`` (name), ``image`` (JPEG bytes), ``gender`` (0 male, 1 female), ``age_lo`` and
            ``age_hi`` (years, both inside; equal for an exact age), ``race`` (the data set's own label, only
            to report errors per group; may be missing), ``split``.
    """

    name: str
    path: Path
    rows: pd.DataFrame

    def __len__(self) -> int:
        return len(self.rows)

    def split(self, name: str) -> FaceTable:
        """The rows of one split.

        Raises:
            DataError: no row belongs to it.
        """
        chosen = self.rows[self.rows["split"] == name]
        if chosen.empty:
            known = sorted(self.rows["split"].unique())
            raise DataError(f"{self.name} has no rows in split {name!r}: {did_you_mean(name, known)}")
        return replace(self, rows=chosen)

    def head(self, count: int) -> FaceTable:
        """The first ``count`` rows."""
        return replace(self, rows=self.rows.iloc[:count])

    def picture(self, index: int) -> np.ndarray:
        """Picture ``index`` (counted from 0 in this table), decoded: (H, W, 3), uint8, BGR.

        Raises:
            DataError: the bytes are not a picture; the text names the row.
        """
        image = decoded(self._jpegs[index])
        if image is None:
            raise DataError(
                f"{self._where(index)}: image cannot be decoded; remove the row or write it again"
            )
        return image

    @cached_property
    def genders(self) -> np.ndarray:
        """(N,), int64: 0 male, 1 female; the binary label of the data set."""
        return self.rows["gender"].to_numpy(np.int64)

    @cached_property
    def ages_lo(self) -> np.ndarray:
        """(N,), int64, years: the youngest age the label allows."""
        return self.rows["age_lo"].to_numpy(np.int64)

    @cached_property
    def ages_hi(self) -> np.ndarray:
        """(N,), int64, years: the oldest age the label allows."""
        return self.rows["age_hi"].to_numpy(np.int64)

    @cached_property
    def sha256(self) -> str:
        """Digest of the file, for the record of a run."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @cached_property
    def _jpegs(self) -> Sequence[bytes]:
        # A plain list: indexing a pandas column by position costs more than decoding a small JPEG.
        return self.rows["image"].tolist()

    def _where(self, index: int) -> str:
        return _row_name(self.path, self.rows, index)


def load_faces(pack: str | Path, split: str | None = None) -> FaceTable:
    """Read a Parquet pack of labelled faces and check its labels.

    Args:
        pack: a path, or the name of a pack (``fairface_train_112``) in ``TOOLKIT_DATA``/faces.
        split: keep only the rows of this split.

    Raises:
        DataError: the file is missing or empty, a column is missing, a label is out of range, or the split is
            empty.
    """
    path = find_faces(pack)
    try:
        rows = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable Parquet file: {error}") from error
    # Rows are known by their place in the file, whatever index was written with them.
    rows = rows.reset_index(drop=True)
    table = FaceTable(path.stem, path, _checked(path, _with_age_interval(path, rows)))
    return table.split(split) if split else table


def find_faces(pack: str | Path) -> Path:
    """Where a pack lies: the path itself, else ``TOOLKIT_DATA``/faces/NAME.parquet.

    Raises:
        DataError: it is in none of these places; the text says where it looked and how to get it.
    """
    places = [Path(pack)]
    root = os.environ.get("TOOLKIT_DATA")
    if root:
        places.append(Path(root, "faces", f"{Path(pack).name.removesuffix('.parquet')}.parquet"))
    for place in places:
        if place.is_file():
            return place
    hint = "" if root else "; set TOOLKIT_DATA to the folder that holds faces/"
    raise DataError(
        f"no face pack {str(pack)!r}: looked for {', '.join(map(str, places))}{hint}; "
        "datasets/*/README.md say where each data set comes from; notebook 03 draws some"
    )


def _with_age_interval(path: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """An exact age is an interval of one year."""
    if "age_lo" in rows.columns and "age_hi" in rows.columns:
        return rows
    if "age" not in rows.columns:
        raise DataError(f"{path} has neither a column age nor age_lo and age_hi; it has {list(rows.columns)}")
    return rows.assign(age_lo=rows["age"], age_hi=rows["age"])


def _checked(path: Path, rows: pd.DataFrame) -> pd.DataFrame:
    missing = {"image", "gender", "split"} - set(rows.columns)
    if missing:
        raise DataError(f"{path} lacks the columns {sorted(missing)}; it has {list(rows.columns)}")
    if rows.empty:
        raise DataError(f"{path} holds no faces, only the names of columns; pack it again")
    try:
        ages = rows[["age_lo", "age_hi"]].astype(float)
        genders = rows["gender"].astype(float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: age and gender must be numbers: {error}") from error

    def refuse(bad: pd.Series, expected: str) -> None:
        if bad.any():
            index = int(np.flatnonzero(bad)[0])
            label = rows.iloc[index][["gender", "age_lo", "age_hi", "split"]].to_dict()
            raise DataError(f"{_row_name(path, rows, index)}: {expected}, got {label}")

    refuse(~genders.isin([0, 1]), "gender must be 0 (male) or 1 (female)")
    in_range = ages["age_lo"].between(0, MAX_AGE_YEARS) & ages["age_hi"].between(0, MAX_AGE_YEARS)
    refuse(~in_range, f"ages must lie in 0..{MAX_AGE_YEARS}")
    is_whole = (ages % 1 == 0).all(axis=1)
    refuse(~is_whole, "ages are whole years (someone of 25.9 is 25)")
    refuse(ages["age_lo"] > ages["age_hi"], "age_lo must not exceed age_hi")
    # Packs of other tools keep the name of a file there, or a name beside the bytes.
    is_bytes = rows["image"].map(lambda image: isinstance(image, bytes))
    refuse(~is_bytes, "image must be JPEG bytes")
    is_named = rows["split"].map(lambda split: isinstance(split, str) and split != "")
    refuse(~is_named, "split must be a name, such as train, val or test")
    return rows


def _row_name(path: Path, rows: pd.DataFrame, index: int) -> str:
    file = f" ({rows.iloc[index]['file']})" if "file" in rows.columns else ""
    return f"{path.name} row {rows.index[index]}{file}"
