"""One person's stay in a view: how long until there is a label, whether it holds, and whose it is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from toolkit.evaluation.streaming.align import Sightings
from toolkit.evaluation.streaming.answers import SAME_INSTANT_S, Answer


def visits(seen: Sightings) -> Iterator[np.ndarray]:
    """Numbers of the rows of each visit, in order of time."""
    for visit in np.unique(seen.visit):
        rows = np.flatnonzero(seen.visit == visit)
        yield rows[np.argsort(seen.instant[rows], kind="stable")]


def label_times(seen: Sightings) -> dict[str, np.ndarray]:
    """Seconds from the beginning of each visit to its first and to its stable label.

    The stable label is the last one that was shown; its time is that of the first instant from which no other
    was shown. Visits without any label have neither: ``coverage`` tells of them.

    Returns:
        ``first_label_s`` and ``stable_label_s``, each one value a labelled visit.
    """
    first, stable = [], []
    for rows in visits(seen):
        began_s = seen.instants_s[seen.instant[rows[0]]]
        labelled = rows[~np.isnan(seen.told_female[rows])]
        if not len(labelled):
            continue
        labelled_s = seen.instants_s[seen.instant[labelled]]
        told = seen.told_female[labelled]
        others = np.flatnonzero(told != told[-1])
        first.append(labelled_s[0] - began_s)
        stable.append(labelled_s[others[-1] + 1 if len(others) else 0] - began_s)
    return {"first_label_s": np.array(first), "stable_label_s": np.array(stable)}


def switches(seen: Sightings) -> int:
    """How often a person's shown number is another than the one shown for that person before.

    Source: the mismatches of Bernardin, Stiefelhagen: Evaluating Multiple Object Tracking Performance, 2008,
    with the pairs of each instant made anew.
    """
    count = 0
    for rows in visits(seen):
        numbers = seen.track[rows]
        count += int((np.diff(numbers[numbers >= 0]) != 0).sum())
    return count


def track_vote_accuracy(seen: Sightings) -> float | None:
    """Share of shown numbers whose last label is the gender of the person they were shown on most.

    Numbers that never showed a label, or were never on a person of known gender, are left out; None where
    none is left.
    """
    right = []
    on_somebody = (seen.track >= 0) & ~np.isnan(seen.true_female)
    for track in np.unique(seen.track[on_somebody]):
        rows = np.flatnonzero(on_somebody & (seen.track == track))
        labelled = rows[~np.isnan(seen.told_female[rows])]
        if not len(labelled):
            continue
        [(visit, _)] = Counter(seen.visit[rows].tolist()).most_common(1)
        gender = seen.true_female[rows[seen.visit[rows] == visit][0]]
        last = labelled[np.argmax(seen.instant[labelled])]
        right.append(seen.told_female[last] == gender)
    return float(np.mean(right)) if right else None


def flips_per_track(answers: Sequence[Answer], *seen: Sightings) -> dict[str, Any]:
    """How often a shown label changed, per number that showed one, over the frames of the same time.

    Returns:
        ``{"tracks", "flips_per_track"}``; None for the second where no number showed a label.
    """
    windows = {s.camera: (s.instants_s[0], s.instants_s[-1]) for s in seen if len(s.instants_s)}
    labels: dict[tuple[str, int], list[str]] = defaultdict(list)
    for answer in sorted(answers, key=lambda answer: answer.frame_time_s):
        first_s, last_s = windows.get(answer.camera, (np.inf, -np.inf))
        if first_s - SAME_INSTANT_S <= answer.frame_time_s <= last_s + SAME_INSTANT_S:
            for face in answer.faces:
                if face.gender is not None:
                    labels[answer.camera, face.track_id].append(face.gender)
    flips = sum(a != b for told in labels.values() for a, b in pairwise(told))
    return {"tracks": len(labels), "flips_per_track": flips / len(labels) if labels else None}
