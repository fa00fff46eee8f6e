"""A camera on the network, for tests: a video file over RTSP, in a loop and at its own pace."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import av

_RTP_CLOCK_HZ = 90_000
_PAYLOAD_TYPE = 96
_LARGEST_PAYLOAD = 1_400
_FRAGMENT = 28  # FU-A, RFC 6184, section 5.8
_STATUS = {
    200: "OK",
    401: "Unauthorized",
    404: "Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    501: "Not Implemented",
}


@dataclass(frozen=True)
class Film:
    """The H.264 of a video file: ``(seconds, NAL units)`` per picture, and the sets a decoder needs first."""

    pictures: list[tuple[float, list[bytes]]]
    sps: bytes
    pps: bytes
    duration_s: float

    @classmethod
    def load(cls, path: Path) -> Film:
        """Read an MP4 file whose pictures are stored in the order they are shown."""
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            header = stream.codec_context.extradata
            packets = [packet for packet in container.demux(stream) if packet.size]
            pictures = [(float(p.pts * p.time_base), list(_nal_units(bytes(p)))) for p in packets]
            duration_s = float(stream.duration * stream.time_base)
        # ISO 14496-15, section 5.3.3: six bytes, then the two parameter sets behind their lengths.
        (sps_size,) = struct.unpack_from("!H", header, 6)
        (pps_size,) = struct.unpack_from("!H", header, 9 + sps_size)
        return cls(pictures, header[8 : 8 + sps_size], header[11 + sps_size :][:pps_size], duration_s)

    def looped(self) -> Iterator[tuple[float, list[bytes]]]:
        """The pictures for ever, their seconds growing."""
        start_s = 0.0
        while True:
            yield from ((start_s + seconds, units) for seconds, units in self.pictures)
            start_s += self.duration_s

    def description(self) -> str:
        """What the server says of the film (SDP)."""
        sets = ",".join(base64.b64encode(unit).decode() for unit in (self.sps, self.pps))
        lines = [
            "v=0",
            "o=- 0 0 IN IP4 127.0.0.1",
            "s=camera",
            "c=IN IP4 0.0.0.0",
            "t=0 0",
            f"m=video 0 RTP/AVP {_PAYLOAD_TYPE}",
            f"a=rtpmap:{_PAYLOAD_TYPE} H264/{_RTP_CLOCK_HZ}",
            f"a=fmtp:{_PAYLOAD_TYPE} packetization-mode=1;sprop-parameter-sets={sets}",
            "a=control:video",
        ]
        return "\r\n".join([*lines, ""])


class RtspServer:
    """Serves video files at ``rtsp://127.0.0.1:PORT/NAME``; each client sees its file from the beginning.

    Args:
        mounts: name to MP4 file with H.264 in it.
        credentials: user and password a client must give; None lets everybody in.

    Attributes:
        is_frozen: while set, nothing is sent, though connections stay open.
        sent_at: monotonic seconds at which the newest client was sent each of its pictures.
    """

    def __init__(self, mounts: Mapping[str, Path], credentials: tuple[str, str] | None = None) -> None:
        self._films = {name: Film.load(path) for name, path in mounts.items()}
        self._authorization = None
        if credentials:
            self._authorization = "Basic " + base64.b64encode(":".join(credentials).encode()).decode()
        self._stopping = threading.Event()
        self.is_frozen = threading.Event()
        self.sent_at: dict[int, float] = {}
        self._clients: dict[threading.Thread, socket.socket] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._acceptor = threading.Thread(target=self._accept, name="rtsp-accept", daemon=True)

    def __enter__(self) -> RtspServer:
        self._acceptor.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopping.set()
        self._acceptor.join(5.0)
        self._listener.close()
        self.drop_clients()
        for thread in list(self._clients):
            thread.join(5.0)

    def url(self, name: str, userinfo: str = "") -> str:
        """Address of one film; ``userinfo`` is ``"user:password"``."""
        return (
            f"rtsp://{userinfo + '@' if userinfo else ''}127.0.0.1:{self._listener.getsockname()[1]}/{name}"
        )

    def drop_clients(self) -> None:
        """Cut every connection, as a camera that loses power does."""
        for connection in list(self._clients.values()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                connection, _ = self._listener.accept()
                client = _Client(connection, self._films, self._authorization, self.is_frozen, self.sent_at)
                thread = threading.Thread(target=client.serve, name="rtsp-client", daemon=True)
                self._clients[thread] = connection
                thread.start()


class _Client:
    """One connection: answers requests and, once asked to play, sends pictures when they fall due."""

    def __init__(
        self,
        connection: socket.socket,
        films: Mapping[str, Film],
        authorization: str | None,
        is_frozen: threading.Event,
        sent_at: dict[int, float],
    ) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A client that stops reading must not hold this thread for ever.
        connection.settimeout(2.0)
        self._connection = connection
        self._requests = connection.makefile("rb")
        self._films = films
        self._authorization = authorization
        self._is_frozen = is_frozen
        self._sent_at = sent_at
        self._sent = 0
        self._channel: int | None = None
        self._pictures: Iterator[tuple[float, list[bytes]]] = iter(())
        self._due: tuple[float, list[bytes]] | None = None
        self._started_at = 0.0
        self._sequence = 0

    def serve(self) -> None:
        """Run until the client goes or is cut off."""
        with self._connection, contextlib.suppress(OSError):
            while True:
                wait_s = 0.1 if self._due is None else self._started_at + self._due[0] - time.monotonic()
                if select.select([self._connection], [], [], max(0.0, wait_s))[0]:
                    if not self._take_request():
                        return
                elif self._due is not None:
                    self._send_picture(*self._due)
                    self._due = next(self._pictures)

    def _take_request(self) -> bool:
        first = self._requests.read(1)
        if first == b"$":  # a receiver report, interleaved with the requests
            (size,) = struct.unpack("!xH", self._requests.read(3))
            self._requests.read(size)
            return True
        method, _, target = (first + self._requests.readline()).decode().strip().partition(" ")
        headers = {}
        while line := self._requests.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if not method:
            return False
        self._answer(method, target.split("/")[3].split(" ")[0] if target.count("/") > 2 else "", headers)
        return method != "TEARDOWN"

    def _answer(self, method: str, name: str, headers: Mapping[str, str]) -> None:
        status, extra, body = 200, [f"CSeq: {headers.get('cseq', '0')}", "Session: 1"], ""
        film = self._films.get(name)
        if method == "OPTIONS":
            extra.append("Public: DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN")
        elif self._authorization and headers.get("authorization") != self._authorization:
            status = 401
            extra.append('WWW-Authenticate: Basic realm="camera"')
        elif method in ("DESCRIBE", "SETUP", "PLAY") and film is None:
            status = 404
        elif method == "DESCRIBE" and film is not None:
            body = film.description()
            extra.append("Content-Type: application/sdp")
        elif method == "SETUP":
            status = self._set_up(headers.get("transport", ""), extra)
        elif method == "PLAY" and film is not None:
            status = 200 if self._channel is not None else 455
        elif method not in ("GET_PARAMETER", "TEARDOWN"):
            status = 501
        lines = [f"RTSP/1.0 {status} {_STATUS[status]}", *extra, f"Content-Length: {len(body)}", "", body]
        self._connection.sendall("\r\n".join(lines).encode())
        if method == "PLAY" and status == 200 and film is not None:
            self._pictures = film.looped()
            self._due = next(self._pictures)
            self._started_at = time.monotonic()

    def _set_up(self, transport: str, extra: list[str]) -> int:
        if "RTP/AVP/TCP" not in transport:
            return 461
        self._channel = int(transport.partition("interleaved=")[2].partition("-")[0] or 0)
        pair = f"{self._channel}-{self._channel + 1}"
        extra.append(f"Transport: RTP/AVP/TCP;unicast;interleaved={pair}")
        return 200

    def _send_picture(self, seconds: float, units: list[bytes]) -> None:
        payloads = [payload for unit in units for payload in _payloads(unit)]
        stamp = round(seconds * _RTP_CLOCK_HZ) & 0xFFFFFFFF
        stream = bytearray()
        for payload in payloads:
            is_last = payload is payloads[-1]
            kind = _PAYLOAD_TYPE | (0x80 if is_last else 0)
            header = struct.pack("!BBHII", 0x80, kind, self._sequence & 0xFFFF, stamp, 1)
            stream += struct.pack("!cBH", b"$", self._channel, len(header) + len(payload)) + header + payload
            self._sequence += 1
        if not self._is_frozen.is_set():
            self._sent_at[self._sent] = time.monotonic()
            self._connection.sendall(stream)
            self._sent += 1


def _nal_units(packet: bytes) -> Iterator[bytes]:
    """Split what MP4 stores: each unit behind its length in four bytes."""
    at = 0
    while at < len(packet):
        (size,) = struct.unpack_from("!I", packet, at)
        yield packet[at + 4 : at + 4 + size]
        at += 4 + size


def _payloads(unit: bytes) -> Iterator[bytes]:
    """One NAL unit whole, or in fragments where it is too long for a packet (RFC 6184)."""
    if len(unit) <= _LARGEST_PAYLOAD:
        yield unit
        return
    indicator, kind, body = unit[0] & 0xE0 | _FRAGMENT, unit[0] & 0x1F, unit[1:]
    step = _LARGEST_PAYLOAD - 2
    for at in range(0, len(body), step):
        edge = (0x80 if at == 0 else 0) | (0x40 if at + step >= len(body) else 0)
        yield bytes((indicator, edge | kind)) + body[at : at + step]
