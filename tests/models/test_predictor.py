"""The predictor: crops in, predictions out, from any thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from made_faces import draw_face

from toolkit.errors import ConfigError, ShapeError
from toolkit.models.checkpoint import Checkpoint, ModelCard
from toolkit.models.network import FaceNetwork
from toolkit.models.predictor import Predictor


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.manual_seed(0)
    checkpoint = Checkpoint(FaceNetwork("test_resnet"), ModelCard("test_resnet", 64))
    return Predictor(checkpoint, device="cpu", batch_size=4)


def faces(count: int) -> list[np.ndarray]:
    return [draw_face(i % 2, 10 * i, side_px=40 + i, seed=i) for i in range(count)]


def test_no_crops_give_no_predictions(predictor: Predictor) -> None:
    assert predictor([]) == []
    assert predictor.predict_arrays([]).age_distribution.shape == (0, 101)


def test_each_crop_gets_its_own_prediction_whatever_the_batch(predictor: Predictor) -> None:
    crops = faces(9)

    together, alone = predictor(crops), [predictor([crop])[0] for crop in crops]

    assert len({p.age_years for p in together}) == 9
    for one, other in zip(together, alone, strict=True):
        assert one.gender == other.gender
        assert one.age_years == pytest.approx(other.age_years, abs=0.01)


def test_predictions_and_arrays_agree(predictor: Predictor) -> None:
    crops = faces(3)

    predictions, arrays = predictor(crops), predictor.predict_arrays(crops)

    for index, prediction in enumerate(predictions):
        assert prediction.gender_probability >= 0.5
        assert prediction.female_probability == pytest.approx(float(arrays.female_probability[index]))
        distribution = arrays.age_distribution[index].astype(float)
        mean = float((distribution * np.arange(101)).sum())
        assert prediction.age_years == pytest.approx(mean, abs=0.01)
        spread = float(np.sqrt((distribution * (np.arange(101) - mean) ** 2).sum()))
        assert prediction.age_spread_years == pytest.approx(spread, abs=0.05)


def test_many_threads_get_what_one_gets(predictor: Predictor) -> None:
    crops = faces(8)
    expected = predictor(crops)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: predictor(crops), range(8)))

    for answer in answers:
        assert [p.gender for p in answer] == [p.gender for p in expected]
        assert [p.age_years for p in answer] == pytest.approx([p.age_years for p in expected], abs=1e-3)


def test_a_bad_crop_is_named_by_its_index(predictor: Predictor) -> None:
    with pytest.raises(ShapeError, match="crop 2 must be"):
        predictor([*faces(2), np.zeros((5, 5), np.uint8)])


def test_an_unknown_device_says_what_to_use() -> None:
    checkpoint = Checkpoint(FaceNetwork("test_resnet"), ModelCard("test_resnet", 64))

    with pytest.raises(ConfigError, match="no device 'toaster' here"):
        Predictor(checkpoint, device="toaster")


def test_a_batch_of_nothing_is_refused() -> None:
    checkpoint = Checkpoint(FaceNetwork("test_resnet"), ModelCard("test_resnet", 64))

    with pytest.raises(ConfigError, match="batch_size"):
        Predictor(checkpoint, batch_size=0)


def test_torch_threads_are_as_they_were_before_a_call(predictor: Predictor) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        predictor(faces(2))

        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
