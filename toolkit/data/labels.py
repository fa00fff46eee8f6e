"""A labelled picture as a data set has it on disk, and what its labels mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import DataError

OLDEST_YEARS = 100
"""End of an open age group such as 70+."""

_YEARS = r"(\d+)(?:\.0+)?"
_AGES = (
    (_YEARS, lambda years: (years, years)),
    (rf"[(\[]?{_YEARS} ?(?:-|–|,|to) ?{_YEARS}[)\]]?", lambda first, last: (first, last)),
    (rf"{_YEARS} ?(?:\+|(?:and|or) (?:over|older|more|above))", lambda first: (first, _open_from(first))),
    (rf"(?:>=?|≥|over|above|more than|older than) ?{_YEARS}", lambda first: (first, _open_from(first))),
    (rf"(?:<|under|below|less than|younger than) ?{_YEARS}", lambda end: (0, max(0, end - 1))),
)
"""How an age is written, and the youngest and the oldest year that this allows."""

_GENDERS = {"0": 0, "m": 0, "male": 0, "man": 0, "1": 1, "f": 1, "female": 1, "woman": 1}


@dataclass(frozen=True)
class LabelledPicture:
    """One picture before it is packed.

    Attributes:
        path: of the picture.
        file: its name within the data set.
        gender: 0 male, 1 female.
        age_lo: years, the youngest age the label allows; an unknown age is 0..100, which teaches nothing.
        age_hi: years, the oldest.
        race: the data set's own word, only to report errors per group; empty where there is none.
        person: who it is, where the data set knows: pictures of one person stay in one split.
        split: the data set's own, or empty.
    """

    path: Path
    file: str
    gender: int
    age_lo: int
    age_hi: int
    race: str = ""
    person: str = ""
    split: str = ""


def read_gender(text: str, where: str) -> int:
    """0 male or 1 female, from the words data sets use.

    Args:
        text: ``m``, ``Female``, ``0``, ...
        where: names the row in the error.

    Raises:
        DataError: it is none of them.
    """
    gender = _GENDERS.get(text.strip().lower())
    if gender is None:
        raise DataError(f"{where}: gender must be male or female (m, f, 0, 1), got {text!r}")
    return gender


def read_age(text: str, where: str) -> tuple[int, int]:
    """Youngest and oldest year of an age: ``31``, ``20-29``, ``(25, 32)``, ``70+``, ``under 3``, or nothing.

    Args:
        text: as the data set writes it; nothing, or ``None``, is an unknown age.
        where: names the row in the error.

    Raises:
        DataError: it is none of them, as months, or years with a fraction, are not.
    """
    words = " ".join(text.lower().split())
    if words in ("", "none", "nan"):
        return 0, OLDEST_YEARS
    for form, years_of in _AGES:
        if found := re.fullmatch(form, words):
            return years_of(*map(int, found.groups()))
    raise DataError(
        f"{where}: an age is written in whole years, as 31, 20-29, (25, 32), 70+ or under 3, got {text!r}"
    )


def _open_from(first: int) -> int:
    return max(OLDEST_YEARS, first)
