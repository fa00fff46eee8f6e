"""The RTSP source against a server that shares no code with ours."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from toolkit.live.source import open_source

_SERVER = Path(__file__).parent.parent / "gstreamer_rtsp_server.py"
_SYSTEM_PYTHON = "/usr/bin/python3"
_PROBE = "import gi; gi.require_version('GstRtspServer', '1.0')"


@pytest.fixture
def gstreamer_address() -> Iterator[str]:
    probe = subprocess.run([_SYSTEM_PYTHON, "-c", _PROBE], capture_output=True, check=False)
    if probe.returncode:
        reason = "needs GStreamer's RTSP server: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with subprocess.Popen(
        [_SYSTEM_PYTHON, str(_SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        yield server.stdout.readline().strip()
        server.stdin.close()
        server.wait(10.0)


def test_frames_of_a_gstreamer_camera_arrive_at_its_pace(gstreamer_address: str) -> None:
    source = open_source(gstreamer_address)

    frames = [source.read() for _ in range(25)]
    source.close()

    assert source.size_wh == (320, 240)
    assert np.median(np.diff([frame.captured_at for frame in frames])) == pytest.approx(1 / 15, abs=0.03)
    # The ball moves and the rest is still, so a broken stream shows in the mean.
    changes = [np.abs(a.image.astype(int) - b.image).mean() for a, b in itertools.pairwise(frames)]
    assert 0.1 < np.median(changes) < 20
