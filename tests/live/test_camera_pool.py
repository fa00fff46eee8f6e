"""Cameras with callbacks, as the pool runs them."""

import threading
import time

import pytest
from fakes import Opener, Speechless, picture
from waiting import wait_until

from toolkit.live.camera_pool import CameraPool, CameraWorker


def test_every_frame_of_a_recording_reaches_the_callback():
    seen = []
    with CameraPool(opener=Opener(clip=[[picture(n) for n in range(20)]])) as pool:
        pool.add_camera("cam", "clip", lambda camera_id, frame: seen.append((camera_id, int(frame[0, 0, 0]))))
        wait_until(lambda: not pool.get_active_cameras())
        statistics = pool.get_statistics()["cam"]

    assert seen == [("cam", n) for n in range(20)]
    assert (statistics["read"], statistics["analysed"], statistics["state"]) == (20, 20, "ended")


def test_a_slow_callback_does_not_delay_another_camera():
    release, quick = threading.Event(), []
    clips = {name: [[picture(n) for n in range(20)]] for name in ("a", "b")}
    with CameraPool(opener=Opener(**clips)) as pool:
        pool.add_camera("slow", "a", lambda camera_id, frame: release.wait(5))
        pool.add_camera("quick", "b", lambda camera_id, frame: quick.append(frame))
        wait_until(lambda: len(quick) == 20)
        analysed_by_slow = pool.get_statistics()["slow"]["analysed"]
        release.set()

    assert analysed_by_slow == 0


def test_a_callback_that_raises_loses_its_frame_and_not_the_camera():
    def fail_on_odd(camera_id, frame):
        if frame[0, 0, 0] % 2:
            raise ValueError("odd")

    worker = CameraWorker("cam", "clip", fail_on_odd, opener=Opener(clip=[[picture(n) for n in range(10)]]))
    worker.start()
    wait_until(lambda: not worker.is_active)
    statistics = worker.get_statistics()
    worker.stop()

    assert (statistics["analysed"], statistics["failed"]) == (5, 5)
    assert "odd" in statistics["callback_error"]


def test_a_callback_whose_error_cannot_say_what_it_is_leaves_the_statistics():
    def fail(camera_id, frame):
        raise Speechless

    worker = CameraWorker("cam", "clip", fail, opener=Opener(clip=[[picture(1)]]))
    worker.start()
    wait_until(lambda: not worker.is_active)
    statistics = worker.get_statistics()
    worker.stop()

    assert "Speechless" in statistics["callback_error"]


def test_a_callback_may_stop_its_own_camera():
    pool = CameraPool(opener=Opener(clip=[[picture(n) for n in range(10)]]))
    pool.add_camera("cam", "clip", lambda camera_id, frame: pool.remove_camera(camera_id))

    wait_until(lambda: not pool.get_active_cameras())

    assert pool.get_statistics() == {}


def test_a_taken_name_and_a_missing_source_are_refused_with_the_reason_in_the_log(caplog):
    hold = threading.Event()
    with CameraPool(opener=Opener(clip=[[hold]])) as pool:
        assert pool.add_camera("cam", "clip") is True
        assert pool.add_camera("cam", "clip") is False
        assert pool.add_camera("other", "nowhere") is False
        assert pool.get_active_cameras() == ["cam"]

    assert "in the pool already" in caplog.text
    assert "nowhere is not there" in caplog.text


def test_a_name_is_free_again_after_its_camera_was_removed_or_could_not_be_opened():
    with CameraPool(opener=Opener(clip=[[picture()], [picture()]])) as pool:
        assert pool.add_camera("cam", "nowhere") is False
        assert pool.add_camera("cam", "clip") is True
        assert pool.remove_camera("cam") is True
        assert pool.add_camera("cam", "clip") is True
        assert pool.remove_camera("stranger") is False


def test_a_camera_that_fails_late_does_not_take_the_one_that_has_its_name_now():
    is_late, hold = threading.Event(), threading.Event()
    opener = Opener(clip=[[picture(), hold]])

    def late(address, **settings):
        if address == "nowhere":
            is_late.wait()
        return opener(address, **settings)

    with CameraPool(opener=late) as pool:
        adding = threading.Thread(target=pool.add_camera, args=["cam", "nowhere"])
        adding.start()
        wait_until(lambda: "cam" in pool.get_statistics())
        removed = pool._workers.pop("cam")  # as remove_camera() does, whose wait is not waited for here
        assert pool.add_camera("cam", "clip") is True
        is_late.set()
        adding.join()

        assert pool.get_active_cameras() == ["cam"]
    assert not removed.is_active


@pytest.mark.parametrize("thread_name", ["camera-cam", "deliver-cam"])
def test_a_camera_may_be_removed_in_the_moment_its_thread_begins(thread_name, monkeypatch):
    begin, is_beginning = threading.Thread.start, threading.Event()

    def begin_late(thread):
        if thread.name == thread_name:
            is_beginning.set()
            time.sleep(0.1)
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", begin_late)
    with CameraPool(opener=Opener(clip=[[picture(), threading.Event()]])) as pool:
        adding = threading.Thread(target=pool.add_camera, args=["cam", "clip"])
        adding.start()
        is_beginning.wait()

        assert pool.remove_camera("cam") is True
        adding.join()
        assert pool.get_active_cameras() == []


def test_a_name_is_free_again_after_an_opener_of_somebody_else_failed():
    opener = Opener(clip=[[picture()]])

    def odd_at_first(address, **settings):
        if address == "odd":
            raise ValueError("a driver of somebody else")
        return opener(address, **settings)

    with CameraPool(opener=odd_at_first) as pool:
        with pytest.raises(ValueError, match="somebody else"):
            pool.add_camera("cam", "odd")
        assert pool.add_camera("cam", "clip") is True


def test_stop_all_ends_every_thread_of_many_cameras():
    hold = threading.Event()
    names = [f"cam{n}" for n in range(8)]
    pool = CameraPool(opener=Opener(True, **{name: [[picture(), hold]] for name in names}))
    for name in names:
        pool.add_camera(name, name)

    assert pool.stop_all() is True
    assert pool.get_active_cameras() == []
