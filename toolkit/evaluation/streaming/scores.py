"""Streaming scores: how right the screen was, how late, and how steady; per camera and together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from toolkit.evaluation.streaming.align import LEAST_IOU, Moment, Sightings, align
from toolkit.evaluation.streaming.answers import Answer
from toolkit.evaluation.streaming.identity import hota, idf1
from toolkit.evaluation.streaming.visits import flips_per_track, label_times, switches, track_vote_accuracy
from toolkit.truth import Truth

FACE_SIZES_PX = (0, 20, 32, 64, 128)
"""Where the bins of :func:`recall_by_size` begin; the last has no end."""


def score_streaming(
    truths: Mapping[str, Truth],
    answers: Sequence[Answer],
    from_s: float = 0.0,
    until_s: float | Mapping[str, float] = np.inf,
    least_iou: float = LEAST_IOU,
) -> dict[str, Any]:
    """Score what was on the screens of several cameras at every instant of which the truth is known.

    Args:
        truths: camera to its truth; a camera without answers was dark all the time.
        answers: of all cameras.
        from_s: instants before this do not count;
        until_s: nor those from here on; of all cameras, or each its own.
        least_iou: overlap from which a shown box is the true face.

    Returns:
        ``cameras``: name to :func:`scores_of`; ``all``: the same of all faces of all cameras; ``macro``: mean
        of the cameras' numbers; ``worst``: name and gender accuracy of the camera where that is least, None
        where no gender is known.
    """
    seen = {}
    for camera, truth in truths.items():
        end_s = until_s[camera] if isinstance(until_s, Mapping) else until_s
        seen[camera] = align(camera, truth, answers, from_s, end_s, least_iou)
    return score_sightings(seen.values(), answers)


def score_sightings(seen: Iterable[Sightings], answers: Sequence[Answer]) -> dict[str, Any]:
    """See :func:`score_streaming`; of cameras that are aligned already."""
    of_camera = {one.camera: one for one in seen}
    flips = {
        camera: flips_per_track([a for a in answers if a.camera == camera], one)
        for camera, one in of_camera.items()
    }
    cameras = {camera: scores_of(one) | flips[camera] for camera, one in of_camera.items()}
    known = {
        c: block["gender_accuracy"] for c, block in cameras.items() if block["gender_accuracy"] is not None
    }
    worst = min(known, key=lambda camera: known[camera]) if known else None
    together = flips_per_track(answers, *of_camera.values())
    return {
        "cameras": cameras,
        "all": scores_of(joined(list(of_camera.values()))) | together,
        "macro": _mean_of(cameras.values()),
        "worst": None if worst is None else {"camera": worst, "gender_accuracy": known[worst]},
    }


def scores_of(seen: Sightings) -> dict[str, Any]:
    """The scores of one camera.

    With F the true faces over all instants (those of :data:`MOST_OCCLUDED` left out), of which G have a known
    gender, L of these show a label, and R of these the right one:

    ``gender_accuracy`` = R / G, a missed or unlabelled face being wrong; ``coverage`` = L / G;
    ``gender_accuracy_labelled`` = R / L, so that the first is the product of the other two;
    ``age_mae_years``, mean distance of the shown age to the label's years, 0 inside them, over labelled faces
    of known age;
    ``detection_recall``, share of F with a shown box, and ``recall_by_size``;
    ``false_faces_per_instant``; ``staleness_ms``, p50 and p95 of instant minus time of the shown frame;
    ``identity_switches``, ``idf1``, ``hota``, ``first_label_s``, ``stable_label_s``,
    ``track_vote_accuracy``: see the functions of these names in ``visits`` and ``identity``.

    Returns:
        Plain values; None where nothing counts.
    """
    known = ~np.isnan(seen.true_female)
    labelled = known & ~np.isnan(seen.told_female)
    right = labelled & (seen.told_female == seen.true_female)
    away_years = np.abs(seen.told_age_years - seen.true_age_years) - seen.age_within_years
    return {
        "instants": len(seen.instants_s),
        "faces": len(seen),
        "gender_accuracy": _share(right, known),
        "coverage": _share(labelled, known),
        "gender_accuracy_labelled": _share(right, labelled),
        "age_mae_years": _mean(np.maximum(away_years, 0.0)),
        "detection_recall": _mean(seen.track >= 0),
        "recall_by_size": recall_by_size(seen),
        "false_faces_per_instant": _mean(seen.false_faces),
        "staleness_ms": _percentiles(1000 * seen.staleness_s, (50, 95)),
        **{name: _percentiles(values, (50, 95)) for name, values in label_times(seen).items()},
        "track_vote_accuracy": track_vote_accuracy(seen),
        "identity_switches": switches(seen),
        "idf1": idf1(seen.moments),
        "hota": hota(seen.moments),
    }


def recall_by_size(seen: Sightings) -> dict[str, dict[str, Any]]:
    """Share of true faces that are shown, by the longest side of their box; empty bins are left out."""
    bins = np.digitize(seen.side_px, FACE_SIZES_PX) - 1
    ends = [*(f"-{end}" for end in FACE_SIZES_PX[1:]), "+"]
    return {
        f"{start}{end}": {"faces": int((bins == n).sum()), "recall": _mean(seen.track[bins == n] >= 0)}
        for n, (start, end) in enumerate(zip(FACE_SIZES_PX, ends, strict=True))
        if (bins == n).any()
    }


def over_time(seen: Iterable[Sightings], step_s: float = 1.0) -> list[dict[str, Any]]:
    """The same moments of all cameras, one row for each ``step_s``: how a run fell and came back.

    Returns:
        Rows of ``time_s`` (where the step begins), ``faces``, ``gender_accuracy``, ``detection_recall`` and
        ``staleness_ms`` (mean), None where nothing counts.
    """
    whole = joined(list(seen))
    steps = (whole.instants_s // step_s).astype(int)
    rows = []
    for step in np.unique(steps):
        of_step = steps == step
        here = of_step[whole.instant]
        known = here & ~np.isnan(whole.true_female)
        right = known & (whole.told_female == whole.true_female)
        rows.append(
            {
                "time_s": float(step * step_s),
                "faces": int(here.sum()),
                "gender_accuracy": _share(right, known),
                "detection_recall": _mean(whole.track[here] >= 0),
                "staleness_ms": _mean(1000 * whole.staleness_s[of_step]),
            }
        )
    return rows


def joined(seen: Sequence[Sightings]) -> Sightings:
    """Several cameras as one, at least one: nobody of one is anybody of another."""
    parts = []
    visits = tracks = instants = 0
    for one in seen:
        moments = [Moment(s.visits + visits, s.tracks + tracks, s.overlaps) for s in one.moments]
        parts.append(
            replace(
                one,
                instant=one.instant + instants,
                visit=one.visit + visits,
                track=np.where(one.track < 0, -1, one.track + tracks),
                moments=tuple(moments),
            )
        )
        visits += 1 + int(one.visit.max(initial=0))
        tracks += 1 + max((int(s.tracks.max(initial=0)) for s in one.moments), default=0)
        instants += len(one.instants_s)
    columns = [name for name in Sightings.__dataclass_fields__ if name not in ("camera", "moments")]
    merged = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    return Sightings(camera="all", moments=tuple(m for part in parts for m in part.moments), **merged)


def _mean_of(blocks: Iterable[Mapping[str, Any]]) -> dict[str, float | None]:
    """Mean of each plain number over the cameras that have it."""
    numbers: dict[str, list[float]] = {}
    for block in blocks:
        for name, value in block.items():
            if not isinstance(value, Mapping):
                numbers.setdefault(name, []).extend([] if value is None else [float(value)])
    return {name: float(np.mean(values)) if values else None for name, values in numbers.items()}


def _share(part: np.ndarray, whole: np.ndarray) -> float | None:
    return int(part.sum()) / int(whole.sum()) if whole.any() else None


def _mean(values: np.ndarray) -> float | None:
    counted = np.asarray(values, dtype=np.float64)
    counted = counted[~np.isnan(counted)]
    return float(counted.mean()) if counted.size else None


def _percentiles(values: np.ndarray, percents: Sequence[int]) -> dict[str, float | None]:
    """Values that occurred, not ones between them."""
    counted = np.asarray(values, dtype=np.float64)
    counted = counted[~np.isnan(counted)]
    if not counted.size:
        return {f"p{percent}": None for percent in percents}
    return {f"p{p}": round(float(np.percentile(counted, p, method="inverted_cdf")), 6) for p in percents}
