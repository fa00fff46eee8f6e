"""Sources: files, folders, cameras and addresses, and what they say when they fail."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clips import number_in, numbered_picture, write_clip
from fakes import FakeClock
from PIL import Image

from toolkit.errors import SourceError
from toolkit.live.recorded import FolderReel, RecordedSource, VideoReel
from toolkit.live.source import Source, open_source
from toolkit.live.usb import UsbSource
from toolkit.records import Frame
from toolkit.rtsp.server import RtspServer

# --- Recorded: nothing is lost ----------------------------------------------------------------------------


def test_a_video_file_delivers_every_frame_in_order_and_then_none(clip_path: Path) -> None:
    source = open_source(clip_path, camera="door")

    frames = _rest_of(source)

    assert [number_in(frame.image) for frame in frames] == list(range(30))
    assert [frame.index for frame in frames] == list(range(30))
    assert {frame.camera for frame in frames} == {"door"}
    assert source.read() is None


def test_a_frame_is_a_bgr_picture_of_its_own(clip_path: Path) -> None:
    source = open_source(clip_path)

    first, second = source.read(), source.read()
    first.image[:] = 0

    assert second.image.shape == (360, 640, 3)
    assert second.image.dtype == np.uint8
    assert number_in(second.image) == 1
    np.testing.assert_allclose(second.image[300, 300], (40, 160, 200), atol=12)
    source.close()


def test_a_file_tells_rate_size_and_media_time_and_is_not_live(clip_path: Path) -> None:
    source = open_source(str(clip_path))

    times_s = [frame.media_time_s for frame in _rest_of(source)]

    assert (source.fps, source.size_wh, source.is_live) == (15.0, (640, 360), False)
    assert times_s == pytest.approx([n / 15 for n in range(30)], abs=1e-6)


def test_an_animated_gif_keeps_the_duration_of_each_picture(tmp_path: Path) -> None:
    pictures = [Image.fromarray(numbered_picture(n, (160, 96))[:, :, ::-1]) for n in range(4)]
    path = tmp_path / "loop.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[100, 300, 50, 200])

    frames = _rest_of(open_source(path))

    assert [number_in(frame.image) for frame in frames] == [0, 1, 2, 3]
    assert [frame.media_time_s for frame in frames] == pytest.approx([0.0, 0.1, 0.4, 0.45])


def test_a_film_shot_sideways_is_turned_upright(clip_path: Path, tmp_path: Path) -> None:
    path = _turned_by_90(clip_path, tmp_path / "phone.mp4")

    source = open_source(path)
    frame = source.read()
    source.close()

    is_read, expected = cv2.VideoCapture(str(path)).read()
    assert is_read
    assert source.size_wh == (360, 640)
    np.testing.assert_array_equal(frame.image, expected)


def test_stamps_of_an_avi_grow_evenly(data_dir: Path) -> None:
    source = open_source(data_dir / "videos" / "campus-people-360p.avi")

    times_s = [source.read().media_time_s for _ in range(20)]
    source.close()

    assert np.diff(times_s) == pytest.approx([0.1] * 19)


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        cv2.imwrite(str(tmp_path / f"shot{number}.png"), numbered_picture(number, (160, 96)))
    (tmp_path / "notes.txt").write_text("not a picture")

    frames = _rest_of(open_source(tmp_path))

    assert [number_in(frame.image) for frame in frames] == [1, 2, 10]


def test_one_picture_is_a_source_of_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "still.jpg"
    cv2.imwrite(str(path), numbered_picture(5))

    frames = _rest_of(open_source(path))

    assert [number_in(frame.image) for frame in frames] == [5]


def test_a_loop_goes_on_counting(clip_path: Path) -> None:
    source = open_source(clip_path, loop=True)

    frames = [source.read() for _ in range(65)]
    source.close()

    assert [number_in(frame.image) for frame in frames] == [n % 30 for n in range(65)]
    assert [frame.index for frame in frames] == list(range(65))
    assert [frame.media_time_s for frame in frames] == pytest.approx([n / 15 for n in range(65)], abs=1e-6)


def test_damage_in_the_middle_is_skipped_and_counted(clip_path: Path, tmp_path: Path) -> None:
    data = bytearray(clip_path.read_bytes())
    middle = data.find(b"mdat") + 8000
    data[middle : middle + 4000] = bytes(4000)
    path = tmp_path / "hole.mp4"
    path.write_bytes(data)

    source = open_source(path)
    numbers = [number_in(frame.image) for frame in _rest_of(source)]

    assert source.corrupt_packets > 0
    assert len(numbers) < 30
    assert numbers[0] == 0
    assert numbers[-1] == 29


def test_a_title_that_is_not_unicode_does_no_harm(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "titled.mkv", frames=3)
    data = path.read_bytes()
    assert b"Lavf" in data
    path.write_bytes(data.replace(b"Lavf", b"\xa6avf"))

    assert len(_rest_of(open_source(path))) == 3


def test_a_recorded_frame_is_stamped_before_it_is_decoded(clip_path: Path) -> None:
    source = open_source(clip_path)

    asked_at = time.monotonic()
    frame = source.read()
    got_at = time.monotonic()
    source.close()

    assert asked_at <= frame.captured_at < asked_at + (got_at - asked_at) / 2


# --- Recorded, shown as if live ----------------------------------------------------------------------------


def test_realtime_keeps_the_pace_of_the_film(clip_path: Path) -> None:
    source = open_source(clip_path, realtime=True)

    frames = [source.read() for _ in range(12)]
    took_s = time.monotonic() - frames[0].captured_at
    source.close()

    assert source.is_live
    assert 11 / 15 <= took_s < 11 / 15 + 0.5
    stamps_s = [frame.captured_at - frames[0].captured_at for frame in frames]
    assert stamps_s == pytest.approx([n / 15 for n in range(12)], abs=1e-6)


def test_a_late_reader_gets_old_frames_with_their_old_stamps(tmp_path: Path) -> None:
    clock = FakeClock(now=50.0)
    source = _folder_at_25_per_s(tmp_path, clock, pictures=4)
    source.read()

    clock.advance(0.9)
    stamps = [source.read().captured_at for _ in range(3)]

    assert stamps == pytest.approx([50.04, 50.08, 50.12])


def test_pictures_of_a_folder_that_are_more_than_a_second_late_are_let_go_and_counted(tmp_path: Path) -> None:
    clock = FakeClock(now=50.0)
    source = _folder_at_25_per_s(tmp_path, clock, pictures=40)
    source.read()

    clock.advance(1.5)
    late = source.read()

    assert late.captured_at == pytest.approx(50.52, abs=0.021)
    assert source.health().stale_pictures == round((late.captured_at - 50.0) * 25) - 1


def test_a_film_that_is_decoded_too_late_goes_on_at_the_next_key_frame_that_is_not(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "film.mp4", frames=60)
    clock = FakeClock(now=50.0)
    source = open_source(path, realtime=True, clock=clock)
    source.read()

    clock.advance(2.5)
    late = source.read()
    source.close()

    # Every seventh of 15 pictures a second is a key frame; 28 is the first that is due 1.5 s after the first.
    assert number_in(late.image) == 28
    assert late.captured_at == pytest.approx(50.0 + 28 / 15)
    assert source.health().stale_pictures == 27


def test_a_showing_that_ends_late_lasts_as_long_as_any_and_the_next_one_is_whole(clip_path: Path) -> None:
    reel = VideoReel(clip_path, low_latency=True)

    seen_s = [media_time_s for media_time_s, _ in reel.show(lambda due_s: 1.5 if due_s > 1.0 else 0.0)]
    duration_s = reel.duration_s
    again_s = [media_time_s for media_time_s, _ in reel.show(lambda due_s: 0.0)]

    assert seen_s == pytest.approx([n / 15 for n in range(16)], abs=1e-6)
    assert duration_s == pytest.approx(30 / 15)
    assert again_s == pytest.approx([n / 15 for n in range(30)], abs=1e-6)


def test_closing_ends_a_wait_for_the_next_frame_at_once(tmp_path: Path) -> None:
    source = _folder_at_25_per_s(tmp_path, FakeClock(), pictures=2)
    source.read()

    # The clock stands still, so the second frame never falls due.
    read, took_s = _closed_while_reading(source)

    assert read is None
    assert took_s < 1.0


def test_closing_twice_and_reading_afterwards_is_harmless(clip_path: Path) -> None:
    source = open_source(clip_path)
    source.read()

    source.close()
    source.close()

    assert source.read() is None


# --- Cameras on the network --------------------------------------------------------------------------------


def test_an_rtsp_camera_delivers_its_frames_as_they_come(clip_path: Path) -> None:
    with RtspServer({"door": clip_path}) as server:
        source = open_source(server.url("door"), camera="door")
        frames = [source.read() for _ in range(35)]
        source.close()

    assert [number_in(frame.image) for frame in frames] == [n % 30 for n in range(35)]
    assert (source.is_live, source.fps, source.size_wh) == (True, 15.0, (640, 360))
    gaps_s = np.diff([frame.captured_at for frame in frames[2:]])
    assert np.median(gaps_s) == pytest.approx(1 / 15, abs=0.03)
    assert frames[-1].media_time_s - frames[4].media_time_s == pytest.approx(30 / 15, abs=0.01)


def test_an_rtsp_frame_is_stamped_when_its_data_came(clip_path: Path) -> None:
    with RtspServer({"door": clip_path}) as server:
        source = open_source(server.url("door"))
        stamps = {number_in(frame.image): frame.captured_at for frame in (source.read() for _ in range(12))}
        source.close()

    delays_s = [stamps[number] - server.sent_at[number] for number in range(2, 12)]
    assert 0 <= np.median(delays_s) < 0.03


def test_rtsp_credentials_open_the_door_and_stay_secret(clip_path: Path) -> None:
    with RtspServer({"door": clip_path}, credentials=("ada", "s3cret")) as server:
        source = open_source(server.url("door", userinfo="ada:s3cret"))
        frame = source.read()
        source.close()
        with pytest.raises(SourceError, match="401") as refusal:
            open_source(server.url("door", userinfo="ada:wr0ng"))

    assert number_in(frame.image) == 0
    assert "s3cret" not in source.address
    assert "wr0ng" not in str(refusal.value)


def test_a_camera_that_is_switched_off_ends_the_stream(clip_path: Path) -> None:
    with RtspServer({"door": clip_path}) as server:
        source = open_source(server.url("door"), read_timeout_s=2.0)
        source.read()
        server.drop_clients()
        frames, took_s = _frames_until_the_end(source)

    assert len(frames) <= 3
    assert took_s < 2.0


def test_a_camera_that_freezes_is_an_error_within_the_read_timeout(clip_path: Path) -> None:
    with RtspServer({"door": clip_path}) as server:
        source = open_source(server.url("door"), read_timeout_s=0.6)
        source.read()
        server.is_frozen.set()
        with pytest.raises(SourceError, match=r"no answer within 0\.6 s"):
            _frames_until_the_end(source)
        source.close()


def test_closing_ends_a_read_from_a_frozen_camera_within_the_read_timeout(clip_path: Path) -> None:
    with RtspServer({"door": clip_path}) as server:
        source = open_source(server.url("door"), read_timeout_s=1.0)
        server.is_frozen.set()
        source.read()

        read, took_s = _closed_while_reading(source)

    assert read is None
    assert took_s < 1.5


def test_a_camera_that_streams_jpegs_over_http_is_read(jpeg_camera: str) -> None:
    source = open_source(jpeg_camera, read_timeout_s=0.5)

    frames = [source.read() for _ in range(10)]
    with pytest.raises(SourceError, match="no answer"):
        source.read()
    source.close()

    assert [number_in(frame.image) for frame in frames] == list(range(10))
    assert source.is_live
    assert {frame.media_time_s for frame in frames} == {None}


# --- Cameras of this machine -------------------------------------------------------------------------------


def test_a_usb_camera_delivers_frames_stamped_when_grabbed(clip_path: Path) -> None:
    # OpenCV reads a file through the same class as a camera.
    source = UsbSource("desk", cv2.VideoCapture(str(clip_path)), "0")

    before = time.monotonic()
    frames = [source.read() for _ in range(3)]
    source.close()

    assert [number_in(frame.image) for frame in frames] == [0, 1, 2]
    assert before <= frames[0].captured_at <= frames[1].captured_at <= time.monotonic()
    assert (source.is_live, source.fps) == (True, 15.0)
    assert source.read() is None


@pytest.mark.parametrize("address", [97, "97", "/dev/video97"])
def test_a_missing_usb_camera_is_told_quickly_and_quietly(
    address: str | int, capfd: pytest.CaptureFixture[str]
) -> None:
    started_at = time.monotonic()

    with pytest.raises(SourceError, match="camera 97"):
        open_source(address)

    assert time.monotonic() - started_at < 2.0
    assert capfd.readouterr().err == ""


# --- What cannot be opened says why ------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no such file or folder: .*gone\.mp4"):
        open_source(tmp_path / "gone.mp4")


def test_a_file_whose_name_begins_with_a_tilde_is_no_home_of_somebody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("~door.png", np.zeros((4, 6, 3), np.uint8))

    with closing(open_source("~door.png")) as source:
        assert source.size_wh == (6, 4)
    with pytest.raises(SourceError, match=r"no such file or folder: .*~gone\.mp4"):
        open_source("~gone.mp4")


def test_a_folder_without_pictures_says_which_endings_count(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no picture in the folder .*\.png"):
        open_source(tmp_path)


@pytest.mark.parametrize("content", [b"", b"P6 40000 40000 255 "], ids=["empty", "claims a billion pixels"])
def test_an_unreadable_picture_in_a_folder_is_named(tmp_path: Path, content: bytes) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), numbered_picture(1))
    (tmp_path / "2.png").write_bytes(content)
    source = open_source(tmp_path)
    source.read()

    with pytest.raises(SourceError, match=r"2\.png is not a picture"):
        source.read()


@pytest.mark.parametrize("name", ["notes.txt", "film.mp4"])
def test_a_text_is_not_a_video(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("Once upon a time.\n" * 200)

    with pytest.raises(SourceError, match=r"not a video|no video"):
        open_source(tmp_path / name)


def test_a_sound_file_is_not_a_video(tmp_path: Path) -> None:
    path = _write_sound(tmp_path / "song.wav")

    with pytest.raises(SourceError, match=r"no video in .*song"):
        open_source(path)


def test_a_file_cut_off_before_its_index_cannot_be_opened(clip_path: Path, tmp_path: Path) -> None:
    (tmp_path / "half.mp4").write_bytes(clip_path.read_bytes()[:8000])

    with pytest.raises(SourceError, match="complete"):
        open_source(tmp_path / "half.mp4")


def test_an_empty_file_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()

    with pytest.raises(SourceError, match="complete"):
        open_source(tmp_path / "empty.mp4")


def test_a_codec_that_ffmpeg_cannot_decode_is_told(clip_path: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.mp4").write_bytes(clip_path.read_bytes().replace(b"avc1", b"xyz1"))

    with pytest.raises(SourceError, match="no decoder"):
        open_source(tmp_path / "odd.mp4")


def test_a_folder_that_is_called_like_a_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "1.png").mkdir()

    with pytest.raises(SourceError, match=r"1\.png cannot be read"):
        open_source(tmp_path)


def test_a_path_the_camera_does_not_know_is_told_as_404(clip_path: Path) -> None:
    with RtspServer({"door": clip_path}) as server, pytest.raises(SourceError, match="404"):
        open_source(server.url("window"))


def test_an_address_where_nothing_listens_is_told(free_port: int) -> None:
    with pytest.raises(SourceError, match="nothing listens"):
        open_source(f"rtsp://ada:s3cret@127.0.0.1:{free_port}/door")


def test_an_unknown_host_is_told() -> None:
    with pytest.raises(SourceError, match="host"):
        open_source("rtsp://camera.invalid/door")


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_server_that_never_answers_is_given_up_in_time(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/door"
        started_at = time.monotonic()
        with pytest.raises(SourceError, match=r"no answer within 0\.5 s"):
            open_source(address, open_timeout_s=0.5)

    assert time.monotonic() - started_at < 2.0


def test_an_unknown_scheme_names_the_nearest_one() -> None:
    with pytest.raises(SourceError, match="did you mean 'rtsp'") as refusal:
        open_source("rstp://ada:s3cret@door.example/1")

    assert "s3cret" not in str(refusal.value)


# --- Helpers -----------------------------------------------------------------------------------------------


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def jpeg_camera() -> Iterator[str]:
    """Address of a camera that sends ten numbered JPEGs, 20 a second, and then falls silent."""
    is_over = threading.Event()

    class JpegCamera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
            self.end_headers()
            for number in range(10):
                jpeg = cv2.imencode(".jpg", numbered_picture(number))[1].tobytes()
                head = f"--part\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                time.sleep(0.05)
            is_over.wait(10.0)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), JpegCamera) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/video"
        is_over.set()
        server.shutdown()
        thread.join()


def _rest_of(source: Source) -> list[Frame]:
    frames = list(iter(source.read, None))
    source.close()
    return frames


def _frames_until_the_end(source: Source) -> tuple[list[Frame], float]:
    started_at = time.monotonic()
    frames = _rest_of(source)
    return frames, time.monotonic() - started_at


def _closed_while_reading(source: Source) -> tuple[Frame | None, float]:
    """What a waiting read returns when another thread closes the source, and how long after the close."""
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(source.read)
        time.sleep(0.1)
        closed_at = time.monotonic()
        source.close()
        return reading.result(timeout=10.0), time.monotonic() - closed_at


def _folder_at_25_per_s(folder: Path, clock: FakeClock, pictures: int) -> RecordedSource:
    for number in range(pictures):
        cv2.imwrite(str(folder / f"{number}.png"), numbered_picture(number, (160, 96)))
    return RecordedSource("desk", str(folder), FolderReel(folder), realtime=True, clock=clock)


def _turned_by_90(clip: Path, target: Path) -> Path:
    """The same film, noted as shot sideways as phones do (ISO 14496-12, section 8.3.2)."""
    data = bytearray(clip.read_bytes())
    matrix_at = data.find(b"tkhd") + 4 + 40
    struct.pack_into(">9i", data, matrix_at, 0, 1 << 16, 0, -1 << 16, 0, 0, 360 << 16, 0, 1 << 30)
    target.write_bytes(data)
    return target


def _write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
