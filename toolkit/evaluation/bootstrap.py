"""The bootstrap: how far a score would move if other faces had been drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

RESAMPLES_AT_ONCE = 64
"""Bounds the memory of the bootstrap: 64 resamples of 24,000 faces are 12 MB."""


def resampled_weights(count: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each face is drawn in each resample.

    Yields:
        (b, count), float64, for at most ``RESAMPLES_AT_ONCE`` resamples at a time; none for no faces.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, resamples if count else 0, RESAMPLES_AT_ONCE):
        size = min(RESAMPLES_AT_ONCE, resamples - start)
        drawn = rng.integers(0, count, (size, count)) + np.arange(size)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count).astype(float)


def percentile_interval(estimates: np.ndarray, plain: np.ndarray, biased: Sequence[int] = ()) -> np.ndarray:
    """The 95 % interval of each score.

    Args:
        estimates: (B, K), the scores of B resamples; NaN where one gave no number.
        plain: (K,), the scores of the faces themselves.
        biased: which scores are greater of resamples than of the faces they are drawn from, whatever the
            faces; their interval is moved back by the mean of that.

    Returns:
        (2, K): 2.5 % and 97.5 % points; NaN where no resample gave a number.
    """
    known = ~np.isnan(estimates).all(axis=0)
    limits = np.full((2, estimates.shape[1]), np.nan)
    if known.any():
        limits[:, known] = np.nanpercentile(estimates[:, known], [2.5, 97.5], axis=0)
    for column in biased:
        if known[column]:
            limits[:, column] -= np.nanmean(estimates[:, column]) - plain[column]
    return limits
