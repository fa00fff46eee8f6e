"""The parts an experiment asks for."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toolkit import live_parts
from toolkit.errors import ConfigError, ModelError
from toolkit.experiment import LiveConfig
from toolkit.live.detect import HaarDetector
from toolkit.live_parts import make_body_predictor, make_detector
from toolkit.models.checkpoint import Checkpoint, ModelCard
from toolkit.models.detector.finder import FaceFinder
from toolkit.models.network import FaceNetwork


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
        make_detector(live("auto"))

    assert isinstance(detector, FaceFinder)
    assert caplog.text.count("our own detector") == 1, "said once, however many streets are made"


@pytest.mark.usefixtures("no_yunet")
def test_a_detector_asked_for_by_name_is_that_one_or_none() -> None:
    assert make_detector(live("ours")).longest_side_px == 320
    assert isinstance(make_detector(live("haar")), HaarDetector)
    with pytest.raises(ModelError, match="yunet"):
        make_detector(live("yunet"))


def test_bodies_are_looked_for_only_where_that_is_asked_for(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_DATA", str(data_dir))
    asked = replace(live("haar"), person_detector="yolox", runtime="onnxruntime", threads=1)

    both = make_detector(asked)

    assert make_detector(live("haar")).name == "haar"
    assert (both.name, both.longest_side_px) == ("haar+yolox", 320)
    assert both([np.zeros((90, 160, 3), np.uint8)]) == [[]]


def test_a_model_for_bodies_is_loaded_where_one_is_named_and_needs_somebody_who_finds_them(
    tmp_path: Path,
) -> None:
    path = Checkpoint(FaceNetwork("test_resnet"), ModelCard("test_resnet", 32)).save(tmp_path / "figures")
    asked = replace(live("haar"), person_detector="yolox", body_checkpoint=str(path))

    predict = make_body_predictor(asked)

    assert predict is not None
    assert len(predict([np.zeros((80, 30, 3), np.uint8)])) == 1
    assert make_body_predictor(live("haar")) is None
    with pytest.raises(ConfigError, match="person_detector"):
        replace(live("haar"), body_checkpoint=str(path))
