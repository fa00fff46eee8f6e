"""Which faces an epoch shows: rare ages and genders as often as asked."""

from __future__ import annotations

import numpy as np

from toolkit.data.faces import FaceTable

DECADE_YEARS = 10


def draw_order(faces: FaceTable, balance: float, rng: np.random.Generator) -> np.ndarray:
    """The rows of one epoch in random order.

    A face of a cell (gender by decade of age) with n of the N faces is drawn in proportion to
    n ** -``balance``. A rare face shown often is varied anew each time.

    Args:
        faces: what to choose from.
        balance: 0 gives a permutation, every face once; 1 gives every cell the same share; between them a
            compromise: with few rare faces, showing them as often as all others is learning them by heart.
        rng: where chance comes from.

    Returns:
        (N,), row numbers; with a balance, some twice and some not at all.
    """
    if balance == 0:
        return rng.permutation(len(faces))
    cells = faces.genders * 1000 + (faces.ages_lo + faces.ages_hi) // (2 * DECADE_YEARS)
    _, cell, counts = np.unique(cells, return_inverse=True, return_counts=True)
    weights = counts[cell] ** -float(balance)
    # Evenly spaced draws: a face with weight w comes floor(w) or floor(w) + 1 times, never much more.
    ends = np.cumsum(weights * (len(faces) / weights.sum()))
    chosen = np.searchsorted(ends, np.arange(len(faces)) + rng.random(), side="right")
    return rng.permutation(np.minimum(chosen, len(faces) - 1))
