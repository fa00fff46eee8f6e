"""Following people by face and body under one number."""

from __future__ import annotations

import pytest

from toolkit.live.people_counter import PeopleCounter
from toolkit.live.track import FaceTracker, TrackerConfig
from toolkit.live.zones import LineConfig
from toolkit.records import Detection, Frame, FrameResult, Prediction, Track

EVERY_S = 0.1


def body(left: float, top: float = 50.0, height: float = 180.0, score: float = 0.8) -> Detection:
    return Detection((left, top, left + height / 3, top + height), score, "body")


def face(left: float, top: float = 50.0, height: float = 180.0, score: float = 0.9) -> Detection:
    """The face of the body that stands there."""
    x, side = left + height / 6, height / 9
    return Detection((x - side / 2, top + 6, x + side / 2, top + 6 + side), score)


def said(gender: str) -> Prediction:
    return Prediction(gender, 0.9, 30.0, 5.0)  # type: ignore[arg-type]


def one(tracker: FaceTracker, step: int, *found: Detection) -> Track:
    [track] = tracker.update(found, step * EVERY_S)
    return track


def test_who_turns_away_and_back_keeps_number_and_label() -> None:
    tracker = FaceTracker()
    for step in range(40):
        left = 10.0 + 6 * step
        turned = 10 <= step < 30
        track = one(tracker, step, body(left), *([] if turned else [face(left)]))
        if step == 5:
            tracker.vote(track, said("female"))
        assert (track.track_id, track.is_face_seen) == (1, not turned)
        assert track.body_xyxy is not None

        label = tracker.with_label(track).label
        assert (label is not None and label.gender == "female") == (step >= 5)
    assert tracker.persons == 1


def test_who_is_seen_from_behind_first_keeps_the_number_when_the_face_appears() -> None:
    tracker = FaceTracker()
    for step in range(5):
        track = one(tracker, step, body(10.0))
        assert track.label is None
        assert not track.is_face_seen

    turned = one(tracker, 5, face(10.0), body(10.0))

    assert (turned.track_id, turned.is_face_seen) == (1, True)


def test_the_head_of_a_body_alone_stays_where_the_face_was() -> None:
    tracker = FaceTracker()
    seen = one(tracker, 0, face(10.0), body(10.0))

    hidden = one(tracker, 1, body(10.0))

    assert hidden.box_xyxy == pytest.approx(seen.box_xyxy)


def test_people_seen_only_as_bodies_count_and_cross_lines() -> None:
    tracker = FaceTracker()
    counter = PeopleCounter(lines={"cam": {"gate": LineConfig((0.5, 0.0), (0.5, 1.0))}})
    for step in range(30):
        tracks = tracker.update([body(20.0 + 9 * step), body(300.0, top=80)], step * EVERY_S)
        frame = Frame("cam", step, step * EVERY_S, _NOTHING)
        counter(FrameResult(frame, tuple(tracks)))

    assert [track.track_id for track in tracks] == [1, 2]
    assert tracker.persons == 2
    assert sum(counter.counts("cam")["lines"]["gate"].values()) == 1


def test_two_people_who_cross_do_not_swap_faces() -> None:
    tracker = FaceTracker()
    for step in range(41):
        rightwards, leftwards = 10.0 + 10 * step, 410.0 - 10 * step
        found = [face(rightwards), body(rightwards)]
        # In the middle one hides the other, face and body.
        if not 18 <= step <= 22:
            found += [face(leftwards, top=56), body(leftwards, top=56)]
        tracks = tracker.update(found, step * 0.04)

    by_number = {track.track_id: track for track in tracks}
    assert tracker.persons == 2
    assert by_number[1].box_xyxy == face(410.0).box_xyxy
    assert by_number[1].body_xyxy == body(410.0).box_xyxy
    assert by_number[2].body_xyxy == body(10.0, top=56).box_xyxy


def test_when_the_box_of_a_body_goes_away_from_its_face_the_face_keeps_the_number() -> None:
    tracker = FaceTracker()
    one(tracker, 0, face(10.0), body(10.0))

    # It overlaps where the body was, but holds the face no more.
    tracks = tracker.update([face(10.0), body(45.0)], EVERY_S)

    assert [(track.track_id, track.is_face_seen) for track in tracks] == [(1, True), (2, False)]
    assert tracks[0].body_xyxy is None


def test_two_numbers_that_turn_out_to_be_one_person_become_the_older() -> None:
    tracker = FaceTracker()
    one(tracker, 0, body(10.0))
    # The body is missed as the face is seen first.
    first = one(tracker, 1, face(10.0))
    tracker.vote(first, said("male"))

    both = tracker.with_label(one(tracker, 2, face(10.0), body(10.0)))

    assert (first.track_id, both.track_id, tracker.persons) == (2, 1, 0)
    assert both.label is not None
    assert both.label.gender == "male"


def test_a_weak_body_continues_a_person_and_starts_none() -> None:
    tracker = FaceTracker()

    assert tracker.update([body(10.0, score=0.4)], 0.0) == []
    one(tracker, 1, body(10.0))
    assert one(tracker, 2, body(12.0, score=0.4)).track_id == 1


def test_a_weak_face_comes_only_to_a_body_whose_face_was_seen_before() -> None:
    tracker = FaceTracker()

    never = one(tracker, 0, body(10.0), face(10.0, score=0.4))
    one(tracker, 1, body(10.0), face(10.0))
    one(tracker, 2, body(10.0))
    again = one(tracker, 3, body(10.0), face(22.0, score=0.4))

    assert [(t.track_id, t.is_face_seen) for t in (never, again)] == [(1, False), (1, True)]


def test_a_body_is_carried_on_between_two_looks() -> None:
    tracker = FaceTracker()
    for step in range(6):
        one(tracker, step, body(10.0 + 10 * step))

    [track] = tracker.predict(5 * EVERY_S + 0.05)

    assert track.is_predicted
    assert not track.is_face_seen
    assert track.body_xyxy is not None
    assert track.body_xyxy[0] == pytest.approx(65.0, abs=1.0)


def test_a_body_is_analysed_only_while_nothing_was_said_of_the_face() -> None:
    tracker = FaceTracker(TrackerConfig(votes_wanted=100))
    track = one(tracker, 0, face(10.0), body(10.0))
    assert tracker.wants_analysis(track, 0.0, "body")
    tracker.vote(track, said("male"), "body")
    by_body = tracker.with_label(track)

    tracker.vote(track, said("female"))

    by_face = tracker.with_label(track)
    assert (by_body.label.gender, by_body.label_part) == ("male", "body")  # type: ignore[union-attr]
    assert (by_face.label.gender, by_face.label_part) == ("female", "face")  # type: ignore[union-attr]
    assert not tracker.wants_analysis(track, 0.1, "body")
    assert tracker.looks()["new"] == 0, "looks at faces are counted, no others"


class _Size:
    size_wh = (400, 300)


_NOTHING = _Size()  # type: ignore[var-annotated]
