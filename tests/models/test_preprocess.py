"""Crops of any size become one batch."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_faces import draw_face

from toolkit.errors import ShapeError
from toolkit.models.preprocess import make_batch
from toolkit.records import Crop


def test_a_crop_of_the_right_size_passes_unchanged() -> None:
    image = draw_face(0, 30, side_px=32)

    assert np.array_equal(make_batch([image], 32)[0], image)


def test_crops_of_all_sizes_share_one_batch() -> None:
    batch = make_batch([draw_face(0, 30, side_px=side) for side in (7, 32, 200)], 32)

    assert batch.shape == (3, 32, 32, 3)
    assert batch.dtype == np.uint8


def test_shrinking_averages_areas() -> None:
    image = draw_face(1, 30, side_px=128)

    expected = image.reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
    assert np.abs(make_batch([image], 32)[0] - expected).max() <= 1


def test_a_narrow_crop_lies_in_the_middle_of_its_repeated_edges() -> None:
    image = np.zeros((32, 16, 3), np.uint8)
    image[:, 0], image[:, -1] = 50, 200

    row = make_batch([image], 32)[0][10, :, 0].tolist()

    assert row == [50] * 9 + [0] * 14 + [200] * 9


def test_a_flat_crop_is_not_stretched() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    cv2.circle(image, (40, 20), 16, (255, 255, 255), -1)

    white = make_batch([image], 64)[0][:, :, 0] > 127

    assert abs(int(white.any(axis=0).sum()) - int(white.any(axis=1).sum())) <= 1


def test_a_crop_record_and_a_view_into_a_frame_are_taken_as_they_are() -> None:
    frame = draw_face(0, 30, side_px=64)
    view = frame[8:40, 8:40]

    batch = make_batch([Crop(0, (8, 8, 40, 40), view), view], 32)

    assert np.array_equal(batch[0], view)
    assert np.array_equal(batch[1], view)


def test_no_crops_give_an_empty_batch() -> None:
    assert make_batch([], 32).shape == (0, 32, 32, 3)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
        "face.jpg",
    ],
)
def test_what_is_no_picture_is_refused_with_its_index(bad: object) -> None:
    with pytest.raises(ShapeError, match="crop 1 must be"):
        make_batch([draw_face(0, 30), bad], 32)  # type: ignore[list-item]
