"""One camera: reading, books, and finding it again."""

import math
import threading

import pytest
from fakes import Opener, Speechless, picture
from waiting import wait_until

from toolkit.errors import ConfigError, SourceError
from toolkit.live.camera import Camera
from toolkit.live.camera_config import CameraConfig
from toolkit.live.camera_state import CameraState, StateLog

QUICK = CameraConfig(retry_first_s=0.01, retry_most_s=0.02)


def hold() -> threading.Event:
    """In a script: nothing comes any more."""
    return threading.Event()


def take_all(camera: Camera) -> list[int]:
    values = []
    while (frame := camera.mailbox.take()) is not None:
        values.append(int(frame.image[0, 0, 0]))
        camera.ledger.settle(frame.index, "analysed")
    return values


def test_a_recording_is_delivered_whole_and_in_order():
    camera = Camera("cam", "clip", opener=Opener(clip=[[picture(n) for n in range(30)]]))

    camera.start()
    values = take_all(camera)

    assert values == list(range(30))
    assert camera.stop()
    assert camera.state is CameraState.ENDED


def test_a_live_camera_that_is_not_read_keeps_the_newest_frame_and_books_the_others():
    hold = threading.Event()
    script = [*[picture(n) for n in range(10)], hold]
    camera = Camera("cam", "rtsp://x/clip", opener=Opener(True, clip=[script]))
    camera.start()
    wait_until(lambda: camera.ledger.counts().read == 10)

    counts = camera.ledger.counts()

    assert (counts.skipped, counts.in_flight) == (9, 1)
    assert camera.mailbox.take().image[0, 0, 0] == 9
    camera.stop()


def test_a_lost_camera_is_found_again_and_its_frames_are_numbered_on():
    opener = Opener(True, clip=[[picture(1)], [picture(2), threading.Event()]])
    camera = Camera("cam", "rtsp://x/clip", QUICK, opener=opener)
    camera.start()
    first = camera.mailbox.take()
    wait_until(lambda: camera.reconnects == 1)
    second = camera.mailbox.take()

    assert (first.index, second.index) == (0, 1)
    assert camera.state is CameraState.LIVE
    assert opener.opened[0].is_closed.is_set()
    camera.stop()
    assert camera.state is CameraState.STOPPED


def test_a_camera_that_stays_away_says_why_and_can_be_stopped():
    camera = Camera("cam", "rtsp://user:secret@x/clip", QUICK, opener=Opener(True, clip=[[picture(1)]]))
    camera.start()
    wait_until(lambda: camera.state is CameraState.RETRYING)
    statistics = camera.get_statistics()

    assert "secret" not in str(statistics["address"])
    assert statistics["error"]
    assert camera.stop()


def test_a_source_that_breaks_in_the_middle_fails_the_camera_with_its_reason():
    script = [picture(1), SourceError("clip.mp4 is damaged at frame 1")]
    camera = Camera("cam", "clip", opener=Opener(clip=[script]))
    camera.start()

    assert take_all(camera) == [1]
    camera.stop()
    assert camera.state is CameraState.FAILED
    assert "damaged" in camera.get_statistics()["error"]


def test_a_driver_that_raises_anything_fails_the_camera_and_not_the_program(caplog):
    camera = Camera("cam", "clip", opener=Opener(clip=[[picture(1), ZeroDivisionError("driver")]]))
    camera.start()

    take_all(camera)
    camera.stop()

    assert camera.state is CameraState.FAILED
    assert isinstance(camera.error, ZeroDivisionError)


def test_a_driver_whose_error_cannot_say_what_it_is_fails_the_camera():
    camera = Camera("cam", "clip", opener=Opener(clip=[[picture(1), Speechless()]]))
    camera.start()
    wait_until(lambda: not camera.is_alive)
    camera.stop()

    assert camera.state is CameraState.FAILED
    assert "Speechless" in camera.get_statistics()["error"]


def test_a_missing_camera_raises_unless_it_may_be_waited_for():
    strict = Camera("cam", "rtsp://x/clip", QUICK, opener=Opener())
    patient = Camera(
        "cam", "rtsp://x/clip", CameraConfig(retry=True, retry_first_s=0.01), opener=Opener(True)
    )

    with pytest.raises(SourceError, match="not there"):
        strict.start()
    patient.start()

    assert strict.state is CameraState.FAILED
    wait_until(lambda: patient.state is CameraState.RETRYING)
    assert patient.stop()


def test_stop_may_be_called_early_and_twice():
    camera = Camera("cam", "clip", opener=Opener())

    assert camera.stop()
    assert camera.stop()
    assert camera.state is CameraState.STOPPED


def test_frames_that_wait_at_stop_are_booked_as_skipped():
    camera = Camera("cam", "clip", opener=Opener(clip=[[picture(n) for n in range(100)]]))
    camera.start()
    wait_until(lambda: camera.ledger.counts().in_flight >= 4)

    camera.stop()
    counts = camera.ledger.counts()

    assert counts.in_flight == 0
    assert counts.read == counts.skipped > 0


def test_a_silent_camera_is_told_to_be_stalled_and_a_waiting_recording_is_not():
    impatient = CameraConfig(stall_after_s=0.05)
    camera = Camera("cam", "rtsp://x/clip", impatient, opener=Opener(True, clip=[[picture(), hold()]]))
    recording = Camera("cam", "clip", impatient, opener=Opener(clip=[[picture(), hold()]]))
    camera.start()
    recording.start()
    wait_until(lambda: camera.state is CameraState.STALLED)

    assert camera.get_statistics()["reason"].startswith("no picture for")
    assert recording.state is CameraState.LIVE
    assert camera.stop()
    assert recording.stop()
    assert camera.state is CameraState.STOPPED


def test_a_camera_that_is_stopped_while_it_is_opened_stays_closed():
    open_now = threading.Event()
    opener = Opener(True, clip=[[picture(), hold()]])

    def slow_opener(*args, **settings):
        open_now.wait(10)
        return opener(*args, **settings)

    camera = Camera("cam", "rtsp://x/clip", CameraConfig(retry=True), opener=slow_opener)
    camera.start()
    assert camera.state is CameraState.CONNECTING
    camera.ask_to_stop()
    open_now.set()

    assert camera.stop()
    assert camera.state is CameraState.STOPPED
    assert opener.opened[0].is_closed.is_set()
    assert camera.ledger.counts().read == 0


def test_what_a_driver_raises_while_it_opens_reaches_the_caller(caplog):
    def broken_opener(*args, **settings):
        raise ZeroDivisionError("driver")

    camera = Camera("cam", "clip", opener=broken_opener)

    with pytest.raises(ZeroDivisionError):
        camera.start()
    assert camera.state is CameraState.FAILED


def test_a_state_moves_along_its_table_and_nowhere_else():
    log = StateLog("cam")
    log.move(CameraState.CONNECTING)

    with pytest.raises(RuntimeError, match="cannot go from 'connecting' to 'ended'"):
        log.move(CameraState.ENDED)


@pytest.mark.parametrize("name", ["open_timeout_s", "retry_first_s", "waiting_frames"])
@pytest.mark.parametrize("value", [0, math.nan, math.inf])
def test_a_setting_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=name):
        CameraConfig(**{name: value})
