"""What happened, found by comparing snapshots."""

from toolkit.live.events import EventLog


def seen(state: str, reason: str = "", reconnects: int = 0) -> dict:
    return {"cameras": {"door": {"state": state, "reason": reason, "reconnects": reconnects}}}


def told(*snapshots: dict) -> list[tuple[float, str, str]]:
    log = EventLog()
    for number, statistics in enumerate(snapshots):
        log.look(statistics, float(number))
    return [(event.time_s, event.kind, event.text) for event in log.events()]


def test_a_camera_that_is_lost_and_back_is_told_with_the_reason():
    lost = seen("retrying", "no picture for 5 s")

    assert told(seen("live"), lost, lost, seen("live", reconnects=1)) == [
        (1.0, "lost", "door: no picture for 5 s"),
        (3.0, "back", "door"),
    ]


def test_a_camera_that_was_away_between_two_looks_is_told_too():
    assert told(seen("live"), seen("live", reconnects=1)) == [(1.0, "back", "door was away for a moment")]


def test_a_camera_that_opens_or_is_taken_away_is_no_news():
    assert told(seen("connecting"), seen("live"), seen("stopped"), seen("connecting"), seen("live")) == []


def test_a_recording_that_ends_and_a_camera_that_fails_are_told():
    assert [kind for _, kind, _ in told(seen("ended", "the recording is over"))] == ["over"]
    assert [kind for _, kind, _ in told(seen("live"), seen("failed", "damaged"))] == ["lost"]


def test_of_a_run_of_days_the_newest_events_are_kept():
    log = EventLog()
    for number in range(1500):
        log.note("changed", str(number), number)

    assert (len(log.rows()), log.rows()[-1]) == (1000, {"time_s": 1499, "kind": "changed", "text": "1499"})
