"""Scores of detectors, held against cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from toolkit.errors import ShapeError
from toolkit.evaluation.detection import (
    LookedAt,
    at_score,
    average_precision,
    detection_curve,
    recall_at,
    score_detector,
)

LEFT, RIGHT, NOWHERE = (0, 0, 20, 20), (50, 0, 80, 30), (200, 200, 220, 220)


def looked_at(found: list, faces: list, ignored: list | None = None) -> LookedAt:
    """``found`` is boxes with their scores."""
    boxes, scores = [box for box, _ in found], np.array([score for _, score in found])
    return LookedAt(np.array(boxes), scores, np.array(faces), np.array(ignored or []))


def test_two_faces_found_before_a_false_alarm_give_the_whole_area() -> None:
    curve = detection_curve([looked_at([(LEFT, 0.9), (RIGHT, 0.8), (NOWHERE, 0.7)], [LEFT, RIGHT])])

    assert average_precision(curve) == pytest.approx(1.0)
    assert recall_at(curve, 0.0) == 1.0


def test_a_false_alarm_between_them_costs_what_the_hand_says() -> None:
    curve = detection_curve([looked_at([(LEFT, 0.9), (NOWHERE, 0.8), (RIGHT, 0.7)], [LEFT, RIGHT])])

    # Half the recall at precision 1, the other half at 2 of 3.
    assert average_precision(curve) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert recall_at(curve, 0.0) == 0.5
    assert recall_at(curve, 1.0) == 1.0


def test_a_second_box_on_the_same_face_is_a_false_alarm() -> None:
    curve = detection_curve([looked_at([(LEFT, 0.9), ((1, 0, 21, 20), 0.8)], [LEFT])])

    assert curve.false_alarms.tolist() == [0, 1]
    assert curve.found.tolist() == [1, 1]


def test_a_box_that_overlaps_too_little_finds_nothing() -> None:
    half = (0, 0, 20, 9)

    curve = detection_curve([looked_at([(half, 0.9)], [LEFT])])

    assert curve.found.tolist() == [0]
    assert average_precision(curve) == 0.0


def test_what_lies_in_an_ignored_place_is_neither_right_nor_wrong() -> None:
    curve = detection_curve([looked_at([(NOWHERE, 0.9), (LEFT, 0.8)], [LEFT], [(190, 190, 230, 230)])])

    assert curve.false_alarms.tolist() == [0]
    assert curve.found.tolist() == [1]


def test_a_face_of_another_size_is_ignored_with_the_boxes_on_it() -> None:
    pictures = [looked_at([(LEFT, 0.9), ((2, 2, 14, 14), 0.85), (RIGHT, 0.8)], [LEFT, RIGHT])]

    large = detection_curve(pictures, least_px=24)

    assert (large.faces, large.found.tolist(), large.false_alarms.tolist()) == (1, [1], [0])


def test_false_alarms_are_counted_a_picture() -> None:
    pictures = [looked_at([(NOWHERE, 0.9)], []), looked_at([(LEFT, 0.8)], [LEFT])]

    curve = detection_curve(pictures)

    assert recall_at(curve, 0.4) == 0.0
    assert recall_at(curve, 0.5) == 1.0
    assert at_score(curve, 0.85) == (0.0, 0.5)
    assert at_score(curve, 0.95) == (0.0, 0.0)


def test_without_a_face_there_is_no_recall_to_tell() -> None:
    curve = detection_curve([looked_at([], [])])

    assert math.isnan(average_precision(curve))
    assert math.isnan(recall_at(curve, 1.0))


def test_a_detector_is_told_of_by_size() -> None:
    told = score_detector([looked_at([(LEFT, 0.9), (RIGHT, 0.8)], [LEFT, RIGHT])])

    assert told["faces"] == 2
    assert told["by_size_px"]["16-24"]["faces"] == 1
    assert told["by_size_px"]["24+"]["recall"] == {"0.1": 1.0, "0.5": 1.0, "1": 1.0}


def test_boxes_without_scores_are_refused() -> None:
    with pytest.raises(ShapeError, match="1 boxes were found, with 0 scores"):
        LookedAt(np.array([LEFT]), np.array([]), np.array([]))
