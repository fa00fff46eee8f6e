"""Losses: gender as a yes or no, age as a distribution, exact or known to an interval."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from toolkit.models.network import AGE_BINS, FaceOutputs

EXACT_AGE_SIGMA_YEARS = 2.0
"""Width of the label distribution around an exact age: the usual value on UTKFace-like labels."""

SMOOTHNESS_WEIGHT = 0.05
"""Share of the penalty on bends of the log-density over years.

An interval says nothing of the years inside it. Of all distributions that explain it, the smoothest
log-density is wanted, so that 70+ fades out with age instead of reaching 100 as likely as 70.
"""


class FaceLosses(NamedTuple):
    """The parts of the loss, each a scalar tensor."""

    gender: torch.Tensor
    age: torch.Tensor


def face_losses(
    outputs: FaceOutputs, genders: torch.Tensor, ages_lo: torch.Tensor, ages_hi: torch.Tensor
) -> FaceLosses:
    """Both losses of a batch.

    Args:
        outputs: of the network.
        genders: (N,), 0 or 1.
        ages_lo: (N,), years, the youngest age the label allows.
        ages_hi: (N,), years, the oldest; equal to ``ages_lo`` for an exact age. Beyond 100 counts as 100.
    """
    gender = F.binary_cross_entropy_with_logits(outputs.gender_logits, genders.float())
    return FaceLosses(gender, age_loss(outputs.age_logits, ages_lo, ages_hi))


def age_loss(age_logits: torch.Tensor, ages_lo: torch.Tensor, ages_hi: torch.Tensor) -> torch.Tensor:
    """Mean loss of age distributions against exact ages and intervals, mixed as they come.

    An exact age is learned as a narrow Gaussian over the years; an interval by the probability it is given.

    Source: Gao et al., "Age estimation using expectation of label distribution learning", IJCAI 2018,
        section 3.2, for exact ages; the likelihood of interval-censored data for intervals; smoothness ours.
    """
    oldest = AGE_BINS - 1
    lo, hi = ages_lo.clamp(max=oldest)[:, None], ages_hi.clamp(max=oldest)[:, None]
    years = torch.arange(AGE_BINS, device=age_logits.device)
    log_probability = age_logits.log_softmax(dim=1)

    label = torch.softmax(-0.5 * ((years - lo) / EXACT_AGE_SIGMA_YEARS) ** 2, dim=1)
    exact = -(label * log_probability).sum(dim=1)
    outside = (years < lo) | (years > hi)
    interval = -log_probability.masked_fill(outside, float("-inf")).logsumexp(dim=1)

    bends = age_logits.diff(n=2, dim=1).square().sum(dim=1)
    return (torch.where((lo == hi).squeeze(1), exact, interval) + SMOOTHNESS_WEIGHT * bends).mean()
