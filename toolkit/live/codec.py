"""Packets to pictures: FFmpeg's demuxers and decoders through PyAV, faults named."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Mapping
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition

from toolkit.addresses import without_password
from toolkit.errors import SourceError
from toolkit.live.http_body import HttpBody
from toolkit.live.pixels import Converter, YuvPixels, is_planar
from toolkit.records import Pixels

# FFmpeg shows a text file as a film of a terminal.
_NOT_VIDEO_FORMATS = {"tty"}

# AVI stores no presentation stamps, and FFmpeg's guesses jump back and forth. A multipart stream of JPEGs
# has no stamps at all: FFmpeg counts at 25 a second, whatever the camera does.
_STAMPS = {"avi": "dts", "mpjpeg": None}

_REASONS: dict[type[Exception], str] = {
    av.HTTPUnauthorizedError: "it refuses this user and password (401); write scheme://user:password@host/...",
    av.HTTPForbiddenError: "it forbids this (403); ask whoever runs it for access",
    av.HTTPNotFoundError: "it has nothing under that name (404); check the path of the address",
    av.ConnectionRefusedError: "nothing listens there; check host and port, and that the camera is on",
    av.PermissionError: "reading it is not permitted; check the rights of the file",
    av.EOFError: "it ends before its first picture; check that it is complete",
    av.InvalidDataError: "it is not a video FFmpeg can read; check that it is complete and plays elsewhere",
    av.ProtocolNotFoundError: "this build of FFmpeg does not speak that protocol; use rtsp:// or http://",
}


def open_container(
    address: str,
    *,
    options: Mapping[str, str] | None = None,
    timeouts_s: tuple[float, float | None] | None = None,
    body: HttpBody | None = None,
) -> InputContainer:
    """Open ``address`` for reading and make sure that it holds moving pictures.

    Args:
        address: a path or URL.
        options: FFmpeg's options for the demuxer.
        timeouts_s: how long opening, and each read, may take; the latter may have its limit in ``options``.
        body: what to read instead of asking for the address.

    Raises:
        SourceError: it cannot be opened, or has no video in it; the text says what to do.
    """
    # PyAV rather than OpenCV: 227..236 against 186..190 BGR pictures/s of 1080p on one core, and it tells
    # time stamps, damaged packets and the reason of a failure, where cv2.VideoCapture.read() says False.
    asked_at = time.monotonic()
    try:
        # A title in an unknown alphabet, or damaged, is no reason to refuse the pictures.
        container = av.open(
            body or address, "r", options=dict(options or {}), timeout=timeouts_s, metadata_errors="replace"
        )
    except (av.FFmpegError, OSError) as error:
        # Not told by the error: some of FFmpeg's protocols report a timeout as invalid data.
        is_late = timeouts_s is not None and time.monotonic() - asked_at >= timeouts_s[0]
        reason = silence(timeouts_s[0]) if timeouts_s and is_late else _why(error)
        raise SourceError(f"cannot open {without_password(address)}: {reason}") from error
    if container.format.name in _NOT_VIDEO_FORMATS or not _moving_streams(container):
        container.close()
        kind = "text" if container.format.name in _NOT_VIDEO_FORMATS else container.format.long_name
        raise SourceError(
            f"no video in {without_password(address)}: it is {kind}; name a file with moving pictures"
        )
    # PyAV has no context for a codec that this FFmpeg was built without, or that nobody knows.
    if _moving_streams(container)[0].codec_context is None:
        container.close()
        raise SourceError(
            f"cannot decode {without_password(address)}: FFmpeg knows no decoder; convert it to H.264"
        )
    return container


def silence(waited_s: float) -> str:
    """What to say, and to do, when nothing came for ``waited_s`` seconds."""
    return f"no answer within {waited_s:g} s; check the address and the network, or allow more time"


def _why(error: Exception) -> str:
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return reason
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return "its host is unknown or cannot be reached; check the host name and the network"
    return f"{without_password(str(error))}; check the address"


class VideoDecoder:
    """The pictures of a container's first video stream, in the order they are shown.

    Args:
        container: an open container with a video stream in it.
        low_latency: hand each picture out with its own packet. Otherwise several pictures are decoded at
            once: faster in total, but each comes out that many packets late.
        threads: FFmpeg's for that; None takes as many as there are cores. One is best where there are as many
            cameras as cores.

    Attributes:
        corrupt_packets: packets that were damaged; what could not be decoded was left out.
    """

    def __init__(self, container: InputContainer, *, low_latency: bool, threads: int | None = None) -> None:
        self._container = container
        self._stream = _moving_streams(container)[0]
        if low_latency:
            # One thread: cameras send a picture in one slice, so that more have nothing to do, and only
            # a decoder of one thread tells, and mends, what a lost packet did to a picture.
            self._stream.codec_context.thread_count = 1
        else:
            self._stream.thread_type = "AUTO"
            self._stream.codec_context.thread_count = threads or 0
        # For all frames; a frame's own to_ndarray() would build the tables each time.
        self._convert, self._shrink = Converter(), Converter()
        self._stamp = _STAMPS.get(container.format.name, "pts")
        self._first_stamp: int | None = None
        # A float: fractions cost ten microseconds a sum.
        self._tick_s = None if self._stream.time_base is None else float(self._stream.time_base)
        self.corrupt_packets = 0

    @property
    def fps(self) -> float | None:
        """Pictures a second as the container tells it."""
        rate = self._stream.average_rate or self._stream.codec_context.framerate
        return float(rate) if rate else None

    @property
    def codec(self) -> str:
        """FFmpeg's name of the codec, such as ``h264``."""
        return self._stream.codec_context.name

    @property
    def has_stamps(self) -> bool:
        """Whether the container tells when a picture is to be shown; JPEGs one after another have no time."""
        return self._stamp is not None

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._stream.codec_context.width, self._stream.codec_context.height

    def packets(self) -> Iterator[av.Packet]:
        """The stream's packets, and an empty one at the end that brings out what the decoder still holds."""
        return self._container.demux(self._stream)

    def decode(self, packet: av.Packet) -> list[av.VideoFrame]:
        """The pictures this packet completes: none, one, or at the end several."""
        self.corrupt_packets += packet.is_corrupt
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            self.corrupt_packets += not packet.is_corrupt
            return []
        # What a decoder made up for lost slices is shown, and counted.
        self.corrupt_packets += not packet.is_corrupt and any(frame.is_corrupt for frame in frames)
        if frames and self._first_stamp is None:
            self._first_stamp = self._stamp_of(frames[0])
        return frames

    def packet_time_s(self, packet: av.Packet) -> float | None:
        """When this packet is to be decoded, in seconds since the first picture; None if nobody knows."""
        return self._seconds(packet.dts)

    def packet_end_s(self, packet: av.Packet) -> float:
        """When what this packet shows is over, in seconds since the first picture; 0 if nobody knows."""
        begins_s = self._seconds(packet.dts if packet.pts is None or self._stamp == "dts" else packet.pts)
        return 0.0 if begins_s is None else begins_s + (packet.duration or 0) * (self._tick_s or 0.0)

    def frame_time_s(self, frame: av.VideoFrame) -> float | None:
        """When this picture is to be shown, in seconds since the first picture; None if nobody knows."""
        return self._seconds(self._stamp_of(frame))

    def frame_duration_s(self, frame: av.VideoFrame) -> float:
        """How long this picture is shown."""
        if frame.duration and self._tick_s:
            return frame.duration * self._tick_s
        return 1.0 / (self.fps or 25.0)

    def to_pixels(self, frame: av.VideoFrame) -> np.ndarray | Pixels:
        """The picture, converted when somebody looks at it where that can be put off."""
        return YuvPixels(frame, self.to_bgr, self._shrink) if is_planar(frame) else self.to_bgr(frame)

    def to_bgr(self, frame: av.VideoFrame) -> np.ndarray:
        """The picture as (H, W, 3), uint8, BGR, the way up it was filmed; any thread may ask."""
        image = self._convert(frame, "bgr24").to_ndarray()
        return np.ascontiguousarray(np.rot90(image, frame.rotation // 90)) if frame.rotation else image

    def _stamp_of(self, frame: av.VideoFrame) -> int | None:
        return getattr(frame, self._stamp) if self._stamp else None

    def _seconds(self, stamp: int | None) -> float | None:
        if stamp is None or self._first_stamp is None or self._tick_s is None:
            return None
        return (stamp - self._first_stamp) * self._tick_s


def _moving_streams(container: InputContainer) -> list[Any]:
    """Video streams that are not the cover picture of a song."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
