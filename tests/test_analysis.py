"""The task a worker pool knows by default."""

import numpy as np
import pytest

from toolkit.analysis import gender_age_analysis, handlers
from toolkit.errors import TaskError

FRAME = np.random.default_rng(1).integers(0, 256, (120, 160, 3), dtype=np.uint8)


def task(**changes) -> dict:
    whole = {"person_id": 7, "frame": FRAME, "bbox": (40, 20, 60, 80), "camera_id": "door", **changes}
    return {name: value for name, value in whole.items() if value is not None}


def test_a_task_comes_back_as_gender_and_age_with_their_confidences_and_the_ids():
    answer = gender_age_analysis(task())

    assert (answer["person_id"], answer["camera_id"]) == (7, "door")
    assert answer["gender"] in ("female", "male")
    assert 0.5 <= answer["gender_confidence"] <= 1
    assert 0 <= answer["age"] <= 100
    assert 0 < answer["age_confidence"] < 1


def test_confidences_depend_on_the_face():
    faces = [task(bbox=box) for box in ((0, 0, 50, 50), (80, 40, 60, 60), (20, 60, 30, 30))]

    answers = [gender_age_analysis(face) for face in faces]

    assert len({answer["gender_confidence"] for answer in answers}) == 3
    assert len({answer["age_confidence"] for answer in answers}) == 3


def test_the_same_task_twice_gives_the_same_answer():
    assert gender_age_analysis(task()) == gender_age_analysis(task())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bbox": None}, "needs bbox; it has person_id, frame, camera_id"),
        ({"bbox": (500, 20, 60, 80)}, r"no area inside the frame, 160 x 120 px"),
        ({"bbox": (40, 20, 0, 80)}, "no area inside"),
        ({"bbox": (1, 2, 3)}, r"four numbers \(x, y, width, height\)"),
        ({"bbox": "face"}, "four numbers"),
        ({"bbox": (1, 2, float("nan"), 4)}, "four numbers"),
        ({"frame": "picture.jpg"}, r"array \(H, W, 3\) uint8 BGR, got str"),
        ({"person_id": None, "camera_id": None}, "needs person_id, camera_id"),
    ],
)
def test_a_task_that_cannot_be_done_says_what_it_lacks(changes, said):
    with pytest.raises(TaskError, match=said):
        gender_age_analysis(task(**changes))


def test_the_default_handlers_know_the_task_by_its_name():
    assert handlers() == {"gender_age_analysis": gender_age_analysis}
