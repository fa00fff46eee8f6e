"""Cameras on the network: RTSP, RTMP and HTTP, with a bound on every wait."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import av

from toolkit.addresses import without_password
from toolkit.errors import SourceError
from toolkit.live.codec import VideoDecoder, open_container, silence
from toolkit.live.reading import InterruptibleSource, Picture

# FFmpeg by habit probes an RTSP stream for two seconds, and then delivers those in one burst of old pictures.
# The stream's description tells all that is needed: without probing it opens in 0.07 instead of 1.9 s, and no
# picture is lost. TCP, because a lost UDP packet smears the picture.
_RTSP_OPTIONS = {"rtsp_transport": "tcp", "probesize": "32", "fpsprobesize": "0"}

# Over RTSP, FFmpeg sees the end of such a picture only when the next one begins.
_CODECS_CUT_LATE = {"h264", "hevc"}


class NetworkSource(InterruptibleSource):
    """A network stream; its frames are stamped when their packet arrived.

    ``close`` takes effect with the next packet, at the latest after ``read_timeout_s``: FFmpeg gives no other
    way into a wait.

    Args:
        camera: name that the frames carry.
        url: address with scheme, and with user and password where the camera wants them.
        open_timeout_s: how long opening may take.
        read_timeout_s: how long the stream may stay silent.
        clock: monotonic seconds.

    Raises:
        SourceError: it cannot be opened, or has no video.
    """

    is_live = True

    def __init__(
        self,
        camera: str,
        url: str,
        *,
        open_timeout_s: float = 5.0,
        read_timeout_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(camera, url)
        is_rtsp = url.lower().startswith("rtsp")
        # When an RTSP stream falls silent, the first timeout brings out the picture that waited for the next
        # one, and only the second one is an error.
        timeouts_s = (open_timeout_s, read_timeout_s / 2 if is_rtsp else read_timeout_s)
        self._container = open_container(url, options=_RTSP_OPTIONS if is_rtsp else {}, timeouts_s=timeouts_s)
        self._read_timeout_s = read_timeout_s
        self._clock = clock
        self._decoder = VideoDecoder(self._container, low_latency=True)
        self._packets = self._decoder.packets()
        self._decoded: deque[tuple[float, av.VideoFrame]] = deque()
        self._is_cut_late = is_rtsp and self._decoder.codec in _CODECS_CUT_LATE
        self._last_packet_at: float | None = None
        self.fps = self._decoder.fps

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels; (0, 0) while the stream has not told them."""
        return self._decoder.size_wh

    @property
    def corrupt_packets(self) -> int:
        """Damaged packets met so far; what could not be decoded of them was left out."""
        return self._decoder.corrupt_packets

    def _next_picture(self) -> Picture | None:
        while not self._decoded:
            packet = self._next_packet()
            if packet is None or self._closing.is_set():
                return None
            arrived_at = self._arrival()
            self._decoded.extend((arrived_at, frame) for frame in self._decoder.decode(packet))
        captured_at, frame = self._decoded.popleft()
        return Picture(captured_at, self._decoder.frame_time_s(frame), self._decoder.to_bgr(frame))

    def _arrival(self) -> float:
        """When the data of the packet just read came in; one cut late, when the one before it came out."""
        now = self._clock()
        last, self._last_packet_at = self._last_packet_at, now
        return last if self._is_cut_late and last is not None else now

    def _next_packet(self) -> av.Packet | None:
        try:
            return next(self._packets, None)
        except av.FFmpegError as error:
            if self._closing.is_set():
                return None
            is_silent = isinstance(error, av.ExitError | av.TimeoutError)
            reason = silence(self._read_timeout_s) if is_silent else without_password(str(error))
            raise SourceError(f"{self.address} stopped: {reason}") from error

    def _release(self) -> None:
        self._container.close()
