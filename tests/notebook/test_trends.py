"""What the plots show, from snapshots."""

from toolkit.notebook.trends import Trends, WatchedResults
from toolkit.records import Frame, FrameResult, Prediction, Track


def snapshot(frames_per_s: float = 10.0, skipped: int = 0, sizes: dict[int, int] | None = None) -> dict:
    camera = {"frames_per_s_now": frames_per_s, "skipped": skipped, "failed": 0}
    queues = {"mailboxes": 1, "frames_in_hand": 2, "crops": 3}
    return {"cameras": {"door": camera}, "queues": queues, "batches": {"sizes": sizes or {}}}


def result(latency_s: float, *genders: str | None) -> FrameResult:
    labels = [None if gender is None else Prediction(gender, 0.9, 30.0, 5.0) for gender in genders]
    tracks = tuple(Track(n, (0, 0, 9, 9), 0.9, 5, label) for n, label in enumerate(labels))
    return FrameResult(Frame("door", 0, 100.0, None), tracks, 100.0 + latency_s)


def test_latencies_are_those_since_the_last_look():
    results, trends = WatchedResults(), Trends()
    for seconds, latency_s in ((1, 0.5), (2, 0.25), (2, 0.25)):
        results(result(latency_s))
        if seconds == 1:
            assert results.take_latencies_s() == [0.5]
    trends.add(2.0, snapshot(), results.take_latencies_s(), {"door": None})

    assert "p99 250 ms" in trends.html()


def test_losses_and_batches_are_those_of_the_last_seconds():
    trends = Trends()
    trends.add(1.0, snapshot(skipped=50, sizes={1: 1000}), [], {})
    for second in range(2, 14):
        trends.add(second, snapshot(skipped=50 + 4 * second, sizes={1: 1000, 3: second, 4: 1}), [], {})

    page = trends.html()
    assert "skipped 4/s" in page
    assert trends._batches() == {"1": 0, "2": 0, "3-4": 10}


def test_people_are_counted_by_their_labels_and_cameras_that_went_are_gone():
    trends = Trends()
    trends.add(1.0, snapshot(), [], {"door": result(0.1, "female", "female", "male", None), "hall": None})

    assert all(text in trends.html() for text in ("female 2", "male 1", "no label yet 1", "hall"))
    trends.add(2.0, snapshot(), [], {"door": None})
    assert "hall" not in trends.html()


def test_a_run_without_a_snapshot_has_empty_plots():
    assert Trends().html().count("<figure") == 6
