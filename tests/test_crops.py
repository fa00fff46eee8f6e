"""Cutting faces out of pictures."""

import numpy as np
import pytest

from toolkit.crops import cut_crops, xywh_to_xyxy
from toolkit.errors import ShapeError

IMAGE = np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 200, 3)


def test_a_crop_is_the_square_around_the_middle_of_its_box():
    [crop] = cut_crops(IMAGE, np.array([[50, 20, 70, 60]]))

    assert crop.box_xyxy == (40, 20, 80, 60)
    assert np.array_equal(crop.image, IMAGE[20:60, 40:80])


def test_a_margin_is_a_share_of_the_side_on_each_side():
    [crop] = cut_crops(IMAGE, np.array([[50, 30, 70, 50]]), margin=0.5)

    assert crop.box_xyxy == (40, 20, 80, 60)


def test_a_crop_is_a_view_and_not_a_copy():
    [crop] = cut_crops(IMAGE, np.array([[50, 20, 70, 60]]))

    assert np.shares_memory(crop.image, IMAGE)


def test_boxes_are_clipped_and_those_without_area_give_no_crop():
    boxes = np.array([[-20, -20, 20, 20], [10, 10, 10, 30], [300, 300, 320, 320], [190, 90, 230, 130]])

    crops = cut_crops(IMAGE, boxes)

    assert [crop.index for crop in crops] == [0, 3]
    assert [crop.image.shape[:2] for crop in crops] == [(20, 20), (10, 10)]


def test_no_box_gives_no_crop():
    assert cut_crops(IMAGE, np.zeros((0, 4))) == []
    assert cut_crops(IMAGE, []) == []


@pytest.mark.parametrize(
    ("image", "boxes", "said"),
    [
        (IMAGE[..., 0], [[0, 0, 1, 1]], r"\(H, W, 3\)"),
        (IMAGE.astype(float), [[0, 0, 1, 1]], "float64"),
        (IMAGE, [[0, 0, 1]], r"\(N, 4\), got \(1, 3\)"),
        (IMAGE, [[0, 0, np.nan, 1]], "finite"),
    ],
)
def test_what_cannot_be_cut_is_named(image, boxes, said):
    with pytest.raises(ShapeError, match=said):
        cut_crops(image, boxes)


def test_width_and_height_become_right_and_bottom():
    assert xywh_to_xyxy(np.array([[10, 20, 30, 40]])).tolist() == [[10, 20, 40, 60]]
