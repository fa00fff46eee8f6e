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

    A data set's own splits are kept. Where two of a group disagree, those of the split that is looked at less
    stay, and the others are left out: a test picture must never have been trained on, and a test set that
    others know must not grow. Pictures without a split are dealt out by a digest of their group's first name,
    so that the answer is the same on every machine and for a larger set.

    Args:
        groups: (N,), the same number for pictures that belong together.
        given: N splits, empty where the data set has none.
        names: N file names.

    Returns:
        N splits, empty for pictures that are left out.

    Raises:
        DataError: a split has another name than train, val or test.
    """
    for split, name in zip(given, names, strict=True):
        if split and split not in SPLITS:
            raise DataError(f"{name}: a split is one of {', '.join(SPLITS)}, got {split!r}")
    strictest: dict[int, str] = {}
    first_name: dict[int, str] = {}
    for group, split, name in zip(groups.tolist(), given, names, strict=True):
        first_name.setdefault(group, name)
        if split and SPLITS.index(split) >= SPLITS.index(strictest.get(group, "train")):
            strictest[group] = split
    has_test = "test" in given
    for group, name in first_name.items():
        strictest.setdefault(group, _dealt(name, 0.0 if has_test else TEST_SHARE, VAL_SHARE))
    of_group = [strictest[group] for group in groups.tolist()]
    return ["" if own and own != split else split for own, split in zip(given, of_group, strict=True)]


def _dealt(name: str, test_share: float, val_share: float) -> str:
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
    if place < test_share:
        return "test"
    return "val" if place < test_share + val_share else "train"
