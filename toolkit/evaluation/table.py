"""Labels and predictions side by side, one row a face: told by a model, or read from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.data.layouts.table import read_rows
from toolkit.errors import DataError
from toolkit.whole_files import whole_file

if TYPE_CHECKING:
    from toolkit.data.faces import FaceTable
    from toolkit.models.predictor import PredictionArrays

YEARS = 101
"""Columns of an age distribution: the years 0..100."""

LABELS = ("file", "gender", "age_lo", "age_hi", "race")
PREDICTIONS = ("female_probability", "age_years")
DISTRIBUTION = tuple(f"age_{year}" for year in range(YEARS))

MAX_AGE_YEARS = 120
"""Older labels are mistakes, as in a face pack."""

_MOST_ROUNDING = 0.06
"""Of the sum of a distribution: 101 numbers of three digits are that far from 1 at the most."""


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """Labels and predictions of N faces.

    Attributes:
        name: of what was predicted, for titles.
        rows: the columns ``gender`` (0 male, 1 female), ``age_lo`` and ``age_hi`` (years, both inside), where
            known ``file`` and ``race`` (the data set's own label); ``female_probability`` and ``age_years``,
            NaN throughout where the model does not tell that.
        age_distribution: (N, 101), one probability a year; None where the model gives none.
    """

    name: str
    rows: pd.DataFrame
    age_distribution: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def genders(self) -> np.ndarray:
        """(N,), int64: 0 male, 1 female; the binary label of the data set."""
        return self.rows["gender"].to_numpy(np.int64)

    @property
    def ages_lo(self) -> np.ndarray:
        """(N,), int64, years: the youngest age the label allows."""
        return self.rows["age_lo"].to_numpy(np.int64)

    @property
    def ages_hi(self) -> np.ndarray:
        """(N,), int64, years: the oldest age the label allows."""
        return self.rows["age_hi"].to_numpy(np.int64)

    @property
    def female_probability(self) -> np.ndarray:
        """(N,), float64, 0..1."""
        return self.rows["female_probability"].to_numpy(np.float64)

    @property
    def age_years(self) -> np.ndarray:
        """(N,), float64."""
        return self.rows["age_years"].to_numpy(np.float64)

    def take(self, chosen: np.ndarray) -> PredictionTable:
        """The rows of these numbers, in their order."""
        distribution = None if self.age_distribution is None else self.age_distribution[chosen]
        return replace(
            self, rows=self.rows.iloc[chosen].reset_index(drop=True), age_distribution=distribution
        )


def table_of(predictions: PredictionArrays, faces: FaceTable) -> PredictionTable:
    """What a model said of labelled faces, beside their labels."""
    labels = pd.DataFrame({name: faces.rows[name].to_numpy() for name in LABELS if name in faces.rows})
    told = {name: np.asarray(getattr(predictions, name), np.float64) for name in PREDICTIONS}
    return PredictionTable(faces.name, labels.assign(**told), np.asarray(predictions.age_distribution))


def read_table(path: Path) -> PredictionTable:
    """Read predictions from .csv or .parquet, and check them.

    Columns: ``gender`` (0 male, 1 female), ``age`` or ``age_lo`` and ``age_hi``; ``female_probability``
    (0..1; 0 or 1 from a model that gives no probability), ``age_years``, or one of them alone; if there is
    one, the age distribution as ``age_0`` .. ``age_100``; if known, ``file`` and ``race``.

    Raises:
        DataError: the file cannot be read, a column is missing, or a value is out of range; the text names
            the row.
    """
    try:
        # Names made of digits stay names: 0012 is no number.
        is_csv = path.suffix.lower() == ".csv"
        content = read_rows(path, dtype={"file": str}) if is_csv else pd.read_parquet(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; check its name") from error
    except ValueError as error:
        raise DataError(f"{path} is not a readable table of predictions: {error}") from error
    if "age" in content.columns and "age_lo" not in content.columns:
        # Copied first: of the hundred columns of a distribution, pandas warns that each lies by itself.
        content = content.copy().assign(age_lo=content["age"], age_hi=content["age"])
    _check(path, content)
    rows = content[[name for name in (*LABELS, *PREDICTIONS) if name in content.columns]]
    rows = rows.assign(**{name: np.nan for name in PREDICTIONS if name not in rows.columns})
    has_distribution = set(DISTRIBUTION) <= set(content.columns)
    distribution = content[[*DISTRIBUTION]].to_numpy(np.float32) if has_distribution else None
    return PredictionTable(path.stem, rows, distribution)


def write_table(table: PredictionTable, path: Path) -> None:
    """Write a table as .csv or .parquet; :func:`read_table` gives the same one back."""
    rows = table.rows.dropna(axis="columns", how="all") if len(table) else table.rows
    if table.age_distribution is not None:
        distribution = pd.DataFrame(table.age_distribution, columns=[*DISTRIBUTION])
        rows = pd.concat([rows.reset_index(drop=True), distribution], axis="columns")
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise DataError(f"predictions are written as .csv or .parquet, got {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        if path.suffix.lower() == ".csv":
            rows.to_csv(part, index=False)
        else:
            rows.to_parquet(part, index=False)


def are_matched_by_file(first: PredictionTable, second: PredictionTable) -> bool:
    """Whether rows of the second are found by their ``file``; else both have to be in the same order."""
    return {"file"} <= set(first.rows) & set(second.rows) and second.rows["file"].is_unique


def paired(first: PredictionTable, second: PredictionTable) -> PredictionTable:
    """The second table in the order of the first, so that rows of the same number are the same face.

    Rows are matched by ``file`` where both tables have it and it is unique, else by their order.

    Raises:
        DataError: the tables hold other faces, or label them otherwise.
    """
    if are_matched_by_file(first, second):
        # As texts: a CSV has nothing else, a Parquet may have numbers.
        names = [pd.Index(table.rows["file"].astype(str)) for table in (first, second)]
        at = names[1].get_indexer(names[0])
        if (at < 0).any():
            lost = first.rows["file"].iloc[int(np.flatnonzero(at < 0)[0])]
            raise DataError(f"{second.name} has no row for the face {lost!r} of {first.name}")
        second = second.take(at)
    if len(first) != len(second):
        raise DataError(
            f"both must tell of the same faces: {first.name} has {len(first)} rows, {second.name} has "
            f"{len(second)}; give both tables a column 'file', or the same order"
        )
    labels = ["gender", "age_lo", "age_hi"]
    differ = (first.rows[labels].to_numpy() != second.rows[labels].to_numpy()).any(axis=1)
    if differ.any():
        row = int(np.flatnonzero(differ)[0])
        raise DataError(
            f"row {row}: {first.name} has the label {first.rows[labels].iloc[row].to_dict()}, {second.name} "
            f"has {second.rows[labels].iloc[row].to_dict()}; both must tell of the same faces"
        )
    return second


def sample(count: int, limit: int | None, seed: int) -> np.ndarray:
    """Numbers of ``limit`` of ``count`` rows, drawn at random, in order; all of them where that is enough."""
    if limit is None or limit >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))


_RANGES: Mapping[str, tuple[float, float]] = {
    "gender": (0, 1),
    "age_lo": (0, MAX_AGE_YEARS),
    "age_hi": (0, MAX_AGE_YEARS),
    "female_probability": (0, 1),
    "age_years": (0, MAX_AGE_YEARS),
    **dict.fromkeys(DISTRIBUTION, (0, 1)),
}


def _check(path: Path, rows: pd.DataFrame) -> None:
    missing = {"gender", "age_lo", "age_hi"} - set(rows.columns)
    if missing:
        raise DataError(
            f"{path} lacks the columns {sorted(missing)}; it has {[*rows.columns][:12]}. A table of "
            "predictions needs gender, age (or age_lo and age_hi), female_probability and age_years"
        )
    if not set(PREDICTIONS) & set(rows.columns):
        raise DataError(f"{path} holds no prediction: it needs female_probability, age_years, or both")
    if rows.empty:
        raise DataError(f"{path} holds no face: there is no row below its headings")
    for name, (least, most) in _RANGES.items():
        if name not in rows.columns:
            continue
        values = pd.to_numeric(rows[name], errors="coerce")
        _refuse(path, rows, name, ~values.between(least, most), f"must be a number in {least}..{most}")
    _refuse(path, rows, "gender", ~rows["gender"].isin([0, 1]), "must be 0 (male) or 1 (female)")
    for name in ("age_lo", "age_hi"):
        whole = "is a label, and those are whole years (someone of 25.9 is 25)"
        _refuse(path, rows, name, pd.to_numeric(rows[name]) % 1 != 0, whole)
    _refuse(path, rows, "age_lo", rows["age_lo"] > rows["age_hi"], "must not exceed age_hi")
    if set(DISTRIBUTION) <= set(rows.columns):
        name, sums = "age_0 ... age_100", rows[[*DISTRIBUTION]].astype(float).sum(axis=1)
        is_off = (sums - 1).abs() > _MOST_ROUNDING
        _refuse(path, sums.to_frame(name), name, is_off, "must add up to 1")


def _refuse(path: Path, rows: pd.DataFrame, name: str, bad: pd.Series, expected: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(f"{path} row {row}: {name} {expected}, got {rows[name].tolist()[row]!r}")
