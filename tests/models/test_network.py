"""The network: shapes, colours and the reading of ages."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from toolkit.errors import ModelError
from toolkit.models.network import FaceNetwork, read_age


@pytest.fixture(scope="module")
def network() -> FaceNetwork:
    torch.manual_seed(0)
    return FaceNetwork("test_resnet").eval()


def test_bytes_in_give_one_gender_and_101_ages_per_picture(network: FaceNetwork) -> None:
    outputs = network(torch.zeros((3, 64, 64, 3), dtype=torch.uint8))

    assert outputs.gender_logits.shape == (3,)
    assert outputs.age_logits.shape == (3, 101)


def test_the_backbone_sees_normalised_rgb(network: FaceNetwork) -> None:
    blue_bgr = torch.zeros((1, 64, 64, 3), dtype=torch.uint8)
    blue_bgr[..., 0] = 255
    seen: list[torch.Tensor] = []
    hook = network.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    network(blue_bgr)
    hook.remove()

    red, green, blue = seen[0][0, :, 5, 5].tolist()
    assert red == pytest.approx(-0.485 / 0.229, abs=1e-4)
    assert green == pytest.approx(-0.456 / 0.224, abs=1e-4)
    assert blue == pytest.approx((1 - 0.406) / 0.225, abs=1e-4)


def test_an_unknown_backbone_names_the_nearest() -> None:
    with pytest.raises(ModelError, match="did you mean 'mobilenetv3_small_100'"):
        FaceNetwork("mobilenetv3_smal_100")


def test_age_is_the_expectation_and_its_deviation() -> None:
    distribution = np.zeros((2, 101))
    distribution[0, 40] = 1.0
    distribution[1, 20] = distribution[1, 30] = 0.5

    age, spread = read_age(distribution)

    assert age.tolist() == [40.0, 25.0]
    assert spread.tolist() == [0.0, 5.0]
