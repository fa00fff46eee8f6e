"""From the network's answers to boxes, without a loop over places or boxes."""

from __future__ import annotations

import numpy as np

from toolkit.models.detector.network import places

MOST_CANDIDATES = 500
"""So many places of a picture, those with the best scores, become boxes."""


def read_answers(
    score_logits: np.ndarray,
    told: np.ndarray,
    size_hw: tuple[int, int],
    least_logit: float,
    nms_threshold: float,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes of every picture of a batch and the logits of their scores, best first.

    Args:
        score_logits: (N, P), see :class:`toolkit.models.detector.network.DetectorOutputs`.
        told: (N, P, 4), its ``boxes``.
        size_hw: height and width of the pictures, in pixels.
        least_logit: of a box.
        nms_threshold: of two boxes that overlap by more than this (IoU), the better stays.

    Returns:
        For each picture (K, 4) float32, pixels, clipped to it; (K,) float32.
    """
    found = []
    for logits, of_picture in zip(score_logits, told, strict=True):
        chosen = np.flatnonzero(logits >= least_logit)
        chosen = chosen[np.argsort(-logits[chosen], kind="stable")[:MOST_CANDIDATES]]
        boxes = decode(of_picture[chosen], chosen, size_hw)
        kept = keep_best(boxes, nms_threshold)
        found.append((boxes[kept], logits[chosen[kept]]))
    return found


def decode(told: np.ndarray, chosen: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """(K, 4), float32, pixels: what the network tells at some places, clipped to the picture.

    Args:
        told: (K, 4), offsets and logarithms in strides.
        chosen: (K,), numbers of the places.
        size_hw: height and width of the pictures.
    """
    centres, strides = places(*size_hw)
    step = strides[chosen, None]
    middle = centres[chosen] + told[:, :2] * step
    # Beyond e^8 strides lies no picture, and soon no float either.
    half = np.exp(np.minimum(told[:, 2:], 8.0)) * step / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    height, width = size_hw
    return np.clip(boxes, 0, (width, height, width, height)).astype(np.float32)


def keep_best(boxes_xyxy: np.ndarray, nms_threshold: float) -> np.ndarray:
    """Which boxes stay when each removes the worse ones that it overlaps: greedy non-maximum suppression.

    Asked of all boxes at once whether one of the better ones that stay overlaps them, again and again, the
    answer no longer changes after as many rounds as the longest chain of boxes that remove each other,
    mostly three, and is that of the usual loop from the best to the worst.

    Args:
        boxes_xyxy: (K, 4), best first.
        nms_threshold: they overlap if their IoU is more.

    Returns:
        (K,), bool.
    """
    removes = np.triu(overlaps(boxes_xyxy, boxes_xyxy) > nms_threshold, k=1)
    kept: np.ndarray = np.ones(len(boxes_xyxy), bool)
    while True:
        now = np.asarray(~removes[kept].any(axis=0))
        if (now == kept).all():
            return kept
        kept = now


def overlaps(one_xyxy: np.ndarray, other_xyxy: np.ndarray) -> np.ndarray:
    """(K, M): the overlap of each of K boxes with each of M."""
    return overlap(one_xyxy[:, None], other_xyxy[None])


def overlap(one_xyxy: np.ndarray, other_xyxy: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (..., 4) and (..., 4), as their shapes match; 0 of two empty ones."""
    sides = [
        np.minimum(one_xyxy[..., end], other_xyxy[..., end])
        - np.maximum(one_xyxy[..., start], other_xyxy[..., start])
        for start, end in ((0, 2), (1, 3))
    ]
    common: np.ndarray = np.maximum(sides[0], 0) * np.maximum(sides[1], 0)
    union = _area(one_xyxy) + _area(other_xyxy) - common
    return common / np.maximum(union, 1e-9)


def _area(boxes_xyxy: np.ndarray) -> np.ndarray:
    area: np.ndarray = (boxes_xyxy[..., 2] - boxes_xyxy[..., 0]) * (boxes_xyxy[..., 3] - boxes_xyxy[..., 1])
    return area
