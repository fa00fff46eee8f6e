"""Addresses without their passwords."""

import pytest

from toolkit.addresses import without_password


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://admin:12345@door.example/1", "rtsp://***@door.example/1"),
        ("redis://:s3cret@host:6379/0", "redis://***@host:6379/0"),
        ("rtsp://user:p@ss:w@rd@host/x", "rtsp://***@host/x"),
        ("http://host/video?user=a&password=geheim&fps=5", "http://host/video?user=a&password=***&fps=5"),
        ("cannot open rtsp://a:b@h/1 or rtsp://c:d@h/2", "cannot open rtsp://***@h/1 or rtsp://***@h/2"),
        ("rtsp://door.example/1", "rtsp://door.example/1"),
        ("/videos/a@b.mp4", "/videos/a@b.mp4"),
    ],
)
def test_a_password_is_never_shown(address, shown):
    assert without_password(address) == shown
