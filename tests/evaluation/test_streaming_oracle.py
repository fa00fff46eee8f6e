"""Somebody who knows everything and answers late is given exactly the score that the definition predicts."""

import numpy as np
import pytest
from made_truth import oracle, standing, truth_of

from toolkit.errors import ConfigError
from toolkit.evaluation.streaming.align import align, person_of
from toolkit.evaluation.streaming.answers import Answer, newest_finished
from toolkit.evaluation.streaming.scores import over_time, score_streaming
from toolkit.evaluation.streaming.simulate import delayed, newest_wins, simulated

RATES = [(10.0, 0.0, 0), (10.0, 0.1, 1), (10.0, 0.3, 3), (25.0, 0.2, 5), (30.0, 0.1, 3), (12.5, 0.25, 4)]
"""Frames a second, seconds of delay, and the frames by which the screen is late."""


def passing(first: int, end: int, person: int = 0, gender: str = "female"):
    """Somebody who is there from one frame until before another."""
    return lambda frame: [standing(person, gender)] if first <= frame < end else []


@pytest.mark.parametrize(("fps", "delay_s", "late"), RATES)
def test_a_late_oracle_misses_whoever_has_just_come(fps, delay_s, late):
    truth = truth_of(passing(10, 30), fps=fps)

    scores = score_streaming({"door": truth}, oracle(truth, delay_s))["cameras"]["door"]

    assert scores["faces"] == 20
    assert scores["gender_accuracy"] == scores["detection_recall"] == (20 - late) / 20
    assert scores["gender_accuracy_labelled"] == 1.0
    assert scores["staleness_ms"]["p50"] == pytest.approx(1000 * late / fps)
    assert scores["first_label_s"]["p50"] == pytest.approx(late / fps)
    # Whoever has left is still shown, as long as the screen is late.
    assert scores["false_faces_per_instant"] == late / 40


@pytest.mark.parametrize(("fps", "delay_s", "late"), RATES)
def test_eight_cameras_are_scored_each_by_its_own_answers(fps, delay_s, late):
    truths = {f"c{n}": truth_of(passing(n, 40), fps=fps, camera=f"c{n}") for n in range(8)}
    answers = [a for truth in truths.values() for a in oracle(truth, delay_s)]

    scores = score_streaming(truths, answers[::-1])

    shares = [(40 - n - late) / (40 - n) for n in range(8)]
    assert [block["gender_accuracy"] for block in scores["cameras"].values()] == shares
    assert scores["macro"]["gender_accuracy"] == pytest.approx(np.mean(shares))
    assert scores["all"]["gender_accuracy"] == (292 - 8 * late) / 292
    assert scores["worst"]["gender_accuracy"] == min(shares)
    assert scores["all"]["identity_switches"] == 0


def test_a_box_stays_where_its_frame_was():
    walking = truth_of(lambda n: [standing(0)] if n == 0 else [_moved(standing(0), 4.0 * n)], fps=10)

    # 4 px a frame, 40 px wide: 8 frames late overlap by 8/72, 9 frames late by 4/76.
    recalls = [
        score_streaming({"door": walking}, oracle(walking, late_s))["all"]["detection_recall"]
        for late_s in (0.8, 0.9)
    ]

    assert recalls == [32 / 40, 0.0]


def _moved(face, by_px):
    left, top, right, bottom = face.box_xyxy
    return type(face)(face.person, (left + by_px, top, right + by_px, bottom), face.gender, face.age_years)


def test_the_screen_shows_what_was_finished_last():
    answers = [Answer("door", 0.0, 0.5), Answer("door", 0.1, 0.3), Answer("door", 0.2, 0.5)]

    shown = newest_finished(answers, np.array([0.2, 0.3, 0.4, 0.5, 9.0]))

    # Of two that were finished at once, that of the newer frame.
    assert shown.tolist() == [-1, 1, 1, 2, 2]


def test_an_answer_within_the_frame_it_came_in_is_still_one_frame_late():
    truth = truth_of(passing(0, 40), fps=30)

    late = align("door", truth, oracle(truth, 0.033)).staleness_s

    assert np.isnan(late[0])
    assert late[1:] == pytest.approx(np.full(39, 1 / 30))


def test_a_worker_that_never_waits_takes_the_newest_frame():
    # Runtimes of 1.45 frames, worked by hand: each start takes the newest frame that has arrived.
    [*done] = newest_wins({"door": np.arange(8.0)}, lambda: 1.45)["door"]

    assert [frame for frame, _ in done] == [0, 1, 2, 4, 5, 7]
    assert [at_s for _, at_s in done] == pytest.approx([1.45, 2.9, 4.35, 5.8, 7.25, 8.7])


def test_idling_until_the_next_frame_can_beat_never_idling():
    # Li, Wang, Ramanan, section 3.3: what would end late within a frame's time is better begun with the next.
    instants = np.arange(600.0)
    greedy = newest_wins({"door": instants}, lambda: 1.51)["door"]
    waiting = [(frame, frame + 1.51) for frame in range(0, 600, 2)]

    def mismatch(done):
        answers = [Answer("door", float(frame), at_s) for frame, at_s in done]
        shown = newest_finished(answers, instants)[10:]
        return (instants[10:] - [answers[n].frame_time_s for n in shown]).mean()

    assert mismatch(waiting) == 2.5
    assert mismatch(greedy) > 2.5


def test_workers_are_shared_in_turn_and_what_they_cannot_carry_is_skipped():
    arrivals = {name: np.arange(50) / 10.0 for name in "abcd"}

    done = newest_wins(arrivals, lambda: 0.1, workers=2)

    # Two workers at ten frames a second each, for forty that come; two frames are left at the end.
    assert [len(done[name]) for name in "abcd"] == [26, 26, 25, 25]


def test_scores_follow_from_a_latency_distribution_alone():
    truths = {name: truth_of(passing(0, 400), 400, camera=name) for name in "ab"}
    answers = [answer for truth in truths.values() for answer in oracle(truth)]
    scores = []
    for _ in range(2):
        rng = np.random.default_rng(7)
        shown = simulated(answers, lambda rng=rng: rng.choice([0.02, 0.12]), workers=1)
        scores.append(score_streaming(truths, shown))

    assert scores[0] == scores[1]
    assert 100 < scores[0]["all"]["staleness_ms"]["p50"] <= 300
    assert delayed(answers, 0.1)[3].finished_at_s == pytest.approx(0.4)


def test_a_run_is_seen_to_fall_and_come_back_second_by_second():
    truth = truth_of(passing(0, 40))
    answers = [a for a in oracle(truth) if not 1.0 <= a.frame_time_s < 2.0]

    rows = over_time([align("door", truth, answers)])

    assert [row["time_s"] for row in rows] == [0.0, 1.0, 2.0, 3.0]
    assert [row["staleness_ms"] for row in rows] == pytest.approx([0, 550, 0, 0])


def test_a_scene_that_begins_again_brings_the_same_people_as_new_visits():
    truth = truth_of(passing(5, 15), frames=20).looped()
    once = oracle(truth)
    again = [Answer(a.camera, a.frame_time_s + 2.0, a.finished_at_s + 2.0, a.faces) for a in once]

    scores = score_streaming({"door": truth}, once + again, until_s=4.0)["all"]

    assert (scores["instants"], scores["faces"], scores["gender_accuracy"]) == (40, 20, 1.0)
    assert scores["first_label_s"]["p95"] == 0.0
    with pytest.raises(ConfigError, match="say until_s"):
        score_streaming({"door": truth}, once)


def test_each_showing_of_a_scene_has_visits_of_its_own_also_after_hours():
    faces = [standing(0), standing(1), standing(1, visit=1)]
    truth = truth_of(lambda n: faces, frames=2, fps=2.0).looped()

    seen = align("door", truth, [], until_s=2500.0)

    assert len(np.unique(seen.visit)) == 3 * 2500
    assert set(person_of(seen.visit)) == {0, 1}


def test_a_looped_scene_of_one_picture_is_scored_at_its_one_instant():
    truth = truth_of(lambda n: [standing(0)], frames=1).looped()

    scores = score_streaming({"door": truth}, oracle(truth), until_s=3.0)["all"]

    assert (scores["instants"], scores["gender_accuracy"]) == (1, 1.0)
