"""Losses: gender as a yes or no, age as a distribution, exact or known to an interval."""

from __future__ import annotations

from collections.abc import Callable
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

MISS_PER_YEAR = 0.2
"""Weight of one year of the expectation's miss: five years weigh as much as one nat of likelihood."""


class FaceLosses(NamedTuple):
    """The parts of the loss, each a scalar tensor."""

    gender: torch.Tensor
    age: torch.Tensor


def face_losses(
    outputs: FaceOutputs,
    genders: torch.Tensor,
    ages_lo: torch.Tensor,
    ages_hi: torch.Tensor,
    age_kind: str = "distribution",
) -> FaceLosses:
    """Both losses of a batch.

    Args:
        outputs: of the network; in half precision too, the losses are in single.
        genders: (N,), 0 or 1.
        ages_lo: (N,), years, the youngest age the label allows.
        ages_hi: (N,), years, the oldest; equal to ``ages_lo`` for an exact age. Beyond 100 counts as 100.
        age_kind: one of :data:`AGE_LOSSES`.
    """
    gender = F.binary_cross_entropy_with_logits(outputs.gender_logits.float(), genders.float())
    return FaceLosses(gender, age_loss(outputs.age_logits.float(), ages_lo, ages_hi, age_kind))


def age_loss(
    age_logits: torch.Tensor, ages_lo: torch.Tensor, ages_hi: torch.Tensor, kind: str = "distribution"
) -> torch.Tensor:
    """Mean loss of age distributions against exact ages and intervals, mixed; smoothness ours."""
    oldest = AGE_BINS - 1
    lo, hi = ages_lo.clamp(max=oldest)[:, None], ages_hi.clamp(max=oldest)[:, None]
    losses = AGE_LOSSES[kind](age_logits.log_softmax(dim=1), lo, hi)
    bends = age_logits.diff(n=2, dim=1).square().sum(dim=1)
    return (losses + SMOOTHNESS_WEIGHT * bends).mean()


def distribution_loss(log_probability: torch.Tensor, lo: torch.Tensor, hi: torch.Tensor) -> torch.Tensor:
    """An exact age is learned as a narrow Gaussian over the years, an interval by its probability.

    Args:
        log_probability: (N, 101), of each year.
        lo: (N, 1), years.
        hi: (N, 1), years.

    Returns:
        (N,).

    Source: Gao et al., "Deep label distribution learning with label ambiguity", IEEE TIP 2017, section III,
        for exact ages; the likelihood of interval-censored data for intervals.
    """
    years = _years(log_probability)
    label = torch.softmax(-0.5 * ((years - lo) / EXACT_AGE_SIGMA_YEARS) ** 2, dim=1)
    exact = -(label * log_probability).sum(dim=1)
    outside = (years < lo) | (years > hi)
    interval = -log_probability.masked_fill(outside, float("-inf")).logsumexp(dim=1)
    return torch.where((lo == hi).squeeze(1), exact, interval)


def regression_loss(log_probability: torch.Tensor, lo: torch.Tensor, hi: torch.Tensor) -> torch.Tensor:
    """How far the expectation lies from the age, or from the interval; 0 inside it.

    Source: the L1 loss on the expectation of Gao et al., "Age estimation using expectation of label
        distribution learning", IJCAI 2018, section 3.3, alone.
    """
    expectation = (log_probability.exp() * _years(log_probability)).sum(dim=1, keepdim=True)
    return MISS_PER_YEAR * (F.relu(lo - expectation) + F.relu(expectation - hi)).squeeze(1)


def expectation_loss(log_probability: torch.Tensor, lo: torch.Tensor, hi: torch.Tensor) -> torch.Tensor:
    """The distribution and its expectation together.

    Source: Gao et al., IJCAI 2018 (DLDL-v2), equation 10.
    """
    return distribution_loss(log_probability, lo, hi) + regression_loss(log_probability, lo, hi)


def ordinal_loss(log_probability: torch.Tensor, lo: torch.Tensor, hi: torch.Tensor) -> torch.Tensor:
    """One question per year, "older than this?", answered by the sum of the years above it.

    Years inside an interval are not asked: the label does not know.

    Source: Niu et al., "Ordinal regression with multiple output CNN for age estimation", CVPR 2016; answers
        that cannot contradict each other as in Cao, Mirjalili and Raschka, "Rank consistent ordinal
        regression", Pattern Recognition Letters 2020, here because all come from one distribution.
    """
    years = _years(log_probability)[:-1]
    # Both tails by their own logarithms: 1 - p of a sure answer would be lost in single precision.
    log_older = log_probability.flip(1).logcumsumexp(1).flip(1)[:, 1:]
    log_younger = log_probability.logcumsumexp(1)[:, :-1]
    answers = torch.where(years < lo, log_older, torch.where(years >= hi, log_younger, 0.0))
    return -MISS_PER_YEAR * answers.sum(dim=1)


AgeLoss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

AGE_LOSSES: dict[str, AgeLoss] = {
    "distribution": distribution_loss,
    "expectation": expectation_loss,
    "ordinal": ordinal_loss,
    "regression": regression_loss,
}
"""By the name an experiment gives; each takes log-probabilities and intervals of ages."""


def _years(log_probability: torch.Tensor) -> torch.Tensor:
    return torch.arange(AGE_BINS, device=log_probability.device, dtype=log_probability.dtype)
