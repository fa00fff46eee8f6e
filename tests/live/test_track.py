"""Following faces, and the vote on one label."""

import numpy as np
import pytest

from toolkit.errors import ConfigError
from toolkit.live.track import FaceTracker, TrackerConfig, Vote, iou_matrix
from toolkit.records import Detection, Prediction


def face(left: float, top: float = 10.0, side: float = 40.0) -> Detection:
    return Detection((left, top, left + side, top + side), 0.9)


def says(gender: str, probability: float, age: float = 30.0) -> Prediction:
    return Prediction(gender, probability, age, 5.0)


def test_two_people_who_walk_keep_their_numbers():
    tracker = FaceTracker()

    for step in range(20):
        tracks = tracker.update([face(10 + 5 * step), face(400 - 5 * step, top=100)], at_s=step / 25)

    assert [track.track_id for track in tracks] == [1, 2]
    assert tracker.persons == 2


def test_the_order_of_detections_does_not_matter():
    tracker = FaceTracker()
    tracker.update([face(10), face(300)], at_s=0.0)

    tracks = tracker.update([face(302), face(12)], at_s=0.04)

    assert [track.track_id for track in tracks] == [2, 1]


def test_a_person_missed_for_a_moment_comes_back_under_the_same_number_and_later_under_a_new_one():
    tracker = FaceTracker(TrackerConfig(most_lost_s=1.0))
    tracker.update([face(10)], at_s=0.0)

    assert tracker.update([face(12)], at_s=0.9)[0].track_id == 1
    assert tracker.update([face(12)], at_s=3.0)[0].track_id == 2


def test_a_flash_of_noise_is_not_counted_as_a_person():
    tracker = FaceTracker(TrackerConfig(confirm_after=3))
    for step in range(2):
        tracker.update([face(10)], at_s=step / 25)

    assert tracker.persons == 0


def test_a_person_is_analysed_a_few_times_and_then_only_when_it_pays():
    tracker = FaceTracker(TrackerConfig(votes_wanted=3, look_again_s=2.0, look_again_growth=1.5))
    asked = []
    for step in range(50):
        at_s = step / 25
        [track] = tracker.update([face(10, side=40 if step < 30 else 70)], at_s)
        if tracker.wants_analysis(track, at_s):
            asked.append(step)

    assert asked[:4] == [0, 1, 2, 30]
    assert len(asked) == 4


def test_a_person_is_looked_at_again_after_a_while():
    tracker = FaceTracker(TrackerConfig(votes_wanted=1, look_again_s=2.0))
    asked = []
    for second in range(6):
        [track] = tracker.update([face(10)], at_s=second * 0.9)
        asked.append(tracker.wants_analysis(track, second * 0.9))

    assert asked == [True, False, False, True, False, False]


def test_an_analysis_that_did_not_come_about_may_be_asked_for_again():
    tracker = FaceTracker(TrackerConfig(votes_wanted=1))
    [track] = tracker.update([face(10)], at_s=0.0)
    tracker.wants_analysis(track, 0.0)

    tracker.withdraw(track)

    assert tracker.wants_analysis(track, 0.1)


def test_a_vote_is_the_mean_weighted_by_the_size_of_the_face():
    vote = Vote()
    vote.add(says("female", 0.9, age=20.0), weight=30.0)
    vote.add(says("male", 0.6, age=40.0), weight=10.0)

    label = vote.result()

    assert label.gender == "female"
    assert label.gender_probability == pytest.approx((30 * 0.9 + 10 * 0.4) / 40)
    assert label.age_years == pytest.approx(25.0)
    assert label.age_spread_years == pytest.approx(5.0)


def test_a_label_does_not_flicker_around_even_odds():
    vote = Vote(switch_margin=0.05)
    vote.add(says("female", 0.6), weight=1.0)
    shown = []
    for n in range(40):
        vote.add(says("male" if n % 2 == 0 else "female", 0.6), weight=1.0)
        shown.append(vote.result().gender)

    assert set(shown) == {"female"}


def test_a_label_changes_when_the_evidence_does():
    vote = Vote(switch_margin=0.05)
    vote.add(says("female", 0.6), weight=1.0)
    for _ in range(10):
        vote.add(says("male", 0.95), weight=1.0)

    assert vote.result().gender == "male"
    assert vote.result().gender_probability > 0.8


def test_a_vote_for_someone_long_gone_is_dropped():
    tracker = FaceTracker(TrackerConfig(most_lost_s=0.5))
    [gone] = tracker.update([face(10)], at_s=0.0)
    tracker.update([], at_s=2.0)

    tracker.vote(gone, says("male", 0.9))

    assert tracker.with_label(gone).label is None


def test_iou_of_known_boxes():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], dtype=float)

    assert iou_matrix(boxes[:1], boxes)[0] == pytest.approx([1.0, 1 / 3, 0.0])


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match="least_iou"):
        TrackerConfig(least_iou=0.0)
