"""Cameras that go and come back: real RTSP servers, each in a process that is killed and frozen."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator

from clips import number_in, write_clip
from waiting import wait_until

from toolkit.live.camera import Camera
from toolkit.live.camera_config import CameraConfig
from toolkit.live.camera_pool import CameraPool
from toolkit.live.camera_state import CameraState
from toolkit.live.source import open_source
from toolkit.records import Frame
from toolkit.rtsp.process import CameraProcess
from toolkit.rtsp.server import RtspServer

PATIENT = CameraConfig(
    retry=True,
    open_timeout_s=1.0,
    read_timeout_s=1.0,
    stall_after_s=0.4,
    retry_first_s=0.05,
    retry_most_s=0.2,
)


class Watcher:
    """Takes every frame of a camera and settles it, as the street does."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, int, tuple[int, int]]] = []

    def __call__(self, camera_id: str, image) -> None:
        self.frames.append((time.monotonic(), number_in(image), image.shape[1::-1]))


@contextlib.contextmanager
def watched(address: str, config: CameraConfig = PATIENT) -> Iterator[tuple[CameraPool, Watcher]]:
    """A pool with one camera that delivers, its books balanced at the end."""
    seen = Watcher()
    with CameraPool(config) as pool:
        assert pool.add_camera("cam", address, seen)
        wait_until(lambda: seen.frames, 10)
        yield pool, seen
        books = pool.get_statistics()["cam"]
        fates = sum(books[fate] for fate in ("analysed", "skipped", "failed", "in_flight"))
        assert books["read"] == fates


def state(pool: CameraPool) -> str:
    return pool.get_statistics()["cam"]["state"]


def test_a_camera_that_was_killed_is_found_again_at_its_address(clip_path):
    with CameraProcess(clip_path) as camera, watched(camera.url) as (pool, seen):
        camera.kill()
        wait_until(lambda: state(pool) == "retrying")
        told = pool.get_statistics()["cam"]
        camera.start()
        before = len(seen.frames)
        wait_until(lambda: len(seen.frames) > before + 5, 10)
        after = pool.get_statistics()["cam"]

    assert "nothing listens" in told["reason"] or "closed the stream" in told["reason"]
    assert (after["state"], after["reason"], after["reconnects"]) == ("live", "", 1)


def test_a_frozen_camera_is_first_stalled_then_given_up_and_found_when_it_wakes(clip_path):
    with CameraProcess(clip_path) as camera, watched(camera.url) as (pool, seen):
        camera.freeze()
        wait_until(lambda: state(pool) == "stalled")
        stalled = pool.get_statistics()["cam"]["reason"]
        wait_until(lambda: state(pool) == "retrying")
        given_up = pool.get_statistics()["cam"]["reason"]
        camera.thaw()
        before = len(seen.frames)
        wait_until(lambda: len(seen.frames) > before + 5, 10)

    assert stalled.startswith("no picture for 0.")
    assert "no answer within 1 s" in given_up


def test_a_short_freeze_is_waited_out_on_the_same_connection(clip_path):
    config = CameraConfig(read_timeout_s=5.0, stall_after_s=0.4)
    with RtspServer({"cam": clip_path}) as server, watched(server.url("cam"), config) as (pool, seen):
        server.is_frozen.set()
        # Longer than one wait for a packet lasts, so that reading is broken off and taken up again.
        wait_until(lambda: pool.get_statistics()["cam"]["state_s"] > 2.5, 10)
        assert state(pool) == "stalled"
        server.is_frozen.clear()
        before = len(seen.frames)
        wait_until(lambda: len(seen.frames) > before + 5)
        assert pool.get_statistics()["cam"]["reconnects"] == 0


def test_a_picture_that_changes_its_size_in_the_middle_is_read_on(clip_path, tmp_path):
    large = write_clip(tmp_path / "large.mp4", size_wh=(960, 544))
    with RtspServer({"cam": clip_path}) as server, watched(server.url("cam")) as (pool, seen):
        server.show("cam", large)
        wait_until(lambda: seen.frames[-1][2] == (960, 544))
        told = pool.get_statistics()["cam"]

    assert seen.frames[0][2] == (640, 360)
    assert (told["reconnects"], told["size_wh"]) == (0, (960, 544))


def test_damaged_packets_are_counted_and_survived(clip_path):
    with RtspServer({"cam": clip_path}) as server, watched(server.url("cam")) as (pool, seen):
        server.damage = 0.2
        wait_until(lambda: pool.get_statistics()["cam"]["corrupt_packets"] > 0, 10)
        server.damage = 0.0
        before = len(seen.frames)
        wait_until(lambda: len(seen.frames) > before + 20, 10)
        assert pool.get_statistics()["cam"]["reconnects"] == 0


def test_packets_that_get_lost_over_udp_cost_pictures_and_not_the_camera(clip_path):
    udp = CameraConfig(transport="udp")
    with RtspServer({"cam": clip_path}) as server, watched(server.url("cam"), udp) as (pool, seen):
        server.loss = 0.1
        # A picture that is lost whole is not damaged.
        wait_until(lambda: pool.get_statistics()["cam"]["corrupt_packets"] > 0, 60)
        before = len(seen.frames)
        wait_until(lambda: len(seen.frames) > before + 10, 30)
        assert pool.get_statistics()["cam"]["reconnects"] == 0


def test_cameras_that_hang_while_they_are_opened_do_not_delay_the_others(clip_path):
    patient = CameraConfig(retry=True, open_timeout_s=30.0)
    with CameraProcess(clip_path) as frozen, CameraProcess(clip_path) as good:
        frozen.freeze()
        seen = Watcher()
        with CameraPool(patient) as pool:
            started_at = time.monotonic()
            for number in range(3):
                pool.add_camera(f"hangs{number}", frozen.url)
            for number in range(5):
                pool.add_camera(f"good{number}", good.url, seen)
            wait_until(lambda: all(told(pool, f"good{n}")["analysed"] for n in range(5)), 10)
            took_s = time.monotonic() - started_at
            hanging = [told(pool, f"hangs{number}")["state"] for number in range(3)]
            frozen.thaw()

    assert hanging == ["connecting"] * 3
    assert took_s < 10


def test_stopping_many_frozen_cameras_takes_no_longer_than_stopping_one(clip_path):
    config = CameraConfig(read_timeout_s=20.0)
    with RtspServer({"cam": clip_path}) as server:
        pool = CameraPool(config)
        for number in range(8):
            assert pool.add_camera(f"cam{number}", server.url("cam"))
        server.is_frozen.set()
        started_at = time.monotonic()

        assert pool.stop_all()

    # A wait for a packet is broken off once a second; eight of them one after the other would take eight.
    assert time.monotonic() - started_at < 5


def test_a_program_that_ends_without_stopping_its_frozen_cameras_ends_at_once(clip_path):
    code = (
        "import sys, time; from toolkit.live.camera_pool import camera_pool\n"
        "for n in range(3): camera_pool.add_camera(str(n), sys.argv[1])\n"
        "while not all(told['read'] for told in camera_pool.get_statistics().values()): time.sleep(0.02)\n"
        "print('all read', flush=True); time.sleep(0.5)\n"
    )
    with RtspServer({"cam": clip_path}) as server:
        program = subprocess.Popen(
            [sys.executable, "-c", code, server.url("cam")], stdout=subprocess.PIPE, text=True
        )
        with program:
            assert program.stdout.readline() == "all read\n"
            server.is_frozen.set()
            # A read from a frozen camera lasts five seconds more.
            assert program.wait(4.0) == 0


def test_a_wrong_password_is_told_without_the_password_and_not_tried_often(clip_path):
    config = CameraConfig(retry=True, retry_first_s=0.01, retry_most_s=30.0)
    with RtspServer({"cam": clip_path}, credentials=("ada", "s3cret")) as server, CameraPool() as pool:
        address = server.url("cam", userinfo="ada:wr0ng")
        assert pool.add_camera("strict", address) is False
        assert pool.add_camera("cam", address, config=config)
        wait_until(lambda: state(pool) == "retrying")
        assert "401" in told(pool, "cam")["reason"]
        assert "wr0ng" not in str(told(pool, "cam"))
        # Its next attempt is half a minute away: cameras lock an account after a few.
        assert server.connections == 2


def test_a_lost_source_is_freed_at_once_with_its_decoder(clip_path):
    opened = []

    def opener(*args, **settings):
        source = open_source(*args, **settings)
        opened.append(weakref.ref(source))
        return source

    with RtspServer({"cam": clip_path}) as server:
        camera = Camera(
            "cam", server.url("cam"), CameraConfig(read_timeout_s=0.4, retry_first_s=60), opener=opener
        )
        gc.disable()
        try:
            camera.start()
            server.is_frozen.set()
            wait_until(lambda: camera.state is CameraState.RETRYING)
            wait_until(lambda: opened[0]() is None)
        finally:
            gc.enable()
        assert camera.stop()

    assert "no answer" in str(camera.error)


def test_a_camera_that_is_slow_to_answer_gets_the_whole_time_to_open(clip_path):
    with RtspServer({"cam": clip_path}) as server:
        # Reading would break off a wait after 0.2 s.
        server.answer_after_s = 0.3
        source = open_source(server.url("cam"), open_timeout_s=10.0, read_timeout_s=0.4)
        frame = source.read()
        source.close()

    assert number_in(frame.image) == 0


def test_a_reader_that_fell_behind_goes_on_with_what_is_new(clip_path):
    with RtspServer({"cam": clip_path}) as server:
        source = open_source(server.url("cam"))
        late = Camera("cam", server.url("cam"), opener=lambda *args, **settings: source)
        first = [source.read() for _ in range(10)]
        time.sleep(3.0)
        late.start()
        frame = next_frame(late)
        skipped = late.ledger.counts().skipped
        age_s = time.monotonic() - server.sent_at[first[-1].index + 1 + skipped]
        late.stop()

    # Some 45 pictures wait; all are booked, and what comes next is as new as a key frame can be.
    assert skipped > 25
    assert number_in(frame.image) == (10 + frame.index) % 30
    assert age_s < 1.5


def test_a_frame_that_waited_is_stamped_when_its_data_came(clip_path):
    with RtspServer({"cam": clip_path}) as server:
        source = open_source(server.url("cam"))
        for _ in range(10):
            source.read()
        time.sleep(1.0)
        frames = [source.read() for _ in range(5)]
        source.close()

    delays_s = [frame.captured_at - server.sent_at[frame.index] for frame in frames[1:]]
    assert max(delays_s) < 0.25


def told(pool: CameraPool, name: str) -> dict:
    return pool.get_statistics()[name]


def next_frame(camera: Camera) -> Frame:
    frame = camera.mailbox.take()
    assert frame is not None
    camera.ledger.settle(frame.index, "analysed")
    return frame
