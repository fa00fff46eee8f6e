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
    score_threshold: float,
    nms_threshold: float,
    probability_line: tuple[float, float] = (1.0, 0.0),
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes and scores of every picture of a batch, best first.

    Args:
        score_logits: (N, P), see :class:`toolkit.models.detector.network.DetectorOutputs`.
        told: (N, P, 4), its ``boxes``.
        size_hw: height and width of the pictures, in pixels.
        score_threshold: least score, above 0 and below 1.
        nms_threshold: of two boxes that overlap by more than this (IoU), the better stays.
        probability_line: slope and offset that make of a logit one whose sigmoid is the score.

    Returns:
        For each picture (K, 4) float32, pixels, clipped to it; (K,) float32.
    """
    # In logits: a thousand places are compared, and a few become probabilities.
    slope, offset = probability_line
    least = (np.log(score_threshold) - np.log1p(-score_threshold) - offset) / slope
    found = []
    for logits, of_picture in zip(score_logits, told, strict=True):
        chosen = np.flatnonzero(logits >= least)
        chosen = chosen[np.argsort(-logits[chosen], kind="stable")[:MOST_CANDIDATES]]
        boxes = decode(of_picture[chosen], chosen, size_hw)
        kept = keep_best(boxes, nms_threshold)
        found.append((boxes[kept], 1.0 / (1.0 + np.exp(-slope * logits[chosen[kept]] - offset))))
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
    """(K, M): intersection over union of each of K boxes with each of M; 0 where both are empty."""
    left_top = np.maximum(one_xyxy[:, None, :2], other_xyxy[None, :, :2])
    right_bottom = np.minimum(one_xyxy[:, None, 2:], other_xyxy[None, :, 2:])
    common = np.clip(right_bottom - left_top, 0, None).prod(axis=2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (one_xyxy, other_xyxy)]
    union = areas[0][:, None] + areas[1][None] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
