"""Pictures side by side."""

import numpy as np
import pytest

from toolkit.notebook.mosaic import Mosaic

WHITE = np.full((90, 160, 3), 255, np.uint8)


def test_a_mosaic_shows_every_camera_and_a_dark_tile_for_one_that_has_shown_nothing():
    mosaic = Mosaic(3, width_px=640)
    for number, picture in enumerate((WHITE, None, WHITE)):
        mosaic.put(number, "abc"[number], picture)

    assert mosaic.image.shape == (360, 640, 3)
    assert mosaic.image[120, 160].tolist() == [255, 255, 255]
    assert mosaic.image[120, 480].tolist() == [32, 32, 32]


def test_a_picture_of_another_shape_leaves_nothing_of_the_one_before():
    mosaic = Mosaic(1, width_px=320)
    mosaic.put(0, "a", np.full((180, 320, 3), 255, np.uint8))
    mosaic.put(0, "a", np.full((180, 240, 3), 255, np.uint8))

    assert mosaic.image[90, [20, 160, 300]].tolist() == [[32] * 3, [255] * 3, [32] * 3]


def test_a_mosaic_of_no_camera_is_a_picture_too():
    assert Mosaic(0, width_px=320).image.shape == (180, 320, 3)


@pytest.mark.parametrize("size_wh", [(1280, 720), (640, 480), (480, 640), (3840, 1000)])
def test_a_picture_of_the_width_that_fits_is_put_there_as_it_is(size_wh):
    mosaic = Mosaic(16, width_px=1280)
    width = mosaic.width_that_fits(size_wh)
    height = max(1, round(size_wh[1] * width / size_wh[0]))
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)

    mosaic.put(0, "", picture)

    left, top = (320 - width) // 2, (180 - height) // 2
    assert np.array_equal(mosaic.image[top + 30 : top + height, left : left + width], picture[30:])
