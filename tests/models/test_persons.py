"""The person detector: pictures in, bodies out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toolkit.errors import ConfigError, ModelError, ShapeError
from toolkit.live.source import open_source
from toolkit.models.persons.finder import PersonFinder, letterboxed, read_answers
from toolkit.models.persons.runtimes import RUNTIMES, open_yolox


def test_a_picture_keeps_its_proportions_and_is_filled_up_to_whole_places() -> None:
    filled, scale = letterboxed(np.full((360, 640, 3), 9, np.uint8), 416)

    assert filled.shape == (256, 416, 3)
    assert scale == 0.65
    assert (filled[:234] == 9).all()
    assert (filled[234:] == 114).all()


def test_answers_are_read_as_boxes_of_people_and_doubles_go() -> None:
    answers = np.zeros((64 + 16 + 4, 85), np.float32)
    # In the grid of stride 16, 4 x 4: row 1, column 2; and the same a little weaker beside it.
    answers[64 + 6, [2, 3, 4, 5]] = np.log(2), np.log(3), 0.9, 0.9
    answers[64 + 7, [0, 2, 3, 4, 5]] = -0.9, np.log(2), np.log(3), 0.8, 0.9
    answers[3, [4, 6]] = 0.9, 0.9  # a bicycle

    boxes, scores = read_answers(answers, (64, 64), 0.3, 0.45)

    assert boxes.tolist() == [[pytest.approx(v, abs=1e-3) for v in (16, -8, 48, 40)]]
    assert scores.tolist() == [pytest.approx(0.81)]


def test_nothing_is_read_where_nothing_is() -> None:
    boxes, scores = read_answers(np.zeros((84, 85), np.float32), (64, 64), 0.3, 0.45)

    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


def test_every_runtime_gives_the_same_answers_of_one_picture_and_of_several(data_dir: Path) -> None:
    pictures = np.random.default_rng(3).integers(0, 256, (3, 64, 96, 3), np.uint8)
    file = data_dir / "models" / "yolox_nano.onnx"

    answers = [open_yolox(file, (64, 96), name, threads=2)(pictures)[0] for name in RUNTIMES[1:]]

    assert answers[0].shape == (3, (8 * 12 + 4 * 6 + 2 * 3), 85)
    for other in answers[1:]:
        assert np.abs(other - answers[0]).max() < 1e-3
    alone = open_yolox(file, (64, 96), "onnxruntime", threads=1)(pictures[1:2])[0]
    assert np.abs(alone[0] - answers[0][1]).max() < 1e-3


def test_the_people_on_a_real_square_are_found(data_dir: Path) -> None:
    source = open_source(str(data_dir / "videos" / "campus-people-360p.avi"), "campus")
    frame = source.read()
    source.close()
    assert frame is not None
    finder = PersonFinder(data_dir / "models" / "yolox_nano.onnx", score_threshold=0.6, runtime="onnxruntime")

    [people] = finder([frame.image])

    middles = sorted(round((d.box_xyxy[0] + d.box_xyxy[2]) / 2) for d in people)
    assert middles == [pytest.approx(x, abs=6) for x in (168, 322, 416)]
    assert {detection.part for detection in people} == {"body"}


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "yolox_nano.onnx"
    damaged.write_bytes(b"no network")

    with pytest.raises(ConfigError, match="multiple of 32"):
        PersonFinder(damaged, longest_side_px=400)
    with pytest.raises(ConfigError, match="nms_threshold"):
        PersonFinder(damaged, nms_threshold=1.0)
    with pytest.raises(ConfigError, match="no runtime 'onnx'"):
        open_yolox(damaged, 64, "onnx")
    with pytest.raises(ModelError, match="is not an ONNX file of YOLOX"):
        PersonFinder(damaged, runtime="onnxruntime")([np.zeros((9, 9, 3), np.uint8)])
    with pytest.raises(ShapeError):
        letterboxed(np.zeros((9, 9), np.uint8), 416)
