"""Where people are put, there they are: boxes and hidden shares hold to the pixel."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.data.scenes import Cutout, Placement, compose
from toolkit.errors import ShapeError

_GREY = np.full((200, 300, 3), 100, np.uint8)


def _square(value: int = 250, side_px: int = 64) -> Cutout:
    """A face that is a plain square of one brightness."""
    image = np.full((side_px, side_px, 3), value, np.uint8)
    return Cutout.of(
        image, np.ones((side_px, side_px), np.float32), (0.0, 0.0, float(side_px), float(side_px))
    )


def _extent(image: np.ndarray) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of what differs from the ground, by the mass along each axis."""
    there = np.abs(image[..., 0].astype(float) - 100) / 150
    columns, rows = there.max(axis=0), there.max(axis=1)
    left, top = np.argmax(columns > 0.5), np.argmax(rows > 0.5)
    return left, top, len(columns) - np.argmax(columns[::-1] > 0.5), len(rows) - np.argmax(rows[::-1] > 0.5)


@pytest.mark.parametrize("face_px", [16, 40, 64, 100])
@pytest.mark.parametrize("centre_xy", [(150.0, 90.0), (100.5, 80.25)])
def test_the_box_is_where_the_face_is_at_every_size(face_px: int, centre_xy: tuple[float, float]) -> None:
    composed = compose(_GREY, [Placement(_square(), centre_xy, face_px)], match=0.0)

    x, y = centre_xy
    expected = (x - face_px / 2, y - face_px / 2, x + face_px / 2, y + face_px / 2)
    assert composed.boxes_xyxy[0] == pytest.approx(expected, abs=0.05)
    assert _extent(composed.image) == pytest.approx(expected, abs=1.0)
    assert composed.occluded[0] == 0.0


def test_a_turned_face_has_a_narrower_box_and_a_tilted_one_stays_within_its_own() -> None:
    turned, tilted = compose(
        _GREY,
        [Placement(_square(), (80, 100), 60, turn_deg=45), Placement(_square(), (220, 100), 60, tilt_deg=30)],
    ).boxes_xyxy

    assert turned[2] - turned[0] == pytest.approx(60 * np.cos(np.pi / 4), rel=0.03)
    # A face fills its box as an ellipse does, and a circle stays the same when it is tilted.
    assert tilted == pytest.approx((190, 70, 250, 130), abs=0.5)


def test_who_stands_in_front_hides_the_share_that_is_covered() -> None:
    behind, before = Placement(_square(), (100, 100), 60), Placement(_square(200), (130, 100), 60)

    occluded = compose(_GREY, [behind, before]).occluded

    assert occluded == pytest.approx([0.5, 0.0], abs=0.02)


def test_what_stands_in_front_of_all_hides_them() -> None:
    pillar = np.full((200, 15, 4), 255, np.uint8)

    occluded = compose(_GREY, [Placement(_square(), (100, 100), 60)], front=[(pillar, (93, 0))]).occluded

    assert occluded == pytest.approx([0.25], abs=0.02)


def test_a_face_at_the_edge_has_a_clipped_box_and_its_rest_counts_as_hidden() -> None:
    composed = compose(_GREY, [Placement(_square(), (0, 100), 60), Placement(_square(), (-90, 100), 60)])

    assert composed.boxes_xyxy[0] == pytest.approx((0, 70, 30, 130), abs=0.05)
    assert composed.occluded == pytest.approx([0.5, 1.0], abs=0.02)


def test_scaling_down_leaves_no_aliasing() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    cutout = Cutout.of(stripes, np.ones((256, 256), np.float32), (0.0, 0.0, 256.0, 256.0))

    small = compose(_GREY, [Placement(cutout, (150, 100), 50)], match=0.0).image[85:115, 135:165]

    assert small.std() < 3
    assert small.mean() == pytest.approx(127, abs=3)


def test_who_moves_is_smeared_sideways_and_stays_where_they_are() -> None:
    sharp, smeared = (
        compose(_GREY, [Placement(_square(), (150, 100), 60, smear_px=px)]).image[100, :, 0].astype(float)
        - 100
        for px in (0, 21)
    )

    assert np.count_nonzero(smeared) == pytest.approx(np.count_nonzero(sharp) + 20, abs=2)
    assert np.average(range(300), weights=smeared) == pytest.approx(150, abs=1.0)


def test_people_take_on_the_light_of_the_place() -> None:
    dark = np.full_like(_GREY, 20)
    grey = Placement(_square(118), (150, 100), 60)

    assert compose(dark, [grey], match=0.5).image[100, 150, 0] < 60
    assert compose(dark, [grey], match=0.0).image[100, 150, 0] == 118


def test_a_background_that_is_no_picture_is_refused() -> None:
    with pytest.raises(ShapeError, match="background"):
        compose(np.zeros((20, 20), np.uint8), [])
    with pytest.raises(ShapeError, match="must fit"):
        Cutout.of(np.zeros((4, 4, 3), np.uint8), np.zeros((3, 4)), (0, 0, 4, 4))
