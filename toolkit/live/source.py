"""Where frames come from: one call opens a file, a folder, a camera or an address."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from toolkit.addresses import without_password
from toolkit.errors import SourceError, did_you_mean
from toolkit.live.network import NetworkSource, Transport
from toolkit.live.reading import SourceHealth
from toolkit.live.recorded import PICTURE_SUFFIXES, FolderReel, RecordedSource, Reel, VideoReel
from toolkit.live.usb import UsbSource, open_usb_capture
from toolkit.records import Frame
from toolkit.schemes import opener_of

Address = str | int | Path
"""What :func:`open_source` opens."""

NETWORK_SCHEMES = frozenset({"http", "https", "rtmp", "rtmps", "rtsp", "rtsps"})

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_USB = re.compile(r"(?:/dev/video)?(\d+)")


class Source(Protocol):
    """Anything that delivers frames, one ``read`` at a time.

    Attributes:
        address: where the frames come from, without its password.
        is_live: pictures come when they come, a slow reader wants the newest; otherwise nothing may be lost.
        fps: frames a second as the source tells it; None if it does not.
        size_wh: width and height in pixels; (0, 0) while a network stream has not told them.
    """

    @property
    def address(self) -> str: ...

    @property
    def is_live(self) -> bool: ...

    @property
    def fps(self) -> float | None: ...

    @property
    def size_wh(self) -> tuple[int, int]: ...

    def read(self) -> Frame | None:
        """The next frame, waiting for it; None at the end, and after ``close``.

        Raises:
            SourceError: the source fell silent, or cannot be read on.
        """

    def health(self) -> SourceHealth:
        """How it has fared since it was opened."""

    def close(self) -> None:
        """End a waiting ``read`` and free what is open; any thread may call it, any number of times."""


def open_source(
    address: Address,
    camera: str = "camera",
    *,
    realtime: bool = False,
    loop: bool = False,
    open_timeout_s: float = 5.0,
    read_timeout_s: float = 5.0,
    transport: Transport = "tcp",
    decode_threads: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Source:
    """Open a source of frames.

    Args:
        address: a video file or animated GIF; a folder of pictures, or one picture; the number of a camera of
            this machine (``0``, ``"0"``, ``"/dev/video0"``); an ``rtsp://``, ``rtmp://`` or ``http://``
            address; a scene (``scene:hall?persons=6``).
        camera: name that the frames carry.
        realtime: show something recorded at its own pace, as a live camera would. Cameras are live anyway.
        loop: start something recorded over at its end.
        open_timeout_s: how long a camera may take to open.
        read_timeout_s: how long an open camera may stay silent.
        transport: how an RTSP camera is to send: "tcp", or "udp" for one that knows nothing else.
        decode_threads: FFmpeg's threads for a video file; None takes as many as there are cores. A camera's
            frames are decoded one by one, as they come.
        clock: monotonic seconds, the time base of ``captured_at``.

    Returns:
        An open source; close it after use.

    Raises:
        SourceError: it cannot be opened; the text says why and what to do, without the password.
    """
    text = str(address)
    if opener := opener_of(text):
        settings = {"realtime": realtime, "loop": loop, "decode_threads": decode_threads, "clock": clock}
        return opener(text, camera=camera, **settings)
    if usb := _USB.fullmatch(text):
        capture = open_usb_capture(int(usb[1]), read_timeout_s)
        return UsbSource(camera, capture, text, clock=clock)
    if scheme := _SCHEME.match(text):
        _check_scheme(scheme[1].lower(), text)
        return NetworkSource(
            camera,
            text,
            open_timeout_s=open_timeout_s,
            read_timeout_s=read_timeout_s,
            transport=transport,
            clock=clock,
        )
    path = Path(os.path.expanduser(text))  # Path's own raises where "~name" is no user's
    if not path.exists():
        raise SourceError(f"no such file or folder: {path.absolute()}; check its spelling")
    reel: Reel
    if path.is_dir() or path.suffix.lower() in PICTURE_SUFFIXES:
        reel = FolderReel(path)
    else:
        reel = VideoReel(path, low_latency=realtime, decode_threads=decode_threads)
    return RecordedSource(camera, text, reel, realtime=realtime, loop=loop, clock=clock)


def is_live_address(address: Address) -> bool:
    """Whether the address names a camera that may be away now and back later: on the network, or USB."""
    text = str(address)
    scheme, is_url, _ = text.partition("://")
    return scheme.lower() in NETWORK_SCHEMES if is_url else text.isdigit() or text.startswith("/dev/video")


def check_recordings(addresses: Iterable[Address]) -> None:
    """Open and close every file and folder among the addresses; cameras are left alone.

    Raises:
        SourceError: one cannot be opened.
    """
    for address in addresses:
        if not is_live_address(address):
            open_source(address).close()


def _check_scheme(scheme: str, address: str) -> None:
    if scheme not in NETWORK_SCHEMES:
        hint = did_you_mean(scheme, NETWORK_SCHEMES)
        raise SourceError(f"{without_password(address)}: no camera speaks {scheme!r}; {hint}")
