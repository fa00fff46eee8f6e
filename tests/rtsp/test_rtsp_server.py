"""A film as a camera on the network: who comes late sees what is on then."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
from clips import number_in, write_clip

from toolkit.live.source import open_source
from toolkit.rtsp.server import RtspServer


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds, 15 pictures a second, a key frame every half second."""
    return write_clip(tmp_path_factory.mktemp("rtsp") / "numbered.mp4", frames=60)


def test_a_film_that_is_on_begins_with_the_next_key_frame(film: Path) -> None:
    with RtspServer({"cam": film}) as server:
        times_s = [seconds for seconds, _ in itertools.islice(server.pictures("cam", 4.9), 3)]

    # The second showing of four seconds; its key frames are 7 pictures apart.
    assert times_s == pytest.approx([4 + 14 / 15, 5.0, 5 + 1 / 15], abs=1e-3)


def test_a_client_sees_what_is_on_now(film: Path) -> None:
    began = time.monotonic() - 2.1
    with RtspServer({"cam": film}, live_since=began) as server:
        source = open_source(server.url("cam"))
        frame = source.read()
        source.close()

    assert frame is not None
    shown_s = number_in(frame.image) / 15
    assert 0.0 <= (frame.captured_at - began - shown_s) % 4.0 < 1.0


def test_without_that_each_client_sees_the_film_from_its_beginning(film: Path) -> None:
    with RtspServer({"cam": film}) as server:
        source = open_source(server.url("cam"))
        frame = source.read()
        source.close()

    assert frame is not None
    assert number_in(frame.image) == 0
