"""Losses against worked cases, and the gradients they give."""

from __future__ import annotations

import math

import pytest
import torch

from toolkit.models.network import FaceOutputs
from toolkit.training import losses
from toolkit.training.losses import age_loss, face_losses


@pytest.fixture(autouse=True)
def bends_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "SMOOTHNESS_WEIGHT", 0.0)


def years(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def test_an_interval_costs_the_logarithm_of_its_probability() -> None:
    flat = torch.zeros((1, 101))

    assert age_loss(flat, years(20), years(29)).item() == pytest.approx(-math.log(10 / 101), abs=1e-5)


def test_all_years_of_an_interval_are_equally_right() -> None:
    sure = torch.full((2, 101), -30.0)
    sure[0, 20] = sure[1, 29] = 30.0

    assert age_loss(sure, years(20, 20), years(29, 29)).item() == pytest.approx(0.0, abs=1e-5)


def test_an_exact_age_wants_a_narrow_bell_around_it() -> None:
    def bell(sigma: float) -> torch.Tensor:
        return (-0.5 * ((torch.arange(101) - 40) / sigma) ** 2)[None]

    right = age_loss(bell(2.0), years(40), years(40)).item()

    assert right == pytest.approx(math.log(2.0 * math.sqrt(2 * math.pi * math.e)), abs=1e-3)
    assert right < age_loss(bell(1.0), years(40), years(40)).item()
    assert right < age_loss(bell(4.0), years(40), years(40)).item()


def test_exact_ages_and_intervals_mix_in_a_batch() -> None:
    logits = torch.randn((2, 101), generator=torch.Generator().manual_seed(0))

    both = age_loss(logits, years(40, 20), years(40, 29))

    alone = age_loss(logits[:1], years(40), years(40)) + age_loss(logits[1:], years(20), years(29))
    assert both.item() == pytest.approx(alone.item() / 2, abs=1e-5)


def test_ages_beyond_the_last_bin_count_as_the_last() -> None:
    logits = torch.randn((1, 101), generator=torch.Generator().manual_seed(0))

    old, oldest = age_loss(logits, years(116), years(116)), age_loss(logits, years(100), years(100))

    assert old.item() == oldest.item()


def test_the_gender_loss_is_the_logarithm_of_the_labels_probability() -> None:
    outputs = FaceOutputs(torch.tensor([2.0, 2.0]), torch.zeros((2, 101)))

    loss = face_losses(outputs, torch.tensor([1, 0]), years(3, 3), years(9, 9)).gender.item()

    right = 1 / (1 + math.exp(-2.0))
    assert loss == pytest.approx(-(math.log(right) + math.log(1 - right)) / 2, abs=1e-5)


def test_smoothness_lets_an_open_interval_fade_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "SMOOTHNESS_WEIGHT", 0.05)
    logits = torch.zeros((1, 101), requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.05)

    for _ in range(300):
        optimiser.zero_grad()
        age_loss(logits.expand(2, 101), years(60, 70), years(69, 100)).backward()
        optimiser.step()

    assert logits[0, 95] < logits[0, 72] - 1


def sure_of(age: int) -> torch.Tensor:
    logits = torch.full((1, 101), -50.0)
    logits[0, age] = 50.0
    return logits


def test_regression_counts_the_years_to_the_edge_of_the_interval() -> None:
    def loss(lo: int, hi: int) -> float:
        return age_loss(sure_of(33), years(lo), years(hi), "regression").item()

    assert loss(40, 40) == pytest.approx(7 * losses.MISS_PER_YEAR, abs=1e-4)
    assert loss(20, 29) == pytest.approx(4 * losses.MISS_PER_YEAR, abs=1e-4)
    assert loss(30, 39) == pytest.approx(0.0, abs=1e-4)


def test_expectation_adds_the_years_to_the_distribution() -> None:
    logits = torch.randn((3, 101), generator=torch.Generator().manual_seed(0))
    ages = years(40, 20, 70), years(40, 29, 100)

    both = age_loss(logits, *ages, "expectation").item()

    parts = age_loss(logits, *ages, "distribution") + age_loss(logits, *ages, "regression")
    assert both == pytest.approx(parts.item(), abs=1e-5)


def test_ordinal_asks_every_year_and_none_inside_the_interval() -> None:
    flat = torch.zeros((1, 101))

    # By hand: P(older than k) is (100 - k) / 101; asked for k = 0..19 and, the other way round, for 29..99.
    by_hand = sum(math.log((100 - k) / 101) for k in range(20)) + sum(
        math.log((k + 1) / 101) for k in range(29, 100)
    )
    expected = -losses.MISS_PER_YEAR * by_hand
    assert age_loss(flat, years(20), years(29), "ordinal").item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", losses.AGE_LOSSES)
def test_every_loss_leads_to_the_age_and_into_the_interval(kind: str) -> None:
    logits = torch.zeros((2, 101), requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.2)

    for _ in range(200):
        optimiser.zero_grad()
        age_loss(logits, years(62, 20), years(62, 29), kind).backward()
        optimiser.step()

    exact, inside = (logits.softmax(dim=1) @ torch.arange(101.0)).tolist()
    assert exact == pytest.approx(62, abs=1.5)
    assert 19 < inside < 30


@pytest.mark.parametrize("kind", losses.AGE_LOSSES)
def test_a_sure_and_wrong_answer_still_has_a_gradient(kind: str) -> None:
    logits = sure_of(10).requires_grad_()

    age_loss(logits, years(80), years(80), kind).backward()

    assert torch.isfinite(logits.grad).all()
