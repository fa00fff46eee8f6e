"""Faces found in real pictures."""

import numpy as np
import pytest

from toolkit.errors import ModelError, ShapeError
from toolkit.live.detect import HaarDetector, YuNetDetector, shrink
from toolkit.live.source import open_source


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    import cv2
    from matplotlib import cbook

    with cbook.get_sample_data("grace_hopper.jpg") as file:
        return cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)


@pytest.fixture
def yunet_path(data_dir):
    return data_dir / "models" / "face_detection_yunet_2026may.onnx"


def test_the_haar_cascade_finds_the_portrait_where_it_is(portrait):
    [detections] = HaarDetector()([portrait])
    best = max(detections, key=lambda d: d.score)
    left, top, right, bottom = best.box_xyxy

    assert 0 < best.score < 1
    # Her face fills the middle of the upper half of the 512 x 600 picture.
    assert left < 256 < right
    assert top < 200 < bottom


def test_yunet_finds_the_portrait_at_any_size(portrait, yunet_path):
    detector = YuNetDetector(yunet_path)
    wide = np.zeros((1080, 1920, 3), np.uint8)
    wide[200:800, 700:1212] = portrait

    [[small], [large]] = detector([portrait, wide])

    assert small.score > 0.8
    shifted = np.add(small.box_xyxy, (700, 200, 700, 200))
    assert np.abs(shifted - np.array(large.box_xyxy)).max() < 25


def test_yunet_finds_the_people_of_the_arcade(data_dir, yunet_path):
    source = open_source(data_dir / "videos" / "arcade-faces-1080p.mp4")
    detector = YuNetDetector(yunet_path, longest_side_px=1280)
    counts = [len(detector([source.read().image])[0]) for _ in range(10)]
    source.close()

    assert np.mean(counts) >= 4


def test_a_picture_without_a_face_gives_none(yunet_path):
    nothing = np.full((240, 320, 3), 127, np.uint8)

    assert YuNetDetector(yunet_path)([nothing, nothing]) == [[], []]
    assert HaarDetector()([nothing]) == [[]]


def test_a_file_that_is_no_model_is_named(tmp_path):
    path = tmp_path / "not-a-model.onnx"
    path.write_bytes(b"something else")

    with pytest.raises(ModelError, match="not-a-model"):
        YuNetDetector(path)


def test_what_is_not_a_picture_is_refused():
    with pytest.raises(ShapeError, match="float64"):
        HaarDetector()([np.zeros((4, 4, 3))])


def test_shrinking_keeps_the_aspect_and_small_pictures_as_they_are():
    image = np.zeros((1080, 1920, 3), np.uint8)

    smaller, scale = shrink(image, 640)
    same, one = shrink(image, 4000)

    assert (smaller.shape[:2], scale) == ((360, 640), pytest.approx(1 / 3))
    assert same is image
    assert one == 1.0
