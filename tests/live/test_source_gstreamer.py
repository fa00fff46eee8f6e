"""The RTSP source against a server that shares no code with ours."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from waiting import wait_until

from toolkit.live.camera import Camera
from toolkit.live.camera_config import CameraConfig
from toolkit.live.source import open_source

_SERVER = Path(__file__).parent.parent / "gstreamer_rtsp_server.py"
_SYSTEM_PYTHON = "/usr/bin/python3"
_PROBE = "import gi; gi.require_version('GstRtspServer', '1.0')"


@pytest.fixture(autouse=True)
def needs_gstreamer() -> None:
    probe = subprocess.run([_SYSTEM_PYTHON, "-c", _PROBE], capture_output=True, check=False)
    if probe.returncode:
        reason = "needs GStreamer's RTSP server: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@contextlib.contextmanager
def gstreamer_camera(codec: str = "h264", port: str = "0") -> Iterator[str]:
    """The address of a server that runs meanwhile."""
    with subprocess.Popen(
        [_SYSTEM_PYTHON, str(_SERVER), port, codec], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        yield server.stdout.readline().strip()
        server.kill()


def test_frames_of_a_gstreamer_camera_arrive_at_its_pace() -> None:
    with gstreamer_camera() as address:
        source = open_source(address)
        frames = [source.read() for _ in range(25)]
        source.close()

    assert source.size_wh == (320, 240)
    assert np.median(np.diff([frame.captured_at for frame in frames])) == pytest.approx(1 / 15, abs=0.03)
    # The ball moves and the rest is still, so a broken stream shows in the mean.
    changes = [np.abs(a.image.astype(int) - b.image).mean() for a, b in itertools.pairwise(frames)]
    assert 0.1 < np.median(changes) < 20


def test_a_camera_that_comes_back_with_another_codec_is_read_on() -> None:
    config = CameraConfig(retry=True, retry_first_s=0.05, retry_most_s=0.2)
    with gstreamer_camera("h264") as address:
        camera = Camera("ball", address, config)
        camera.start()
        wait_until(lambda: camera.ledger.counts().read > 5, 10)
    port = address.rpartition(":")[2].partition("/")[0]
    with gstreamer_camera("jpeg", port):
        seen_before = camera.ledger.counts().read
        wait_until(lambda: camera.ledger.counts().read > seen_before + 5, 10)
        told = camera.get_statistics()
        camera.stop()

    assert (told["state"], told["size_wh"]) == ("live", (320, 240))
    assert told["reconnects"] >= 1
