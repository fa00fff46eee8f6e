"""Streaming scores, each worked by hand."""

import dataclasses

import numpy as np
import pytest
from made_truth import oracle, standing, truth_of

from toolkit.evaluation.streaming.align import Moment, align
from toolkit.evaluation.streaming.answers import Answer, ShownFace, shown
from toolkit.evaluation.streaming.identity import hota, idf1
from toolkit.evaluation.streaming.scores import score_streaming
from toolkit.records import Prediction, Track


def relabelled(answers, gender_of, age=None):
    """The same answers; ``gender_of(frame, face)`` says what is shown."""
    return [
        dataclasses.replace(
            answer,
            faces=tuple(
                dataclasses.replace(face, gender=gender_of(n, face), age_years=age or face.age_years)
                for face in answer.faces
            ),
        )
        for n, answer in enumerate(answers)
    ]


def scored(truth, answers):
    return score_streaming({"door": truth}, answers)["all"]


def test_missed_faces_are_wrong_in_one_figure_and_left_out_of_another():
    truth = truth_of(lambda n: [standing(0), standing(1, "male"), standing(2), standing(3)])
    # One is shown rightly, one wrongly, one without a label, one not at all.
    told = {1: "female", 2: "female", 3: None}
    answers = relabelled(oracle(truth), lambda n, face: told.get(face.track_id))
    answers = [dataclasses.replace(a, faces=a.faces[:3]) for a in answers]

    scores = scored(truth, answers)

    assert (scores["gender_accuracy"], scores["coverage"], scores["gender_accuracy_labelled"]) == (
        0.25,
        0.5,
        0.5,
    )
    assert scores["detection_recall"] == 0.75
    assert scores["gender_accuracy"] == scores["coverage"] * scores["gender_accuracy_labelled"]


def test_an_age_within_the_years_of_its_label_is_no_error():
    truth = truth_of(lambda n: [standing(0, age=34.5, age_within_years=5.0), standing(1, age=50.0)])

    scores = scored(truth, relabelled(oracle(truth), lambda n, face: "female", age=37.0))

    assert scores["age_mae_years"] == 6.5


def test_hidden_faces_count_for_nothing_whether_they_are_shown_or_not():
    truth = truth_of(lambda n: [standing(0), standing(1, occluded=0.6)])

    with_it, without = oracle(truth), [dataclasses.replace(a, faces=a.faces[:1]) for a in oracle(truth)]

    for answers in (with_it, without):
        scores = scored(truth, answers)
        assert (scores["faces"], scores["false_faces_per_instant"], scores["hota"]) == (40, 0, 1.0)


def test_recall_is_told_by_the_size_of_the_face():
    truth = truth_of(lambda n: [standing(0), dataclasses.replace(standing(2), box_xyxy=(500, 0, 516, 10))])

    scores = scored(truth, [dataclasses.replace(a, faces=a.faces[:1]) for a in oracle(truth)])

    assert scores["recall_by_size"] == {
        "0-20": {"faces": 40, "recall": 0.0},
        "32-64": {"faces": 40, "recall": 1.0},
    }


def test_a_label_is_stable_from_where_it_no_longer_changes():
    truth = truth_of(lambda n: [standing(0)])

    told = ["male"] * 3 + ["female"] * 4 + ["male"] * 2 + ["female"] * 31
    scores = scored(truth, relabelled(oracle(truth), lambda n, face: None if n < 2 else told[n]))

    assert scores["first_label_s"]["p50"] == pytest.approx(0.2)
    assert scores["stable_label_s"]["p50"] == pytest.approx(0.9)
    assert (scores["tracks"], scores["flips_per_track"]) == (1, 3.0)
    assert scores["track_vote_accuracy"] == 1.0


def test_a_number_is_right_when_its_last_label_is_that_of_the_person_it_was_on():
    truth = truth_of(lambda n: [standing(0), standing(1, "male"), standing(2)])

    scores = scored(truth, relabelled(oracle(truth), lambda n, face: "female"))

    assert scores["track_vote_accuracy"] == pytest.approx(2 / 3)


def test_a_person_who_gets_another_number_is_a_switch():
    truth = truth_of(lambda n: [standing(0)])
    answers = [
        dataclasses.replace(a, faces=tuple(dataclasses.replace(f, track_id=1 + (n >= 20)) for f in a.faces))
        for n, a in enumerate(oracle(truth))
    ]

    scores = scored(truth, answers)

    assert (scores["identity_switches"], scores["idf1"]) == (1, 0.5)
    # Every sighting is found; its number is right for half of the person's: sqrt(1 * 1/2).
    assert scores["hota"] == pytest.approx(np.sqrt(0.5))


def test_identity_scores_are_those_of_trackeval():
    rng = np.random.default_rng(5)
    moments = []
    for n in range(60):
        people = np.flatnonzero(rng.random(6) < 0.7)
        tracks = np.unique(rng.integers(0, 9, rng.integers(0, 7)))
        overlaps = np.clip(rng.random((len(people), len(tracks))) ** 3, 0, 1)
        for row, person in enumerate(people):
            same = np.flatnonzero(tracks == person + 3 * (n > 40))
            overlaps[row, same] = 0.4 + 0.6 * rng.random()
        moments.append(Moment(people, tracks, overlaps))

    # As TrackEval 1.3.0 gives them for this sequence (metrics.HOTA, mean over alpha; metrics.Identity).
    assert hota(moments) == pytest.approx(0.13715142112124837, abs=1e-12)
    assert idf1(moments, least_iou=0.5) == pytest.approx(0.20512820512820512, abs=1e-12)


def test_where_nobody_is_and_nobody_is_shown_there_is_no_score():
    truth = truth_of(lambda n: [])

    scores = score_streaming({"door": truth}, oracle(truth))

    assert scores["worst"] is None
    assert {scores["all"][name] for name in ("gender_accuracy", "hota", "idf1", "age_mae_years")} == {None}


def test_a_camera_that_stays_dark_is_wrong_about_everybody():
    truth = truth_of(lambda n: [standing(0)])

    scores = scored(truth, [])

    assert (scores["gender_accuracy"], scores["coverage"], scores["hota"]) == (0.0, 0.0, 0.0)
    assert scores["staleness_ms"] == {"p50": None, "p95": None}


def test_only_the_time_that_was_asked_for_counts():
    truth = truth_of(lambda n: [standing(0)])

    seen = align("door", truth, oracle(truth), from_s=1.0, until_s=2.5)

    assert (seen.instants_s[0], len(seen.instants_s), seen.instants_s[-1]) == (1.0, 15, 2.4)


def test_a_label_whose_votes_are_even_is_shown_as_it_is():
    track = Track(7, (0, 0, 10, 10), 0.9, 4, Prediction("female", 0.5, 31.0, 4.0))

    assert shown([track]) == (ShownFace(7, (0, 0, 10, 10), "female", 0.5, 31.0),)
    assert Answer("door", 1.0, 1.25).latency_s == 0.25
