"""Two sets of answers about the same people: how much less right the one is, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from toolkit.evaluation.streaming.align import Sightings, align, person_of
from toolkit.evaluation.streaming.answers import Answer
from toolkit.truth import Truth


def accuracy_loss(
    truths: Mapping[str, Truth], ours: Sequence[Answer], theirs: Sequence[Answer]
) -> tuple[float, float | None]:
    """By how much the gender accuracy of our answers lies below that of theirs, and its standard error.

    With d_p the right faces of theirs less ours, and g_p the faces of known gender, of person p of n:

        loss = sum d_p / sum g_p,
        error = sqrt(n / (n - 1) * sum (d_p - loss g_p)^2) / sum g_p

    because a label is right or wrong for a person and not for a frame. Negative where ours are better; (0,
    None) where less than two persons are known.

    Source: Cochran: Sampling Techniques, 3rd edition 1977, section 6.4: a ratio, of whole clusters.
    """
    more_right, persons = [], []
    for camera, truth in truths.items():
        mine, other = align(camera, truth, ours), align(camera, truth, theirs)
        known = ~np.isnan(mine.true_female)
        more_right.append((_right(other).astype(float) - _right(mine))[known])
        persons.append(person_of(mine.visit[known]))
    gains = np.concatenate(more_right) if more_right else np.zeros(0)
    who = np.concatenate(persons) if persons else np.zeros(0, dtype=int)
    _, group = np.unique(who, return_inverse=True)
    faces, sums = np.bincount(group), np.bincount(group, gains)
    if len(faces) < 2:
        return 0.0, None
    loss = gains.sum() / len(gains)
    spread = np.square(sums - loss * faces).sum() * len(faces) / (len(faces) - 1)
    return float(loss), float(np.sqrt(spread) / len(gains))


def _right(seen: Sightings) -> np.ndarray:
    return seen.told_female == seen.true_female
