"""A camera on the network that can be had anywhere: video files over RTSP, in a loop, at their own pace.

It can be made to misbehave as cameras do: freeze, drop its clients, change its picture's size in the middle,
lose or damage packets.
"""

from __future__ import annotations

import base64
import contextlib
import random
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from toolkit.rtsp.film import PAYLOAD_TYPE, RTP_CLOCK_HZ, Film, is_key_picture

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


class RtspServer:
    """Serves video files at ``rtsp://HOST:PORT/NAME``, again and again.

    Each client sees its file from the beginning; or, where ``live_since`` says when all of them began, what
    is on now, from the next key frame, as of a camera: who comes back has missed what was on meanwhile.

    Args:
        mounts: name to MP4 file with H.264 in it.
        credentials: user and password a client must give; None lets everybody in.
        host: address to listen on.
        port: 0 takes one that is free.
        live_since: monotonic seconds at which all files began; None begins them for each client.

    Attributes:
        is_frozen: while set, nothing is sent, though connections stay open.
        loss: share of the packets that get lost where a client asked for UDP, 0..1.
        damage: share of the packets whose second half arrives as zeros, 0..1.
        answer_after_s: how long each answer to a request takes.
        connections: clients that ever came.
        sent_at: monotonic seconds at which the newest client was sent each of its pictures.
    """

    def __init__(
        self,
        mounts: Mapping[str, Path],
        credentials: tuple[str, str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        live_since: float | None = None,
    ) -> None:
        self.live_since = live_since
        self.films = {name: Film.load(path) for name, path in mounts.items()}
        self.authorization: str | None = None
        if credentials:
            self.authorization = "Basic " + base64.b64encode(":".join(credentials).encode()).decode()
        self.is_frozen = threading.Event()
        self.loss = 0.0
        self.damage = 0.0
        self.answer_after_s = 0.0
        self.connections = 0
        self.sent_at: dict[int, float] = {}
        self._stopping = threading.Event()
        self._clients: dict[threading.Thread, socket.socket] = {}
        self._listener = socket.create_server((host, port))
        self.host, self.port = self._listener.getsockname()
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
        return f"rtsp://{userinfo + '@' if userinfo else ''}{self.host}:{self.port}/{name}"

    def show(self, name: str, path: Path) -> None:
        """Go over to another film in the middle of the stream, as a camera does whose size is changed."""
        self.films[name] = Film.load(path)

    def drop_clients(self) -> None:
        """Cut every connection, as a camera that loses power does."""
        for connection in list(self._clients.values()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def pictures(self, name: str, from_s: float = 0.0) -> Iterator[tuple[float, list[bytes]]]:
        """The pictures of whatever film is shown under this name, for ever, their seconds growing.

        They begin with the first key frame that is not before ``from_s``.
        """
        whole_s = self.films[name].duration_s
        start_s = from_s // whole_s * whole_s if whole_s else 0.0
        is_begun = False
        while True:
            film = self.films[name]
            for number, (seconds, units) in enumerate(film.pictures):
                if self.films[name] is not film:
                    start_s -= film.duration_s - seconds
                    break
                is_key = not number or is_key_picture(units)
                is_begun = is_begun or (is_key and start_s + seconds >= from_s)
                if is_begun:
                    yield start_s + seconds, [film.sps, film.pps] * is_key + units
            start_s += film.duration_s

    def _accept(self) -> None:
        while not self._stopping.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                connection, _ = self._listener.accept()
                self.connections += 1
                client = _Client(connection, self)
                thread = threading.Thread(target=client.serve, name="rtsp-client", daemon=True)
                self._clients = {t: c for t, c in self._clients.items() if t.is_alive()}
                self._clients[thread] = connection
                thread.start()


class _Client:
    """One connection: answers requests and, once asked to play, sends pictures when they fall due."""

    def __init__(self, connection: socket.socket, server: RtspServer) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A client that stops reading must not hold this thread for ever.
        connection.settimeout(2.0)
        self._connection = connection
        self._requests = connection.makefile("rb")
        self._server = server
        self._random = random.Random(5)
        self._sent = 0
        self._channel: int | None = None
        self._udp: tuple[socket.socket, ...] = ()
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
                        break
                elif self._due is not None:
                    self._send_picture(*self._due)
                    self._due = next(self._pictures)
        for port in self._udp:
            port.close()

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
        time.sleep(self._server.answer_after_s)
        status, extra, body = 200, [f"CSeq: {headers.get('cseq', '0')}", "Session: 1"], ""
        film = self._server.films.get(name)
        expected = self._server.authorization
        if method == "OPTIONS":
            extra.append("Public: DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN")
        elif expected and headers.get("authorization") != expected:
            status = 401
            extra.append('WWW-Authenticate: Basic realm="camera"')
        elif method in ("DESCRIBE", "SETUP", "PLAY") and film is None:
            status = 404
        elif method == "DESCRIBE" and film is not None:
            body = film.description()
            extra.append("Content-Type: application/sdp")
        elif method == "SETUP":
            status = self._set_up(headers.get("transport", ""), extra)
        elif method == "PLAY":
            status = 200 if self._channel is not None or self._udp else 455
        elif method not in ("GET_PARAMETER", "TEARDOWN"):
            status = 501
        lines = [f"RTSP/1.0 {status} {_STATUS[status]}", *extra, f"Content-Length: {len(body)}", "", body]
        self._connection.sendall("\r\n".join(lines).encode())
        if method == "PLAY" and status == 200:
            now, since = time.monotonic(), self._server.live_since
            self._started_at = now if since is None else since
            self._pictures = self._server.pictures(name, max(0.0, now - self._started_at))
            self._due = next(self._pictures)

    def _set_up(self, transport: str, extra: list[str]) -> int:
        if "RTP/AVP/TCP" in transport:
            self._channel = int(transport.partition("interleaved=")[2].partition("-")[0] or 0)
            pair = f"{self._channel}-{self._channel + 1}"
            extra.append(f"Transport: RTP/AVP/TCP;unicast;interleaved={pair}")
            return 200
        _, asked, ports = transport.partition("client_port=")
        if not asked:
            return 461
        first = int(ports.partition("-")[0])
        # The second one takes the client's reports, which nobody reads here.
        self._udp = tuple(socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for port in self._udp:
            port.bind((self._connection.getsockname()[0], 0))
        self._udp[0].connect((self._connection.getpeername()[0], first))
        mine = "-".join(str(port.getsockname()[1]) for port in self._udp)
        extra.append(f"Transport: RTP/AVP/UDP;unicast;client_port={first}-{first + 1};server_port={mine}")
        return 200

    def _send_picture(self, seconds: float, units: list[bytes]) -> None:
        if self._server.is_frozen.is_set():
            return
        self._server.sent_at[self._sent] = time.monotonic()
        self._sent += 1
        packets = self._packets(seconds, units)
        if self._udp:
            for packet in packets:
                if self._random.random() >= self._server.loss:
                    self._udp[0].send(packet)
            return
        head = struct.Struct("!cBH").pack
        self._connection.sendall(b"".join(head(b"$", self._channel, len(p)) + p for p in packets))

    def _packets(self, seconds: float, units: list[bytes]) -> list[bytes]:
        """The RTP packets of one picture."""
        payloads = [payload for unit in units for payload in _payloads(unit)]
        stamp = round(seconds * RTP_CLOCK_HZ) & 0xFFFFFFFF
        packets = []
        for number, payload in enumerate(payloads, start=1):
            kind = PAYLOAD_TYPE | (0x80 if number == len(payloads) else 0)
            header = struct.pack("!BBHII", 0x80, kind, self._sequence & 0xFFFF, stamp, 1)
            if self._server.damage and self._random.random() < self._server.damage:
                payload = payload[: len(payload) // 2].ljust(len(payload), b"\0")
            packets.append(header + payload)
            self._sequence += 1
        return packets


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
