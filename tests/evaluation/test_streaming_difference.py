"""How much less right one set of answers is than another, and how sure that is."""

import math
from dataclasses import replace

import numpy as np
import pytest
from made_truth import oracle, standing, truth_of

from toolkit.evaluation.streaming.difference import accuracy_loss


def mistaken(answers, persons):
    """The same answers, the gender of these persons wrong (their tracks are one more)."""
    return [
        replace(
            answer,
            faces=tuple(
                replace(face, gender="male") if face.track_id - 1 in persons else face
                for face in answer.faces
            ),
        )
        for answer in answers
    ]


def test_a_person_who_is_mistaken_is_one_of_so_many_and_the_error_counts_persons_and_not_frames():
    truth = truth_of(lambda n: [standing(p) for p in range(5)], frames=100)
    right = oracle(truth)

    loss, error = accuracy_loss({"door": truth}, mistaken(right, {2}), right)

    assert loss == pytest.approx(1 / 5)
    # Five persons, one of whom loses all: the standard error of the mean of 0, 0, 0, 0, 1.
    assert error == pytest.approx(np.std([0, 0, 0, 0, 1], ddof=1) / math.sqrt(5))


def test_answers_that_are_better_have_a_loss_below_nothing_and_the_same_ones_none():
    truth = truth_of(lambda n: [standing(p) for p in range(4)])
    right = oracle(truth)

    assert accuracy_loss({"door": truth}, right, mistaken(right, {0, 1}))[0] == pytest.approx(-0.5)
    assert accuracy_loss({"door": truth}, right, right) == (0.0, 0.0)


def test_a_person_seen_by_two_cameras_is_one_person():
    truths = {
        name: truth_of(lambda n: [standing(p) for p in range(3)], camera=name) for name in ("left", "right")
    }
    right = [answer for truth in truths.values() for answer in oracle(truth)]

    both = accuracy_loss(truths, mistaken(right, {1}), right)

    left = {"left": truths["left"]}
    alone = accuracy_loss(left, mistaken(oracle(truths["left"]), {1}), oracle(truths["left"]))
    assert both == pytest.approx(alone)


def test_of_one_person_or_none_nothing_is_sure():
    one = truth_of(lambda n: [standing(0)])

    assert accuracy_loss({"door": one}, [], oracle(one)) == (0.0, None)
    assert accuracy_loss({}, [], []) == (0.0, None)
