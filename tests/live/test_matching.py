"""Which box continues which."""

import numpy as np
import pytest

from toolkit.live.matching import grown, iou_matrix, match


def test_iou_of_known_boxes():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], dtype=float)

    assert iou_matrix(boxes[:1], boxes)[0] == pytest.approx([1.0, 1 / 3, 0.0])


def test_the_best_overlap_comes_first_and_each_box_is_used_once():
    found = [(0, 0, 10, 10), (4, 0, 14, 10)]
    known = [(3, 0, 13, 10), (-5, 0, 5, 10)]

    assert match(found, known, 0.2) == [(1, 0), (0, 1)]


def test_boxes_that_do_not_touch_match_within_a_border():
    found, known = [(0, 0, 10, 10)], [(14, 0, 24, 10)]

    assert match(found, known, 0.1) == []
    assert match(found, known, 0.1, border=0.5) == [(0, 0)]
    assert grown(np.array([[0.0, 0.0, 10.0, 20.0]]), 0.5).tolist() == [[-5.0, -10.0, 15.0, 30.0]]


def test_nothing_matches_nothing():
    assert match([], [(0, 0, 1, 1)], 0.1) == match([(0, 0, 1, 1)], [], 0.1) == []
