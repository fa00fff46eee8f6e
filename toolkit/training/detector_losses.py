"""What the detector should say at each place of a picture, and how far it is from that."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from toolkit.models.detector.network import DetectorOutputs, places

SIZES_PX = ((0.0, 40.0), (28.0, 96.0), (72.0, float("inf")))
"""Sizes of the faces, roots of their areas, that each grid answers for; two may answer for the same face."""

_NEAR = 0.3
_NEAREST_STRIDES, _FARTHEST_STRIDES = 0.6, 1.5
_BOX_WEIGHT = 2.0


def targets(
    boxes_xyxy: torch.Tensor, is_asked: torch.Tensor, side_px: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Which face each place should tell of.

    A place near the middle of a face tells of it, of the smaller one where two are near. Near is within 0.3
    of the face's size, but at least so far that a face has a place, and at most 1.5 strides.

    Args:
        boxes_xyxy: (N, M, 4), pixels; of pictures with fewer faces the rest are empty boxes.
        is_asked: (N, M), bool: False where telling of the face is neither right nor wrong.
        side_px: of the pictures.

    Returns:
        (N, P, 4) boxes; (N, P) bool, the places that tell of a face; (N, P) bool, those whose score counts.
    """
    device = boxes_xyxy.device
    centres, strides = (torch.from_numpy(array).to(device) for array in places(side_px, side_px))
    wide_high = boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]
    size = wide_high.prod(dim=2).sqrt()[:, :, None]
    is_box = size > 0
    middle = (boxes_xyxy[..., :2] + boxes_xyxy[..., 2:])[:, :, None] / 2
    away = (centres - middle).abs().amax(dim=3)
    reach = (_NEAR * size / strides).clamp(_NEAREST_STRIDES, _FARTHEST_STRIDES) * strides
    limits = torch.tensor(SIZES_PX, device=device)[(strides.log2() - 3).long()]
    is_near = is_box & (away < reach)
    tells = is_near & (size >= limits[:, 0]) & (size < limits[:, 1]) & is_asked[:, :, None]
    smallest = torch.where(tells, size, torch.inf).min(dim=1)
    positive = smallest.values.isfinite()
    chosen = boxes_xyxy.gather(1, smallest.indices[:, :, None].expand(-1, -1, 4))
    # Of a face that is not asked for, all of it and a stride around may be told as its or nobody's.
    blurred = is_box & ~is_asked[:, :, None] & (away < wide_high.amax(dim=2)[:, :, None] / 2 + strides / 2)
    return chosen, positive, positive | ~blurred.any(dim=1)


def decoded(outputs: DetectorOutputs, side_px: int) -> torch.Tensor:
    """(N, P, 4): the boxes in pixels that the network tells of square pictures."""
    centres, strides = (
        torch.from_numpy(array).to(outputs.boxes.device) for array in places(side_px, side_px)
    )
    middle = centres + outputs.boxes[..., :2] * strides[:, None]
    half = outputs.boxes[..., 2:].clamp(max=8).exp() * strides[:, None] / 2
    return torch.cat([middle - half, middle + half], dim=2)


def detector_losses(
    outputs: DetectorOutputs, boxes_xyxy: torch.Tensor, is_asked: torch.Tensor, side_px: int
) -> dict[str, torch.Tensor]:
    """``score``, ``box`` and their weighted sum ``loss``, each a mean over the places that tell of a face.

    The score is to be the overlap of the told box with the face's: so the best placed box of a face also has
    its best score.

    Args:
        outputs: of a batch.
        boxes_xyxy: as in :func:`targets`.
        is_asked: as there.
        side_px: as there.

    Source: Li et al., "Generalized focal loss", NeurIPS 2020 (score); Zheng et al., "Distance-IoU loss",
        AAAI 2020 (box).
    """
    wanted, positive, counts = targets(boxes_xyxy, is_asked, side_px)
    told = decoded(outputs, side_px)
    overlap, distance = _overlap_and_distance(told[positive], wanted[positive])
    goal = torch.zeros_like(outputs.score_logits)
    goal[positive] = overlap.detach()
    surprise = F.binary_cross_entropy_with_logits(outputs.score_logits, goal, reduction="none")
    gap = (outputs.score_logits.sigmoid() - goal).abs().square().detach()
    many = positive.sum().clamp(min=1)
    score = (surprise * gap * counts).sum() / many
    box = (1 - overlap + distance).sum() / many
    return {"loss": score + _BOX_WEIGHT * box, "score": score, "box": box}


def _overlap_and_distance(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """IoU of boxes (K, 4), and the squared distance of their middles as a share of the box around both."""
    common = (torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])).clamp(min=0)
    area = (one[:, 2:] - one[:, :2]).prod(dim=1) + (other[:, 2:] - other[:, :2]).prod(dim=1)
    intersection = common.prod(dim=1)
    around = torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])
    apart = (one[:, :2] + one[:, 2:] - other[:, :2] - other[:, 2:]).square().sum(dim=1) / 4
    return intersection / (area - intersection).clamp(min=1e-6), apart / around.square().sum(dim=1).clamp(
        min=1e-6
    )
