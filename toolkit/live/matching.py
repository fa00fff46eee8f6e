"""Which box continues which: overlaps, and pairs by the best of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.records import BoxXyxy


def iou_matrix(boxes_a_xyxy: np.ndarray, boxes_b_xyxy: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair: (A, 4) and (B, 4) to (A, B)."""
    a, b = boxes_a_xyxy[:, None, :], boxes_b_xyxy[None, :, :]
    sides = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    shared = sides.prod(axis=-1)
    areas = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1)
    return shared / np.maximum(areas - shared, 1e-9)


def grown(boxes_xyxy: np.ndarray, share: float) -> np.ndarray:
    """Boxes (N, 4) with a border of ``share`` of their sides around them."""
    border = share * (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2])
    return np.concatenate([boxes_xyxy[:, :2] - border, boxes_xyxy[:, 2:] + border], axis=1)


def match(
    found_xyxy: Sequence[BoxXyxy], known_xyxy: Sequence[BoxXyxy], least_iou: float, border: float = 0.0
) -> list[tuple[int, int]]:
    """Pairs (number of a found box, number of the known box it continues), each used at most once.

    Args:
        found_xyxy: boxes of this frame.
        known_xyxy: where the known ones should be.
        least_iou: overlap from which two boxes may belong together.
        border: both are grown by this share of their sides first: boxes that do not touch may match.

    Returns:
        Pairs, the best overlap first.

    Source: greedy matching as in Bochinski, Eiselein, Sikora: High-Speed Tracking-by-Detection Without Using
    Image Information, AVSS 2017; the border from Yang et al.: Hard to Track Objects with Irregular Motions
    and Similar Appearances? Make It Easier by Buffering the Matching Space, WACV 2023.
    """
    if not found_xyxy or not known_xyxy:
        return []
    overlaps = iou_matrix(grown(np.array(found_xyxy), border), grown(np.array(known_xyxy), border))
    pairs: list[tuple[int, int]] = []
    for flat in np.argsort(-overlaps, axis=None, kind="stable"):
        found, known = divmod(int(flat), overlaps.shape[1])
        if overlaps[found, known] < least_iou:
            break
        if all(found != pair[0] and known != pair[1] for pair in pairs):
            pairs.append((found, known))
    return pairs
