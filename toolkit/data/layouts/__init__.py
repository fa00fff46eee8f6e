"""How data sets lie on disk: each by the name ``toolkit data prepare`` takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from toolkit.data.labels import LabelledPicture
from toolkit.data.layouts.adience import read_adience
from toolkit.data.layouts.fairface import read_fairface
from toolkit.data.layouts.market1501 import read_market1501
from toolkit.data.layouts.pa100k import read_pa100k
from toolkit.data.layouts.table import read_table
from toolkit.data.layouts.utkface import read_utkface


@dataclass(frozen=True)
class Layout:
    """One data set's way to lie on disk.

    Attributes:
        read: gives its labelled pictures, in a fixed order.
        title: what it is, in a line.
    """

    read: Callable[[Path], Iterator[LabelledPicture]]
    title: str


LAYOUTS = {
    "adience": Layout(read_adience, "faces of Adience, age groups, folds by person"),
    "csv": Layout(read_table, "pictures of your own with a labels.csv"),
    "fairface": Layout(read_fairface, "faces of FairFace with its two label files"),
    "market1501": Layout(read_market1501, "pedestrians of Market-1501 with its attributes"),
    "pa100k": Layout(read_pa100k, "pedestrians of PA-100K"),
    "utkface": Layout(read_utkface, "faces of UTKFace, labels in the file names"),
}

__all__ = ["LAYOUTS", "Layout"]
