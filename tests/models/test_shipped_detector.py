"""The detector inside the package: what it is, and that it finds a real face."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib import cbook

from toolkit.live.source import open_source
from toolkit.models.detector.checkpoint import DetectorCheckpoint, shipped_path
from toolkit.models.detector.finder import FaceFinder
from toolkit.models.detector.int8 import RUNTIME, int8_path


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        return cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)


@pytest.fixture(scope="module", params=["torch", RUNTIME])
def finder(request: pytest.FixtureRequest) -> FaceFinder:
    if request.param == RUNTIME:
        pytest.importorskip("openvino")
    return FaceFinder.load(runtime=request.param, threads=1, device="cpu", score_threshold=0.3)


def test_the_card_gives_the_licences_and_the_pack() -> None:
    card = DetectorCheckpoint.load().card

    assert "CC BY 4.0" in card.licence
    assert "Kärkkäinen" in card.licence
    assert card.training_data == "fairface_train_112"
    assert shipped_path().with_name("FACE_DETECTOR.md").is_file()
    files = shipped_path(), int8_path(shipped_path()), int8_path(shipped_path()).with_suffix(".bin")
    assert sum(file.stat().st_size for file in files) < 3_000_000


def test_it_finds_the_portrait_where_it_is(finder: FaceFinder, portrait: np.ndarray) -> None:
    # Her face is 55 and 75 pixels wide then, as in the demo.
    for scale in (0.3, 0.4):
        image = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        [faces] = finder([image])
        left, top, right, bottom = np.array(faces[0].box_xyxy) / (image.shape[1::-1] * 2)

        # Her face fills the middle of the upper half of the picture.
        assert left < 0.5 < right
        assert top < 0.33 < bottom
        assert 0.15 < right - left < 0.5


def test_it_finds_nothing_where_nothing_is(finder: FaceFinder) -> None:
    assert finder([np.full((240, 320, 3), 127, np.uint8)]) == [[]]


def test_it_finds_the_people_of_the_arcade(finder: FaceFinder, data_dir: Path) -> None:
    source = open_source(data_dir / "videos" / "arcade-faces-1080p.mp4")
    counts = [len(finder([source.read().image])[0]) for _ in range(5)]
    source.close()

    assert np.mean(counts) >= 3
