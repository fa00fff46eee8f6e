"""What a trained detector is worth on held-back made pictures, and what its scores mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit, logit

from toolkit.evaluation.detection import Curve, LookedAt, average_precision, detection_curve, recall_at
from toolkit.models.detector.boxes import read_answers
from toolkit.models.detector.network import DetectorNetwork
from toolkit.training.detector_batches import DetectorBatch

LEAST_SCORE = 0.05
"""Boxes below this are not looked at."""

_NMS_IOU = 0.4

# Nearer to 0 or 1 a score has no finite logit, and one such box would undo the fit.
_LEAST_DOUBT = 1e-12


def score_held_back(
    network: DetectorNetwork, batches: Sequence[DetectorBatch]
) -> tuple[dict[str, float], tuple[float, float]]:
    """How well a network does on made pictures, and the line that makes probabilities of its logits.

    Args:
        network: ready to predict.
        batches: pictures it did not learn from.

    Returns:
        ``val/average_precision`` and ``val/recall`` with half a false alarm a picture; slope and offset.
    """
    pictures = [picture for batch in batches for picture in _looked_at(network, batch)]
    curve = detection_curve(pictures)
    scores = {
        "val/average_precision": average_precision(curve),
        "val/recall": recall_at(curve, 0.5),
    }
    return scores, probability_line(curve)


def probability_line(curve: Curve) -> tuple[float, float]:
    """Slope and offset so that the sigmoid of slope times logit plus offset is the share of boxes on a face.

    Without both a face and a false alarm there is nothing to fit: 1 and 0.

    Source: Platt, "Probabilistic outputs for support vector machines", 1999.
    """
    hits = np.diff(curve.found, prepend=0).astype(float)
    if not 0 < hits.sum() < len(hits):
        return 1.0, 0.0
    logits = logit(np.clip(curve.scores, _LEAST_DOUBT, 1 - _LEAST_DOUBT))

    def surprise(line: np.ndarray) -> float:
        told = line[0] * logits + line[1]
        return float(np.mean(np.logaddexp(0, told) - hits * told))

    slope, offset = minimize(surprise, np.array([1.0, 0.0])).x
    return float(slope), float(offset)


@torch.inference_mode()
def _looked_at(network: DetectorNetwork, batch: DetectorBatch) -> list[LookedAt]:
    logits, told = (output.numpy() for output in network(batch.images_nhwc))
    height, width = batch.images_nhwc.shape[1:3]
    found = read_answers(logits, told, (height, width), float(logit(LEAST_SCORE)), _NMS_IOU)
    return [
        # In single precision a logit of 17 is a score of 1 already.
        LookedAt(boxes, expit(of_boxes.astype(np.float64)), there[asked], there[~asked])
        for (boxes, of_boxes), there, asked in zip(
            found, batch.boxes_xyxy.numpy(), batch.is_asked.numpy(), strict=True
        )
    ]
