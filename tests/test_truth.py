"""What is really to be seen, asked for by time."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import DataError, ShapeError
from toolkit.truth import TrueFace, Truth, load_truths, save_truths

_FIRST = TrueFace(3, (1.0, 2.0, 30.5, 40.0), "female", 34.5, occluded=0.25, age_within_years=4.5, visit=1)
_SECOND = TrueFace(4, (5.0, 6.0, 7.0, 8.0))


def _truth() -> Truth:
    return Truth("door", (64, 48), np.array([0.0, 0.5, 1.0]), ((_FIRST,), (_FIRST, _SECOND), ()))


@pytest.mark.parametrize(
    ("time_s", "index"), [(-0.1, None), (0.0, 0), (0.4999, 1), (0.6, 1), (1.2, 2), (1.49, 2), (1.6, None)]
)
def test_a_time_belongs_to_the_frame_that_is_shown_then(time_s: float, index: int | None) -> None:
    # 0.4999 is 0.5 as a container with a clock of milliseconds tells it.
    assert _truth().index_at(time_s) == index


def test_nobody_is_there_before_the_scene_and_after_it() -> None:
    truth = _truth()

    assert truth.at(0.7) == (_FIRST, _SECOND)
    assert truth.at(-1.0) == truth.at(5.0) == ()


def test_a_looped_scene_begins_again() -> None:
    looped = _truth().looped()

    assert looped.duration_s == 1.5
    assert looped.at(1.5) == looped.at(15.0) == (_FIRST,)
    assert looped.at(-0.5) == ()


def test_what_is_written_is_read_again(tmp_path) -> None:
    path = save_truths(tmp_path / "new" / "truth.json", {"door": _truth()}, {"seed": 7})

    read = load_truths(path)["door"]

    assert read.faces == _truth().faces
    assert read.frame_times_s.tolist() == [0.0, 0.5, 1.0]
    assert (read.camera, read.size_wh, read.visits()) == ("door", (64, 48), {(3, 1), (4, 0)})


def test_a_file_that_is_something_else_is_refused_by_name(tmp_path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"format": 1, "cameras": {"door": {}}}', encoding="utf-8")

    with pytest.raises(DataError, match=r"other\.json is not a file that tells"):
        load_truths(other)
    with pytest.raises(DataError, match="no such file"):
        load_truths(tmp_path / "nowhere.json")


@pytest.mark.parametrize("times_s", [[0.0, 1.0], [0.0, 2.0, 1.0], [0.5, 1.0, 2.0]])
def test_times_that_do_not_fit_are_refused(times_s: list[float]) -> None:
    with pytest.raises(ShapeError):
        Truth("door", (64, 48), np.array(times_s), ((), (), ()))
