"""One picture of all cameras."""

import cv2
import numpy as np
import pytest

from toolkit.live.listeners import LatestResults
from toolkit.notebook.wall import Wall
from toolkit.records import Frame, FrameResult


@pytest.fixture
def latest():
    return LatestResults()


@pytest.fixture
def wall(latest):
    return Wall(["door", "hall"], latest, width_px=320)


def result(camera: str, value: int) -> FrameResult:
    return FrameResult(Frame(camera, 0, 0.0, np.full((90, 160, 3), value, np.uint8)), (), 0.1)


def brightness(jpeg: bytes) -> list[int]:
    """Of the middle of the left and of the right tile."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    return [round(float(image[60:80, left : left + 40].mean())) for left in (60, 220)]


def test_each_camera_has_its_tile_and_one_without_a_result_a_dark_one(wall, latest):
    latest(result("hall", 200))

    assert brightness(wall.jpeg({})) == pytest.approx([32, 200], abs=3)


def test_the_wall_is_drawn_again_only_when_something_is_new(wall, latest):
    assert wall.jpeg_if_new({}) is not None
    assert wall.jpeg_if_new({}) is None

    latest(result("door", 100))

    assert brightness(wall.jpeg_if_new({})) == pytest.approx([100, 32], abs=3)
    assert wall.jpeg_if_new({}) is None
    assert wall.jpeg_if_new({}, blur_faces=False) is not None


def test_a_camera_that_is_lost_says_so_on_its_last_picture(wall, latest):
    latest(result("door", 100))
    live = wall.jpeg_if_new({"door": "live"})

    lost = wall.jpeg_if_new({"door": "retrying"})

    assert lost is not None
    assert lost != live
    assert brightness(lost) == brightness(live)
