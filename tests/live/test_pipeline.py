"""The street from camera to result."""

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import cv2
import pytest
from fakes import EchoModel, FixedDetector, Opener, ScriptedSource, Speechless, picture
from waiting import wait_until

from toolkit.errors import ConfigError, SourceError
from toolkit.live.camera_config import CameraConfig
from toolkit.live.detect import WholeFrame
from toolkit.live.listeners import BestPictures, LabelLog, LatestResults
from toolkit.live.pipeline import LivePipeline, PipelineConfig
from toolkit.live.track import TrackerConfig
from toolkit.records import Detection, Prediction

EVERY_FRAME = PipelineConfig(tracker=TrackerConfig(votes_wanted=10**6), max_wait_s=0.002)


def street(opener, detect=None, predict=None, listeners=(), config=EVERY_FRAME) -> LivePipeline:
    names = list(opener._scripts)
    return LivePipeline(
        {name: name for name in names},
        detect or FixedDetector(),
        predict or EchoModel(),
        config,
        listeners=listeners,
        opener=opener,
    )


def clips(cameras: int, frames: int) -> dict:
    return {f"cam{c}": [[picture(n % 200) for n in range(frames)]] for c in range(cameras)}


def books(pipeline: LivePipeline) -> list[tuple[int, int, int, int, int]]:
    order = ("read", "analysed", "skipped", "failed", "in_flight")
    return [tuple(c[key] for key in order) for c in pipeline.statistics()["cameras"].values()]


def test_every_frame_of_every_recording_gets_its_result_in_order():
    results = []
    with street(Opener(**clips(3, 40)), listeners=[results.append]) as pipeline:
        assert pipeline.wait(20)

    assert books(pipeline) == [(40, 40, 0, 0, 0)] * 3
    for camera in ("cam0", "cam1", "cam2"):
        assert [r.frame.index for r in results if r.frame.camera == camera] == list(range(40))


def test_a_result_carries_the_vote_over_the_frames_so_far():
    results = []
    with street(Opener(cam=[[picture(10), picture(20)]]), listeners=[results.append]) as pipeline:
        pipeline.wait(10)

    ages = [result.tracks[0].label.age_years for result in results]
    assert ages == pytest.approx([10.0, 15.0])
    assert [result.tracks[0].votes for result in results] == [1, 2]


def test_crops_of_all_cameras_share_one_batch():
    model = EchoModel()
    config = PipelineConfig(tracker=TrackerConfig(votes_wanted=10**6), max_wait_s=0.05, frames_in_hand=8)

    with street(Opener(**clips(8, 4)), predict=model, config=config) as pipeline:
        pipeline.wait(20)

    assert sum(model.batch_sizes) == 32
    assert max(model.batch_sizes) > 4


def test_a_known_person_costs_no_further_inference():
    model = EchoModel()
    config = PipelineConfig(tracker=TrackerConfig(votes_wanted=3, look_again_s=1000))

    with street(Opener(cam=[[picture(n) for n in range(50)]]), predict=model, config=config) as pipeline:
        pipeline.wait(20)

    assert sum(model.batch_sizes) == 3
    assert books(pipeline) == [(50, 50, 0, 0, 0)]


def test_a_frame_the_detector_cannot_stand_fails_alone():
    script = [picture(1), picture(255), picture(2)]
    with street(Opener(cam=[script])) as pipeline:
        pipeline.wait(10)

    assert books(pipeline) == [(3, 2, 0, 1, 0)]
    assert "no detector can stand" in pipeline.statistics()["cameras"]["cam"]["analysis_error"]


def test_a_model_whose_error_cannot_say_what_it_is_leaves_the_statistics():
    def fail(crops):
        raise Speechless

    with street(Opener(cam=[[picture(1)]]), predict=fail) as pipeline:
        pipeline.wait(10)

    assert books(pipeline) == [(1, 0, 0, 1, 0)]
    assert "Speechless" in pipeline.statistics()["cameras"]["cam"]["analysis_error"]


def test_a_failing_model_fails_its_frames_and_the_person_is_asked_for_again():
    calls = []

    def fail_first(crops):
        calls.append(len(crops))
        if len(calls) == 1:
            raise RuntimeError("out of memory")
        return EchoModel()(crops)

    config = PipelineConfig(tracker=TrackerConfig(votes_wanted=1, look_again_s=1000), frames_in_hand=1)
    with street(Opener(cam=[[picture(1)] * 20]), predict=fail_first, config=config) as pipeline:
        pipeline.wait(10)

    [(read, analysed, _, failed, in_flight)] = books(pipeline)
    assert (read, failed, in_flight) == (20, 1, 0)
    assert analysed == 19
    assert len(calls) == 2


def test_a_live_camera_skips_frames_while_the_model_is_slow_and_the_books_always_balance():
    hold, release = threading.Event(), threading.Event()

    def slow(crops):
        release.wait(10)
        return EchoModel()(crops)

    opener = Opener(True, cam=[[*[picture(n % 200) for n in range(300)], hold]])
    with street(opener, predict=slow) as pipeline:
        deadline = time.monotonic() + 10
        while (counts := books(pipeline)[0])[0] < 300 and time.monotonic() < deadline:
            assert counts[0] == sum(counts[1:])
        release.set()

    read, analysed, skipped, failed, in_flight = books(pipeline)[0]
    assert read == 300 == analysed + skipped
    assert (failed, in_flight) == (0, 0)
    # No more were let onto the street than it may hold.
    assert analysed <= EVERY_FRAME.frames_in_hand + 4


def test_a_listener_that_raises_does_not_stop_the_street(caplog):
    def broken(result):
        raise ValueError("a listener of somebody else")

    seen = []
    with street(Opener(**clips(1, 10)), listeners=[broken, seen.append]) as pipeline:
        pipeline.wait(10)

    assert len(seen) == 10
    assert caplog.text.count("the run goes on") == 1
    assert "a listener failed 10 times" in caplog.text


@pytest.mark.parametrize(("who", "failed"), [("detector", 1), ("model", 1), ("listener", 0)])
def test_a_panic_fails_its_frame_and_not_the_street(who, failed):
    class Panic(BaseException):
        """As a library in Rust raises it: no Exception."""

    calls = []

    def panics_once(name):
        if name == who and not calls:
            calls.append(name)
            raise Panic

    def detect(images):
        panics_once("detector")
        return FixedDetector()(images)

    def predict(crops):
        panics_once("model")
        return EchoModel()(crops)

    config = replace(EVERY_FRAME, frames_in_hand=1)
    listeners = [lambda result: panics_once("listener")]
    with street(Opener(**clips(1, 5)), detect, predict, listeners, config) as pipeline:
        assert pipeline.wait(10)

    assert books(pipeline) == [(5, 5 - failed, 0, failed, 0)]


def test_a_listener_may_stop_the_street():
    stopped = []
    pipeline = street(Opener(**clips(1, 50)), listeners=[lambda result: stopped.append(pipeline.stop())])
    with pipeline:
        wait_until(lambda: stopped)

    assert stopped[0] is True
    read, analysed, skipped, _, in_flight = books(pipeline)[0]
    assert (analysed + skipped, in_flight) == (read, 0)


def test_the_last_of_two_streets_gives_opencv_its_threads_back(monkeypatch):
    number = [3]
    monkeypatch.setattr(cv2, "getNumThreads", lambda: number[-1])
    monkeypatch.setattr(cv2, "setNumThreads", number.append)
    streets = [street(Opener(**clips(cameras=64, frames=1))) for _ in range(2)]
    for one in streets:
        one.start()
    after_each = [one.stop() and number[-1] for one in streets]

    assert after_each == [1, 3]


def test_cameras_come_and_go_while_it_runs():
    hold = threading.Event()
    opener = Opener(True, first=[[picture(1), hold]], later=[[picture(2), hold], [picture(3), hold]])
    latest = LatestResults()
    pipeline = LivePipeline({"a": "first"}, FixedDetector(), EchoModel(), listeners=[latest], opener=opener)

    def shows(camera, value):
        result = latest.get(camera)
        return result is not None and result.frame.image[0, 0, 0] == value

    with pipeline:
        pipeline.add_camera("b", "later")
        wait_until(lambda: shows("b", 2))
        with pytest.raises(ConfigError, match="runs already"):
            pipeline.add_camera("b", "later")
        assert pipeline.remove_camera("b")
        assert pipeline.remove_camera("b"), "it is gone already"
        pipeline.add_camera("b", "later")
        wait_until(lambda: shows("b", 3))
        assert shows("a", 1)
        with pytest.raises(ConfigError, match="no camera 'c'"):
            pipeline.remove_camera("c")


def test_batches_are_formed_otherwise_while_it_runs_and_no_frame_is_lost():
    model, half = EchoModel(), threading.Event()
    scripts = {f"cam{n}": [[*map(picture, range(20)), half, *map(picture, range(20))]] for n in range(4)}
    before = replace(EVERY_FRAME, batch_size=1)
    with street(Opener(**scripts), predict=model, config=before) as pipeline:
        wait_until(lambda: sum(model.batch_sizes) == 80)
        pipeline.change(replace(before, batch_size=2, max_wait_s=5.0))
        half.set()
        assert pipeline.wait(20)

    assert set(model.batch_sizes[:80]) == {1}
    assert model.batch_sizes[80:] == [2] * 40
    assert pipeline.statistics()["batches"]["sizes"] == {1: 80, 2: 40}
    assert books(pipeline) == [(40, 40, 0, 0, 0)] * 4


def test_another_model_takes_over_between_two_batches_and_no_frame_is_lost():
    half, results, models = threading.Event(), [], [EchoModel(), EchoModel()]
    script = [*map(picture, range(20)), half, *map(picture, range(20))]
    with street(Opener(cam=[script]), predict=models[0], listeners=[results.append]) as pipeline:
        wait_until(lambda: len(results) == 20)
        pipeline.use_model(models[1])
        half.set()
        assert pipeline.wait(20)

    assert [sum(model.batch_sizes) for model in models] == [20, 20]
    assert [result.tracks[0].votes for result in results] == list(range(1, 41))


@pytest.mark.parametrize(("device", "is_in_turns"), [("cpu", True), ("cuda", False), (None, False)])
@pytest.mark.parametrize("is_changed", [False, True])
def test_only_a_model_that_computes_on_these_cores_takes_turns_with_those_who_read(
    device, is_in_turns, is_changed
):
    half, in_turns = threading.Event(), []

    def on_device(device):
        def predict(crops):
            in_turns.append(threading.get_ident() in pipeline._turns._held)
            return EchoModel()(crops)

        if device is not None:
            predict.runtime = SimpleNamespace(device=device, described=dict)
        return predict

    config = PipelineConfig(batch_size=100, workers=1)
    first = on_device("cuda" if is_changed else device)
    with street(Opener(cam=[[half, picture(1)]]), predict=first, config=config) as pipeline:
        if is_changed:
            pipeline.use_model(on_device(device))
        half.set()
        assert pipeline.wait(20)

    assert in_turns == [is_in_turns]


def test_settings_that_hold_for_the_whole_run_cannot_be_changed_in_it():
    pipeline = street(Opener(cam=[[]]))

    with pytest.raises(ConfigError, match="workers and tracker"):
        pipeline.change(replace(EVERY_FRAME, workers=3))


def test_a_camera_that_comes_while_the_street_is_being_stopped_leaves_nothing_running():
    opener = Opener(cam=[[]], late=[[threading.Event()]])
    pipeline = LivePipeline({"cam": "cam"}, FixedDetector(), EchoModel(), opener=opener)
    with pipeline:
        pipeline.wait(10)

    with pytest.raises(SourceError, match="is being stopped"):
        pipeline.add_camera("late", "late")


@pytest.mark.parametrize(
    ("timeout_s", "reason"), [(0.01, "the model has not answered"), (10.0, "is being stopped")]
)
def test_a_camera_whose_predecessor_is_still_with_a_model_that_hangs_is_refused(timeout_s, reason):
    asked, release, frames = threading.Event(), threading.Event(), [picture(1), threading.Event()]

    def hang(crops):
        asked.set()
        return release.wait(20) and EchoModel()(crops)

    pipeline = street(Opener(True, cam=[frames, frames]), predict=hang)
    with pipeline, ThreadPoolExecutor() as caller:
        assert asked.wait(10)
        pipeline.remove_camera("cam")
        adding = caller.submit(pipeline.add_camera, "cam", "cam", timeout_s)
        if reason == "is being stopped":
            pipeline.stop(timeout_s=0.01)

        with pytest.raises(SourceError, match=reason):
            adding.result(5)
        release.set()


def test_cameras_that_hang_while_they_are_opened_delay_neither_the_start_nor_the_others():
    answer = threading.Event()
    opener = Opener(True, **{name: [[picture(1), threading.Event()]] for name in ("good", "late")})

    def sometimes_slow(address, **settings):
        if "late" in str(address):
            answer.wait(20)
        return opener(address, **settings)

    latest = LatestResults()
    pipeline = LivePipeline(
        {"late": "rtsp://x/late", "good": "rtsp://x/good"},
        FixedDetector(),
        EchoModel(),
        camera_config=CameraConfig(retry=True),
        listeners=[latest],
        opener=sometimes_slow,
    )
    with pipeline:
        wait_until(lambda: latest.get("good"))
        assert pipeline.statistics()["cameras"]["late"]["state"] == "connecting"
        answer.set()
        wait_until(lambda: latest.get("late"))


def test_a_camera_that_cannot_be_opened_ends_the_start_and_leaves_nothing_running():
    opener = Opener(True, good=[[picture(1), threading.Event()]])
    pipeline = LivePipeline({"good": "good", "bad": "bad"}, FixedDetector(), EchoModel(), opener=opener)

    with pytest.raises(SourceError, match="bad is not there"):
        pipeline.start()

    assert opener.opened[0].is_closed.is_set()
    with pytest.raises(ConfigError, match="make a new one"):
        pipeline.start()


def test_a_camera_whose_driver_fails_in_its_own_way_is_not_among_the_cameras():
    opener = Opener(True, good=[[threading.Event()]])

    def odd(address, **settings):
        if address == "odd":
            raise ValueError("a driver of somebody else")
        return opener(address, **settings)

    with LivePipeline({"good": "good"}, FixedDetector(), EchoModel(), opener=odd) as pipeline:
        with pytest.raises(ValueError, match="somebody else"):
            pipeline.add_camera("odd", "odd")

        assert list(pipeline.statistics()["cameras"]) == ["good"]


def test_stopping_in_the_middle_accounts_for_every_frame_and_may_be_repeated():
    pipeline = street(Opener(**clips(4, 500)))
    pipeline.start()
    time.sleep(0.05)

    assert pipeline.stop()
    assert pipeline.stop()

    for read, analysed, skipped, failed, in_flight in books(pipeline):
        assert in_flight == 0
        assert read == analysed + skipped + failed


def test_a_street_that_was_stopped_before_its_start_says_so():
    pipeline = street(Opener(cam=[[picture()]]))
    pipeline.stop()

    with pytest.raises(ConfigError, match="was stopped"):
        pipeline.start()


def test_a_stuck_model_is_named_at_stop_and_does_not_hold_it(caplog):
    release = threading.Event()
    pipeline = street(Opener(**clips(1, 5)), predict=lambda crops: release.wait(20) and EchoModel()(crops))
    pipeline.start()
    time.sleep(0.05)

    assert pipeline.stop(timeout_s=0.2) is False
    assert "the model" in caplog.text
    release.set()
    assert pipeline.stop()


def test_a_stuck_driver_leaves_the_model_time_for_the_frames_of_the_others(caplog):
    class StuckSource(ScriptedSource):
        def read(self):
            freed.wait(20)
            return None

    freed, asked = threading.Event(), threading.Event()
    good = Opener(True, good=[[picture(1), threading.Event()]])

    def answer_when_the_driver_was_waited_for(crops):
        asked.set()
        wait_until(lambda: pipeline._gate.room._is_closed)
        return EchoModel()(crops)

    def opener(address, **settings):
        return StuckSource([], is_live=True) if address == "bad" else good(address, **settings)

    pipeline = LivePipeline(
        {"good": "good", "bad": "bad"}, FixedDetector(), answer_when_the_driver_was_waited_for, opener=opener
    )
    pipeline.start()
    assert asked.wait(10)

    assert pipeline.stop(timeout_s=1.5) is False
    assert books(pipeline)[0] == (1, 1, 0, 0, 0)
    assert caplog.messages[-1] == "still busy 1.5 s after stop: bad"
    freed.set()
    assert pipeline.stop()


def test_statistics_of_a_run_are_measured_from_capture():
    with street(Opener(**clips(2, 30))) as pipeline:
        pipeline.wait(10)
        statistics = pipeline.statistics()

    assert statistics["persons"] == 2
    assert statistics["cameras"]["cam0"]["frames_per_s"] > 0
    assert statistics["latency_ms"]["p50"] <= statistics["latency_ms"]["p99"]


def test_listeners_keep_the_best_picture_and_the_labels_over_time():
    best, log = BestPictures(), LabelLog(every_s=1000)
    with street(Opener(**clips(2, 20)), listeners=[best, log]) as pipeline:
        pipeline.wait(10)

    assert set(best.results()) == {"cam0", "cam1"}
    rows = log.rows()
    assert [row["camera"] for row in rows].count("cam0") == 1
    assert rows[0]["gender"] == "female"


def test_a_whole_frame_goes_to_the_model_and_its_answer_comes_back_with_it():
    results, sizes = [], []

    def classify(frames):
        sizes.extend(frame.shape for frame in frames)
        return [{"mean": int(frame.mean())} for frame in frames]

    with street(
        Opener(cam=[[picture(n) for n in range(40)]]), WholeFrame(32), classify, [results.append]
    ) as pipeline:
        pipeline.wait(20)

    assert set(sizes) == {(32, 32, 3)}
    assert [result.answer for result in results] == [{"mean": n} for n in range(40)]
    assert all(result.tracks == () for result in results)


def test_results_stay_in_order_when_a_later_batch_is_answered_first():
    results, first_may_end = [], threading.Event()

    def first_is_slow(crops):
        ages = [float(crop.mean()) for crop in crops]
        if 0.0 in ages:
            first_may_end.wait(10)
        elif max(ages) >= 10:
            first_may_end.set()
        return EchoModel()(crops)

    config = PipelineConfig(batch_size=2, workers=2)
    with street(
        Opener(cam=[[picture(n) for n in range(30)]]), WholeFrame(8), first_is_slow, [results.append], config
    ) as pipeline:
        assert pipeline.wait(20)

    assert first_may_end.is_set()
    assert [result.frame.index for result in results] == list(range(30))


@pytest.mark.parametrize(
    "setting",
    [
        {"batch_size": 0},
        {"frames_in_hand": 0},
        {"frames_in_hand": math.nan},
        {"detect_every": None},
        {"workers": 1.5},
        {"max_wait_s": -1},
        {"crop_margin": math.nan},
        {"crop_margin": -0.5},
        {"smallest_face_px": math.nan},
    ],
)
def test_settings_that_make_no_sense_are_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        PipelineConfig(**setting)


def test_the_street_tells_where_its_time_goes_and_why_frames_fell_out():
    opener = Opener(door=[[picture(1), picture(255), picture(2), picture(3)]])
    with LivePipeline({"door": "door"}, FixedDetector(), EchoModel(), EVERY_FRAME, opener=opener) as street:
        assert street.wait(10)
        statistics = street.statistics()

    counts = {stage: row["count"] for stage, row in statistics["stages"].items()}
    assert {counts[stage] for stage in ("detect", "track", "cut", "answer", "listeners")} == {3}
    assert counts["arrive"] == 4
    assert 1 <= counts["infer"] <= 3
    assert counts["decode"] == 5, "four pictures, and the end"
    assert statistics["queues"] == {"mailboxes": 0, "frames_in_hand": 0, "crops": 0}
    assert statistics["cameras"]["door"]["causes"] == {"ValueError": 1}
    assert statistics["looks"]["new"] == 3


def test_cameras_do_not_share_persons():
    scripts = {name: [[picture(n) for n in range(5)]] for name in ("door", "hall")}
    with LivePipeline(
        {name: name for name in scripts}, FixedDetector(), EchoModel(), opener=Opener(**scripts)
    ) as street:
        assert street.wait(10)
        cameras = street.statistics()["cameras"]

    assert {name: values["persons"] for name, values in cameras.items()} == {"door": 1, "hall": 1}


def test_bodies_go_to_a_model_of_their_own_in_the_same_batch_and_label_people_without_a_face():
    class OneOfEach:
        name, longest_side_px = "both", None

        def __call__(self, images):
            turned = Detection((44.0, 4.0, 60.0, 46.0), 0.9, "body")
            return [[Detection((8.0, 8.0, 40.0, 40.0), 0.9), turned] for _ in images]

    def of_bodies(crops):
        assert {crop.shape for crop in crops} == {(42, 16, 3)}
        return [Prediction("male", 0.7, 50.0, 9.0) for _ in crops]

    results, faces = [], EchoModel()
    opener = Opener(cam=[[picture(10)] * 4])
    street = LivePipeline(
        {"cam": "cam"},
        OneOfEach(),
        faces,
        listeners=[results.append],
        opener=opener,
        predict_bodies=of_bodies,
    )
    with street as pipeline:
        pipeline.wait(10)

    labels = {t.track_id: (t.label.gender, t.label_part, t.is_face_seen) for t in results[-1].tracks}
    assert labels == {1: ("female", "face", True), 2: ("male", "body", False)}
    assert sum(faces.batch_sizes) == 4
    assert pipeline.statistics()["batches"]["items"] == 8
