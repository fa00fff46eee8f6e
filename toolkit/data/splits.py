"""Which picture is trained on, chosen by, tested on: whole groups at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from toolkit.errors import DataError

SPLITS = ("train", "val", "test")
TEST_SHARE = 0.2
VAL_SHARE = 0.1


def assign_splits(groups: np.ndarray, given: Sequence[str], names: Sequence[str]) -> list[str]:
    """A split for every picture; pictures of one group share it.

    A data set's own splits are kept. Where two of a group disagree, it goes to the one that is looked at
    least: a test picture must never have been trained on. Pictures without a split are dealt out by a digest
    of their group's first name, so that the answer is the same on every machine and for a larger set.

    Args:
        groups: (N,), the same number for pictures that belong together.
        given: N splits, empty where the data set has none.
        names: N file names.

    Raises:
        DataError: a split has another name than train, val or test.
    """
    unknown = {split for split in given if split} - set(SPLITS)
    if unknown:
        raise DataError(f"a split is one of {', '.join(SPLITS)}, got {', '.join(sorted(unknown))}")
    strictest: dict[int, str] = {}
    first_name: dict[int, str] = {}
    for group, split, name in zip(groups.tolist(), given, names, strict=True):
        first_name.setdefault(group, name)
        if split and SPLITS.index(split) >= SPLITS.index(strictest.get(group, "train")):
            strictest[group] = split
    has_test = "test" in given
    for group, name in first_name.items():
        strictest.setdefault(group, _dealt(name, 0.0 if has_test else TEST_SHARE, VAL_SHARE))
    return [strictest[group] for group in groups.tolist()]


def _dealt(name: str, test_share: float, val_share: float) -> str:
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
    if place < test_share:
        return "test"
    return "val" if place < test_share + val_share else "train"
