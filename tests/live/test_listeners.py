"""What listens to the street keeps no more than it may."""

from __future__ import annotations

import pytest
from fakes import picture

from toolkit.live.listeners import LabelLog, NewestLatencies
from toolkit.records import Frame, FrameResult, Prediction, Track


def seen(track_id: int, at_s: float, gender: str = "female") -> FrameResult:
    """A result with one person."""
    label = Prediction(gender, 0.9, 30.0, 5.0)
    track = Track(track_id, (1.0, 2.0, 3.0, 4.0), 0.9, seen=1, label=label, votes=1)
    return FrameResult(Frame("cam", 0, at_s, picture()), (track,), finished_at=at_s)


def test_a_person_is_noted_once_a_second_and_when_the_label_changes():
    log = LabelLog()

    for at_s, gender in ((10.0, "female"), (10.4, "female"), (10.6, "male"), (10.9, "male"), (11.6, "male")):
        log(seen(1, at_s, gender))

    assert [(row["time_s"], row["gender"]) for row in log.rows()] == [
        (0.0, "female"),
        (0.6, "male"),
        (1.6, "male"),
    ]


def test_a_run_of_days_keeps_its_newest_rows_and_says_so(caplog):
    log = LabelLog(every_s=0.0, most_rows=10)

    for number in range(25):
        log(seen(1, float(number)))

    assert [row["time_s"] for row in log.rows()] == [float(n) for n in range(15, 25)]
    assert caplog.text.count("oldest are let go") == 1


def test_people_who_left_are_forgotten_and_those_who_stayed_are_not_noted_twice():
    log = LabelLog(most_rows=10)

    for number in range(5000):
        log(seen(number, number * 0.1))
    log(seen(4999, 4999 * 0.1 + 0.5))

    assert len(log._last) <= 1001
    assert [row["track_id"] for row in log.rows()][-2:] == [4998, 4999]


def test_a_latency_that_changes_is_seen_at_the_next_look():
    latencies = NewestLatencies()

    looks = []
    for late_s in (0.05, 1.0, 0.05):
        for number in range(25):
            latencies(FrameResult(Frame("cam", number, 0.0, picture()), (), finished_at=late_s))
        looks.append(latencies.take_ms())

    assert [look["p50"] for look in looks] == [pytest.approx(ms, rel=0.01) for ms in (50, 1000, 50)]
    assert looks[2]["p99"] < 51, "what was late before is over"
    assert latencies.take_ms() == {"p50": None, "p95": None, "p99": None}
