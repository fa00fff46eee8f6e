"""Faces that look like one of a stricter split: left out, so that nothing is learned from a test picture."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from toolkit.cores import usable_cores
from toolkit.data.duplicates import group_duplicates, perceptual_hash
from toolkit.data.faces import FaceTable
from toolkit.data.splits import SPLITS


def without_lookalikes(faces: FaceTable) -> FaceTable:
    """A pack without the faces of train that look like one of val or test, and those of val like one of test.

    ``toolkit data prepare`` lets no look-alikes straddle a split; a pack from elsewhere may. The test split
    stays whole, so that its scores can be compared with those of others. Two pictures look alike as in
    :mod:`toolkit.data.duplicates`. Every picture is decoded once, 0.1 ms each.

    Args:
        faces: all splits of a pack; rows of a split with another name stay.

    Raises:
        DataError: a picture cannot be decoded; the text names its row.
    """
    looks = group_duplicates(_hashes(faces))
    strictness = {split: place for place, split in enumerate(SPLITS)}
    places = faces.rows["split"].map(strictness).fillna(-1).to_numpy(np.int64)
    strictest = np.full(len(faces), -1)
    np.maximum.at(strictest, looks, places)
    return replace(faces, rows=faces.rows[(places < 0) | (places == strictest[looks])])


def _hashes(faces: FaceTable) -> np.ndarray:
    """(N, 16), uint8, of all pictures."""
    with ThreadPoolExecutor(min(4, usable_cores()), thread_name_prefix="face-looks") as pool:
        hashes = list(pool.map(lambda index: perceptual_hash(faces.picture(index)), range(len(faces))))
    return np.stack(hashes)
