"""Cameras on the network: RTSP, RTMP and HTTP, with a bound on every wait."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Literal

import av
from av.container import InputContainer

from toolkit.addresses import without_password
from toolkit.errors import AccessRefused, SourceError
from toolkit.live.codec import VideoDecoder, open_container, silence
from toolkit.live.http_body import HttpBody, open_endless
from toolkit.live.media_clock import MediaClock
from toolkit.live.reading import InterruptibleSource, Picture, SourceHealth

Transport = Literal["tcp", "udp"]
"""How an RTSP camera sends its pictures."""

# FFmpeg by habit probes an RTSP stream for two seconds, and then delivers those in one burst of old pictures.
# The stream's description tells all that is needed: without probing it opens in 0.07 instead of 1.9 s, and no
# picture is lost.
_RTSP_OPTIONS = {"probesize": "32", "fpsprobesize": "0"}

# Over RTSP, FFmpeg sees the end of such a picture only when the next one begins.
_CODECS_CUT_LATE = {"h264", "hevc"}

# RTSP can be read on after a wait that was broken off, so it is broken off that often to see whether the
# source was closed. HTTP cannot. FFmpeg itself breaks it off: PyAV's own limit asks Python for the time at
# each of some sixty looks at the network for a picture, and beside two threads busy in Python four cameras
# of 25 pictures a second gave 16.
_LOOK_UP_S = 1.0

# Key frames of thrifty cameras lie 10 to 20 s apart, and before the first one nothing can be decoded.
_NO_PICTURE_S = 30.0

# A hiccup shorter than that is decoded through; a reader that cannot keep up falls no further behind.
_MOST_BEHIND_S = 2.0
_WAITS_IN_A_ROW = 10

# JPEGs over HTTP have no stamps to be late by. When a newer one lies behind so many in a row, half a second
# at 25 a second, that is no hiccup but a reader that cannot keep up.
_OVERTAKEN_IN_A_ROW = 12


class NetworkSource(InterruptibleSource):
    """A network stream; its frames are stamped when their packet arrived.

    ``close`` takes effect at once for an HTTP camera whose answer has no end (:mod:`toolkit.live.http_body`);
    else with the next packet, for RTSP at the latest after a second, for all others after
    ``read_timeout_s``: FFmpeg gives no other way into a wait.

    A reader that is slower than the camera would get ever older pictures. When they are two seconds old, all
    that wait are let go, undecoded, up to the next key frame after them. JPEGs over HTTP do not tell how old
    they are: after a dozen in a row that newer ones lay behind, those that newer ones lie behind are let go.

    Args:
        camera: name that the frames carry.
        url: address with scheme, and with user and password where the camera wants them.
        open_timeout_s: how long opening may take.
        read_timeout_s: how long the stream may stay silent.
        transport: of an RTSP stream. TCP, unless the camera knows only UDP: a lost packet smears the picture.
        clock: monotonic seconds.

    Raises:
        AccessRefused: it does not let this user in.
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
        transport: Transport = "tcp",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(camera, url)
        is_rtsp = url.lower().startswith("rtsp")
        self._clock = clock
        self._read_timeout_s = read_timeout_s
        self._body: HttpBody | None = None
        # When an RTSP stream falls silent, the first wait that is broken off brings out the picture that
        # waited for the next one, and only the second one is silence.
        self._wait_s = min(_LOOK_UP_S, read_timeout_s / 2) if is_rtsp else read_timeout_s
        try:
            if is_rtsp:
                self._container = self._open_rtsp(url, transport, open_timeout_s)
            elif url.lower().startswith("http:"):
                self._container = self._open_http(url, open_timeout_s)
            else:
                self._container = open_container(url, timeouts_s=(open_timeout_s, read_timeout_s))
        except SourceError as error:
            if isinstance(error.__cause__, av.HTTPUnauthorizedError | av.HTTPForbiddenError):
                raise AccessRefused(str(error)) from error.__cause__
            raise
        self._decoder = VideoDecoder(self._container, low_latency=True)
        self._packets = self._decoder.packets()
        self._decoded: deque[tuple[float, av.VideoFrame]] = deque()
        self._is_cut_late = is_rtsp and self._decoder.codec in _CODECS_CUT_LATE
        self._media_clock = MediaClock()
        self._silent_s = 0.0
        self._last_came_at: float | None = None
        self._last_stamp_s = 0.0
        self._waits_in_a_row = 0
        self._is_catching_up = False
        self._overtaken_in_a_row = 0
        self._stale_pictures = 0
        self.fps = self._decoder.fps

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels; (0, 0) while the stream has not told them."""
        return self._decoder.size_wh

    @property
    def corrupt_packets(self) -> int:
        """Damaged packets met so far; what could not be decoded of them was left out."""
        return self._decoder.corrupt_packets

    def health(self) -> SourceHealth:
        """See :class:`SourceHealth`."""
        clock = self._media_clock
        return SourceHealth(self.corrupt_packets, self._stale_pictures, clock.behind_s, clock.drift_ppm)

    def _open_rtsp(self, url: str, transport: Transport, open_timeout_s: float) -> InputContainer:
        """Open with the short wait that reading is to have; a camera that is slow to answer gets the rest."""
        asked_at = self._clock()

        def open_within(limit_s: float) -> InputContainer:
            options = {"rtsp_transport": transport, "timeout": str(round(self._wait_s * 1e6))}
            return open_container(url, options=_RTSP_OPTIONS | options, timeouts_s=(limit_s, None))

        try:
            return open_within(open_timeout_s)
        except SourceError:
            waited_s = self._clock() - asked_at
            if not self._wait_s <= waited_s < open_timeout_s:
                raise
        self._wait_s = open_timeout_s - waited_s
        try:
            return open_within(self._wait_s)
        except SourceError as error:
            if self._clock() - asked_at < open_timeout_s:
                raise
            raise SourceError(f"cannot open {self.address}: {silence(open_timeout_s)}") from error.__cause__

    def _open_http(self, url: str, open_timeout_s: float) -> InputContainer:
        """Read the answer ourselves where it has no end; else FFmpeg gets what is left of the time."""
        asked_at = self._clock()
        self._body = open_endless(url, open_timeout_s)
        left_s = open_timeout_s - (self._clock() - asked_at)
        if left_s <= 0:
            self._release_body()
            raise SourceError(f"cannot open {self.address}: {silence(open_timeout_s)}")
        if self._body is None:
            return open_container(url, timeouts_s=(left_s, self._read_timeout_s))
        self._body.wait_at_most(left_s)
        try:
            container = open_container(url, timeouts_s=(left_s, None), body=self._body)
        except SourceError:
            self._release_body()
            raise
        self._body.wait_at_most(self._read_timeout_s)
        return container

    def _release_body(self) -> None:
        if self._body is not None:
            self._body.release()

    def close(self) -> None:
        """See :meth:`Source.close`."""
        self._closing.set()
        if self._body is not None:
            self._body.close()
        super().close()

    def _next_picture(self) -> Picture | None:
        deadline = self._clock() + max(_NO_PICTURE_S, self._read_timeout_s)
        while not self._decoded:
            asked_at = self._clock()
            packet = self._next_packet()
            if packet is None or self._closing.is_set():
                return None
            came_at = self._came_at(packet, asked_at)
            if not self._is_stale(packet):
                self._decoded.extend((came_at, frame) for frame in self._decode(packet))
            if self._clock() > deadline:
                raise SourceError(
                    f"{self.address} sends data that cannot be decoded; restart the camera, or set H.264"
                )
        captured_at, frame = self._decoded.popleft()
        return Picture(captured_at, self._decoder.frame_time_s(frame), self._decoder.to_pixels(frame))

    def _next_packet(self) -> av.Packet | None:
        while True:
            asked_at = self._clock()
            try:
                packet = next(self._packets, None)
            except (av.ExitError, TimeoutError) as error:
                if self._closing.is_set():
                    return None
                self._silent_s += self._clock() - asked_at
                if self._silent_s >= self._read_timeout_s:
                    reason = silence(self._read_timeout_s)
                    raise SourceError(f"{self.address} stopped: {reason}") from error
                self._packets = self._decoder.packets()
            except av.FFmpegError as error:
                if self._closing.is_set():
                    return None
                raise self._lost(error) from error
            else:
                waited_s = self._clock() - asked_at
                # One that took the whole wait was brought out by its end, not by the camera.
                self._silent_s = waited_s if waited_s >= self._wait_s else 0.0
                return packet

    def _decode(self, packet: av.Packet) -> list[av.VideoFrame]:
        try:
            return self._decoder.decode(packet)
        except av.FFmpegError as error:
            # More than a damaged packet, which the decoder lets pass: a fresh start may help.
            raise self._lost(error) from error

    def _lost(self, error: av.FFmpegError) -> SourceError:
        return SourceError(f"{self.address} stopped: {without_password(str(error))}")

    def _came_at(self, packet: av.Packet, asked_at: float) -> float:
        """When the data of the packet just read came in, by our clock.

        A packet that was there before it was asked for had waited: it came as much earlier as it is behind.
        """
        now = self._clock()
        stamp_s = self._decoder.packet_time_s(packet)
        came_at = now
        if stamp_s is not None:
            behind_s = self._media_clock.observe(stamp_s, now)
            had_to_wait = now - asked_at >= (stamp_s - self._last_stamp_s) / 2
            self._waits_in_a_row = self._waits_in_a_row + 1 if had_to_wait else 0
            self._last_stamp_s = stamp_s
            came_at = now if had_to_wait else now - behind_s
        # One cut late came when the one before it came out.
        last, self._last_came_at = self._last_came_at, came_at
        return last if self._is_cut_late and last is not None else came_at

    def _is_stale(self, packet: av.Packet) -> bool:
        """Whether to let this packet go, because newer ones wait already."""
        if self._body is not None and not self._decoder.has_stamps:
            is_stale = self._is_overtaken(packet, self._body)
        else:
            is_stale = self._is_late(packet)
        self._stale_pictures += is_stale
        return is_stale

    def _is_overtaken(self, packet: av.Packet, body: HttpBody) -> bool:
        """Whether the reader lags, and a picture as large as this one lies behind it."""
        if not (packet.size and body.has_waiting(packet.size)):
            # Not 0: while the reader lags, it is up with the camera now and again, for a moment.
            self._overtaken_in_a_row //= 2
            return False
        self._overtaken_in_a_row += 1
        return self._overtaken_in_a_row > _OVERTAKEN_IN_A_ROW

    def _is_late(self, packet: av.Packet) -> bool:
        """Whether this packet is late by its stamp, or waits for the key frame after those that were."""
        if self._media_clock.behind_s > _MOST_BEHIND_S:
            if self._waits_in_a_row >= _WAITS_IN_A_ROW:
                # Nothing lies here: the source's clock is wrong, or the delay is out of our reach.
                self._media_clock.restart()
            elif self._waits_in_a_row == 0:
                self._is_catching_up = True
        if self._is_catching_up and self._waits_in_a_row and packet.is_keyframe:
            self._is_catching_up = False
        return self._is_catching_up

    def _release(self) -> None:
        self._container.close()
        self._release_body()
