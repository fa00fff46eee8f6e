"""Cameras that answer over HTTP without an end, and films that have one."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import pytest
from clips import number_in, numbered_picture

from toolkit.errors import AccessRefused, SourceError
from toolkit.live.source import open_source

_PICTURES = 5

# So small that all of them lie in a socket's buffers.
_MANY, _SMALL_WH = 60, (160, 96)


class _Server(BaseHTTPRequestHandler):
    """What is asked for tells how it answers: ``/hang``, ``/chunked``, ``/Basic``, ``/moved``, a file, ..."""

    protocol_version = "HTTP/1.1"
    film = b""
    is_over, are_sent = threading.Event(), threading.Event()
    asked: list[str] = []  # noqa: RUF012 - emptied by the fixture

    def do_GET(self) -> None:
        self.asked.append(self.path)
        kind = self.path.strip("/")
        self.close_connection = True
        if kind == "moved":
            self._head(302, {"Location": "/hang", "Content-Length": "0"})
        elif kind in ("Basic", "Digest") and not self._may_enter(kind):
            self._head(401, {"WWW-Authenticate": f'{kind} realm="door", nonce="7"', "Content-Length": "0"})
        elif kind == "film.mp4":
            self._head(200, {"Content-Type": "video/mp4", "Content-Length": str(len(self.film))})
            self.wfile.write(self.film)
        else:
            # Who has seen enough leaves in the middle of a picture.
            with contextlib.suppress(ConnectionError):
                if kind == "many":
                    self._pictures(count=_MANY, size_wh=_SMALL_WH)
                else:
                    self._pictures(is_chunked=kind == "chunked")
            self.are_sent.set()
            if kind in ("hang", "many", "Basic", "Digest"):
                self.is_over.wait(30.0)

    def _pictures(
        self, is_chunked: bool = False, count: int = _PICTURES, size_wh: tuple[int, int] = (640, 360)
    ) -> None:
        headers = {"Content-Type": "multipart/x-mixed-replace; boundary=part"}
        self._head(200, headers | ({"Transfer-Encoding": "chunked"} if is_chunked else {}))
        for number in range(count):
            jpeg = cv2.imencode(".jpg", numbered_picture(number, size_wh))[1].tobytes()
            head = f"--part\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            part = head.encode() + jpeg + b"\r\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if is_chunked else part)
        if is_chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _may_enter(self, kind: str) -> bool:
        told = self.headers.get("Authorization", "")
        if kind == "Basic":
            return told == "Basic " + base64.b64encode(b"ada:s3@cret").decode()
        parts = [b"ada:door:s3@cret", b"GET:/Digest"]
        ours = ":".join([_md5(parts[0]), "7", _md5(parts[1])]).encode()
        return re.findall(r'response="(\w+)"', told) == [_md5(ours)]

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def _md5(text: bytes) -> str:
    return hashlib.md5(text).hexdigest()


@pytest.fixture
def server(clip_path: Path) -> Iterator[str]:
    """Address of a :class:`_Server`."""
    _Server.film = clip_path.read_bytes()
    _Server.is_over.clear()
    _Server.are_sent.clear()
    _Server.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        _Server.is_over.set()
        running.shutdown()
        thread.join()


def test_closing_ends_a_read_from_a_camera_that_hangs_at_once(server: str) -> None:
    source = open_source(f"{server}/hang", read_timeout_s=30.0)
    for _ in range(_PICTURES):
        assert source.read() is not None

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(source.read)
        time.sleep(0.1)
        source.close()

        assert reading.result(timeout=5.0) is None


def test_a_camera_that_hangs_is_an_error_within_the_read_timeout(server: str) -> None:
    source = open_source(f"{server}/hang", read_timeout_s=0.3)

    with pytest.raises(SourceError, match=r"no answer within 0\.3 s"):
        list(iter(source.read, None))
    source.close()


@pytest.mark.parametrize("way", ["chunked", "ends", "moved"])
def test_every_picture_comes_out_whichever_way_they_are_sent(server: str, way: str) -> None:
    source = open_source(f"{server}/{way}", read_timeout_s=30.0)

    pictures = [source.read() for _ in range(_PICTURES)]
    source.close()

    assert None not in pictures
    assert len(_Server.asked) == (2 if way == "moved" else 1)


def test_a_reader_that_lags_lets_pictures_go_that_newer_ones_lie_behind(server: str) -> None:
    source = open_source(f"{server}/many", read_timeout_s=30.0)
    assert _Server.are_sent.wait(10.0)

    numbers: list[int] = []
    while _MANY - 1 not in numbers:
        numbers.append(number_in(source.read().image))
    source.close()

    assert numbers[:12] == list(range(12)), "a hiccup is decoded through"
    assert source.health().stale_pictures == _MANY - len(numbers) > _MANY / 2


def test_a_camera_that_ends_its_answer_ends_the_source(server: str) -> None:
    source = open_source(f"{server}/ends", read_timeout_s=30.0)

    assert len(list(iter(source.read, None))) == _PICTURES

    source.close()


def test_a_film_with_an_end_is_left_to_ffmpeg(server: str) -> None:
    source = open_source(f"{server}/film.mp4")

    assert len(list(iter(source.read, None))) == 30

    source.close()


@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
def test_user_and_password_open_the_door_and_stay_secret(server: str, scheme: str) -> None:
    address = f"{server}/{scheme}".replace("//", "//ada:s3%40cret@", 1)
    source = open_source(address)

    assert source.read() is not None
    source.close()
    with pytest.raises(AccessRefused) as refusal:
        open_source(address.replace("s3%40cret", "wr0ng"))
    assert "wr0ng" not in str(refusal.value)
