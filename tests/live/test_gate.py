"""Which frames come onto the street, and who looks at them."""

import gc
import threading
import time
import weakref

from fakes import EchoModel, FixedDetector, Opener, picture
from waiting import wait_until

from toolkit.live.camera import Camera
from toolkit.live.gate import Gate
from toolkit.live.lane import Lane
from toolkit.live.pipeline import LivePipeline, PipelineConfig
from toolkit.live.track import FaceTracker, TrackerConfig

EVERY_FACE = TrackerConfig(votes_wanted=10**6)


class WatchedDetector(FixedDetector):
    """Keeps who looked."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[str] = set()

    def __call__(self, images):
        self.threads.add(threading.current_thread().name.partition("-")[0])
        return super().__call__(images)


def looked_at_by(is_live: bool) -> set[str]:
    detector, hold = WatchedDetector(), threading.Event()
    opener = Opener(is_live, cam=[[*map(picture, range(5)), hold]])
    with LivePipeline({"cam": "cam"}, detector, EchoModel(), opener=opener):
        wait_until(lambda: detector.threads)
    return detector.threads


def test_the_frames_of_a_recording_are_looked_at_by_the_thread_that_read_them():
    assert looked_at_by(is_live=False) == {"camera"}


def test_the_frames_of_a_live_camera_are_looked_at_by_workers_so_that_it_is_read_on():
    assert looked_at_by(is_live=True) == {"look"}


def test_recordings_that_fill_the_street_leave_live_cameras_their_places():
    is_full, answer = threading.Event(), threading.Event()
    sources = {
        "film": Opener(film=[[picture(1)] * 50]),
        "door": Opener(True, door=[[is_full, picture(2), answer]]),
    }
    street = LivePipeline(
        {name: name for name in sources},
        FixedDetector(),
        lambda crops: answer.wait(20) and EchoModel()(crops),
        PipelineConfig(frames_in_hand=8, batch_size=4, tracker=EVERY_FACE),
        opener=lambda address, **settings: sources[address](address, **settings),
    )
    with street:
        wait_until(lambda: street.statistics()["queues"]["frames_in_hand"] == 8)
        is_full.set()
        wait_until(lambda: street.statistics()["queues"]["frames_in_hand"] == 9)
        answer.set()
        assert street.wait(20)

    assert street.statistics()["cameras"]["film"]["analysed"] == 50


def test_a_camera_that_was_removed_is_kept_by_nobody():
    gate = Gate(PipelineConfig())
    lane = Lane(Camera("door", "door", room=gate.room), FaceTracker())
    gate.add(lane)
    gate.remove(lane)

    kept = weakref.ref(lane)
    del lane
    gc.collect()

    assert kept() is None


def test_a_recording_that_waits_for_room_can_be_removed():
    answer = threading.Event()
    config = PipelineConfig(frames_in_hand=2, batch_size=1, workers=1, tracker=EVERY_FACE)
    street = LivePipeline(
        {"film": "film"},
        FixedDetector(),
        lambda crops: answer.wait(20) and EchoModel()(crops),
        config,
        opener=Opener(film=[[picture(1)] * 50]),
    )
    with street:
        wait_until(lambda: street.statistics()["queues"]["frames_in_hand"] == 2)
        began_at = time.monotonic()
        assert street.remove_camera("film")
        assert time.monotonic() - began_at < 5
        answer.set()

    books = street.statistics()["cameras"]["film"]
    assert books["in_flight"] == 0
    assert books["read"] == books["analysed"] + books["skipped"]
