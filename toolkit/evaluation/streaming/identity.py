"""Whether a person keeps one number: HOTA and IDF1 of what was on the screen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from toolkit.evaluation.streaming.align import LEAST_IOU, Moment

_ALPHAS = np.arange(0.05, 0.99, 0.05)
_EPS = np.finfo(float).eps


def hota(moments: Sequence[Moment]) -> float | None:
    """Higher order tracking accuracy, 0..1; None where nobody was and nobody was shown.

        HOTA = mean over alpha of sqrt(DetA * AssA),  alpha = 0.05, 0.10 .. 0.95
        DetA = TP / (TP + FN + FP),  AssA = mean over TP c of TPA(c) / (TPA(c) + FNA(c) + FPA(c))

    Pairs of an instant are the assignment with the greatest sum of overlap times how well the two ids agree
    over the whole time; at each alpha those of at least that overlap count.

    Source: Luiten et al.: HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking, IJCV 2021; the
    same numbers as TrackEval 1.3.0. Ours, because TrackEval and ``trackers`` install a second OpenCV.
    """
    moments, people, tracks = _numbered(moments)
    faces, shown = (sum(len(getattr(moment, side)) for moment in moments) for side in ("visits", "tracks"))
    if not faces and not shown:
        return None
    if not faces or not shown:
        return 0.0
    seen, told = np.zeros((people, 1)), np.zeros((1, tracks))
    together = np.zeros((people, tracks))
    for moment in moments:
        seen[moment.visits] += 1
        told[0, moment.tracks] += 1
        rest = moment.overlaps.sum(0)[None, :] + moment.overlaps.sum(1)[:, None] - moment.overlaps
        shares = np.divide(moment.overlaps, rest, out=np.zeros_like(rest), where=rest > _EPS)
        together[np.ix_(moment.visits, moment.tracks)] += shares
    agreement = together / (seen + told - together)
    matched = np.zeros((len(_ALPHAS), people, tracks))
    for moment in moments:
        scores = agreement[np.ix_(moment.visits, moment.tracks)] * moment.overlaps
        rows, columns = linear_sum_assignment(-scores)
        counts = moment.overlaps[rows, columns][None, :] >= _ALPHAS[:, None] - _EPS
        matched[:, moment.visits[rows], moment.tracks[columns]] += counts
    hits = matched.sum(axis=(1, 2))
    detection = hits / (faces + shown - hits)
    shares = matched / np.maximum(1, seen + told - matched)
    association = (matched * shares).sum(axis=(1, 2)) / np.maximum(1, hits)
    return float(np.sqrt(detection * association).mean())


def idf1(moments: Sequence[Moment], least_iou: float = LEAST_IOU) -> float | None:
    """Share of sightings under the right number, 0..1, when each number is given to one person at most.

        IDF1 = 2 IDTP / (faces that were there + faces that were shown)

    with IDTP the most sightings that overlap by ``least_iou`` and that a one-to-one pairing of persons and
    numbers can explain; TrackEval asks for an overlap of a half. None where nobody was and nobody was shown.

    Source: Ristani et al.: Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, ECCV
    Workshops 2016; the same numbers as TrackEval 1.3.0.
    """
    moments, people, tracks = _numbered(moments)
    total = sum(len(moment.visits) + len(moment.tracks) for moment in moments)
    if not total:
        return None
    explained = np.zeros((people, tracks))
    for moment in moments:
        explained[np.ix_(moment.visits, moment.tracks)] += moment.overlaps >= least_iou - _EPS
    rows, columns = linear_sum_assignment(-explained)
    return float(2 * explained[rows, columns].sum() / total)


def _numbered(moments: Sequence[Moment]) -> tuple[list[Moment], int, int]:
    """The same moments with ids 0, 1, 2 ..., and how many of each side there are."""
    if not moments:
        return [], 0, 0
    ends = np.cumsum([len(moment.visits) for moment in moments])[:-1]
    track_ends = np.cumsum([len(moment.tracks) for moment in moments])[:-1]
    known, people = np.unique(np.concatenate([s.visits for s in moments]), return_inverse=True)
    told, tracks = np.unique(np.concatenate([s.tracks for s in moments]), return_inverse=True)
    parts = zip(np.split(people, ends), np.split(tracks, track_ends), moments, strict=True)
    return [Moment(p, t, moment.overlaps) for p, t, moment in parts], len(known), len(told)
