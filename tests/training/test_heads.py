"""Heads that are told, after a training, how sure to be and how common ages are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from toolkit.models.network import AGE_BINS, FaceNetwork
from toolkit.training.heads import set_age_prior, set_temperatures


@pytest.fixture
def network() -> FaceNetwork:
    torch.manual_seed(0)
    return FaceNetwork("test_resnet").eval()


def answers(network: FaceNetwork) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8, generator=generator)
    with torch.inference_mode():
        return network(images)


def test_a_temperature_divides_the_logits_of_its_head(network: FaceNetwork) -> None:
    gender, age = answers(network)

    set_temperatures(network, gender=2.0, age=0.5)

    warmer_gender, colder_age = answers(network)
    assert torch.allclose(warmer_gender, gender / 2, atol=1e-5)
    assert torch.allclose(colder_age, age * 2, atol=1e-5)


def test_ages_that_are_more_common_become_so_much_more_likely(network: FaceNetwork) -> None:
    before = answers(network)[1].softmax(dim=1)
    ratios = np.ones(AGE_BINS)
    ratios[20:30] = 3.0

    set_age_prior(network, ratios)

    after = answers(network)[1].softmax(dim=1)
    odds = after / before
    assert torch.allclose(odds[:, 25] / odds[:, 50], torch.tensor(3.0), rtol=1e-4)
    assert torch.allclose(odds[:, 60] / odds[:, 50], torch.tensor(1.0), rtol=1e-4)
