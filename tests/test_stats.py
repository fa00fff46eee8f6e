"""Rates, latencies and books."""

import threading

import numpy as np
import pytest
from fakes import FakeClock

from toolkit.stats import FrameCounts, FrameLedger, LatencyMeter, RateMeter, StageTimes


def test_a_rate_is_events_over_their_span_and_not_a_mean_of_gaps():
    clock = FakeClock()
    meter = RateMeter(window_s=10.0, clock=clock)
    for _ in range(5):
        # Two pictures at once, every 100 ms: a camera that delivers in bursts.
        meter.tick()
        meter.tick()
        clock.advance(0.1)

    assert meter.per_s == pytest.approx(20.0)


def test_a_rate_falls_when_nothing_comes_any_more():
    clock = FakeClock()
    meter = RateMeter(window_s=2.0, clock=clock)
    for _ in range(20):
        meter.tick()
        clock.advance(0.1)

    clock.advance(1.0)
    assert meter.per_s == pytest.approx(5.0, rel=0.1)
    clock.advance(5.0)
    assert meter.per_s == 0.0
    assert meter.total_per_s == pytest.approx(10.0)


def test_a_rate_before_the_second_event_is_zero():
    meter = RateMeter(clock=FakeClock())
    assert (meter.per_s, meter.total_per_s) == (0.0, 0.0)
    meter.tick()
    assert (meter.per_s, meter.total_per_s) == (0.0, 0.0)


def test_percentiles_agree_with_numpy_to_one_percent():
    seconds = np.random.default_rng(3).lognormal(mean=-3, sigma=1, size=20_000)
    meter = LatencyMeter()
    for value in seconds:
        meter.add(float(value))

    for percent in (50, 95, 99):
        assert meter.percentile_s(percent) == pytest.approx(np.percentile(seconds, percent), rel=0.015)
    assert meter.count == 20_000


def test_a_percentile_is_never_above_what_was_seen_and_none_when_nothing_was():
    meter = LatencyMeter()
    assert meter.snapshot_ms() == {"p50": None, "p95": None, "p99": None}

    meter.add(0.2)

    assert meter.percentile_s(99) <= 0.2
    assert meter.snapshot_ms()["p50"] == pytest.approx(200, rel=0.01)


def test_no_latency_is_lost_while_somebody_asks():
    meter, asked = LatencyMeter(), []

    def add() -> None:
        for _ in range(3000):
            meter.add(0.002)
            meter.add_many([0.001, 0.003])

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        asked.append(meter.count)
    for thread in threads:
        thread.join()

    assert asked == sorted(asked)
    assert meter.count == 4 * 9000
    assert meter.total_s == pytest.approx(4 * 3000 * 0.006)
    assert meter.percentile_s(50) == pytest.approx(0.002, rel=0.02)


def test_latencies_beyond_the_scale_are_counted_at_its_ends():
    meter = LatencyMeter()
    for value in (0.0, -1.0, 1e9):
        meter.add(value)

    assert meter.count == 3
    assert meter.percentile_s(1) == pytest.approx(1e-6, rel=0.02)


def test_books_show_where_every_frame_went():
    ledger = FrameLedger()
    for index in range(5):
        ledger.read(index)
    ledger.settle(0, "analysed")
    ledger.settle(1, "skipped")
    ledger.settle(2, "failed")

    assert ledger.counts() == FrameCounts(read=5, analysed=1, skipped=1, failed=1, in_flight=2)
    assert ledger.counts().is_balanced


def test_a_frame_cannot_be_settled_twice_or_unread():
    ledger = FrameLedger()
    ledger.read(0)
    ledger.settle(0, "analysed")

    for index in (0, 7):
        with pytest.raises(KeyError):
            ledger.settle(index, "skipped")


def test_books_that_lost_a_frame_are_not_balanced():
    assert not FrameCounts(read=5, analysed=4).is_balanced


def test_many_at_once_count_as_one_by_one():
    one_by_one, at_once = LatencyMeter(), LatencyMeter()
    seconds = [0.0, 1e-6, 0.003, 0.5, 20_000.0]
    for each in seconds:
        one_by_one.add(each)

    at_once.add_many(seconds)

    assert at_once.snapshot_ms() == one_by_one.snapshot_ms()
    assert at_once.count == 5


def test_events_at_several_times_count_in_the_window_they_fell_into():
    now = [10.0]
    meter = RateMeter(window_s=5.0, clock=lambda: now[0])
    meter.tick_many([1.0, 6.0, 7.0, 10.0])

    assert meter.per_s == 3 / 5
    assert meter.total_per_s == 3 / 9


def test_frames_that_did_not_make_it_are_counted_by_cause():
    ledger = FrameLedger()
    for index, cause in enumerate(["late", "replaced", "replaced", None]):
        ledger.read(index)
        ledger.settle(index, "skipped", cause)

    assert ledger.causes() == {"replaced": 2, "late": 1}
    assert ledger.counts().skipped == 4


def test_stages_tell_how_often_and_how_long():
    stages = StageTimes()
    for seconds in (0.010, 0.030):
        stages.add("detect", seconds)
    stages.add("track", 0.001)

    rows = stages.snapshot()

    assert list(rows) == ["detect", "track"]
    assert (rows["detect"]["count"], rows["detect"]["total_s"], rows["detect"]["mean_ms"]) == (2, 0.04, 20.0)
    assert rows["detect"]["p99_ms"] == pytest.approx(30, rel=0.01)
