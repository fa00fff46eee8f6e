"""The parts an experiment asks for."""

from __future__ import annotations

import logging

import pytest

from toolkit import live_parts
from toolkit.errors import ModelError
from toolkit.experiment import LiveConfig
from toolkit.live.detect import HaarDetector
from toolkit.live_parts import make_detector
from toolkit.models.detector.finder import FaceFinder


@pytest.fixture
def no_yunet(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ModelError(f"no usable file for model {name!r}")

    monkeypatch.setattr(live_parts, "find_model", refuse)


def live(detector: str) -> LiveConfig:
    return LiveConfig(
        {"door": "door.mp4"},
        detector=detector,  # type: ignore[arg-type]
        detector_longest_side_px=320,
        runtime="torch",
        device="cpu",
    )


@pytest.mark.usefixtures("no_yunet")
def test_without_yunet_our_own_detector_finds_the_faces_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        detector = make_detector(live("auto"))

    assert isinstance(detector, FaceFinder)
    assert "our own detector" in caplog.text


@pytest.mark.usefixtures("no_yunet")
def test_a_detector_asked_for_by_name_is_that_one_or_none() -> None:
    assert make_detector(live("ours")).longest_side_px == 320
    assert isinstance(make_detector(live("haar")), HaarDetector)
    with pytest.raises(ModelError, match="yunet"):
        make_detector(live("yunet"))
