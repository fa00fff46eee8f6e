"""What an HTTP camera sends, as a file: closing it ends the wait of whoever reads it."""

from __future__ import annotations

import contextlib
import select
import socket
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import (
    HTTPBasicAuthHandler,
    HTTPDigestAuthHandler,
    HTTPHandler,
    HTTPPasswordMgrWithDefaultRealm,
    Request,
    build_opener,
)

# They name further addresses, which FFmpeg has to fetch.
_PLAYLISTS = ("mpegurl", "dash+xml")


class HttpBody:
    """The body of an answer that has no end, for ``av.open``.

    Of FFmpeg's own wait for HTTP there is no way out but its time limit, which asks Python for the time at
    every look at the network; a socket can be shut by any thread.

    Args:
        response: its headers were read.
        connected: the socket that it comes through.
        name: where it comes from.
    """

    def __init__(self, response: HTTPResponse, connected: socket.socket, name: str) -> None:
        self._response = response
        self._socket = connected
        self.name = name

    def wait_at_most(self, timeout_s: float) -> None:
        """So long may the camera stay silent from now on."""
        # The answer reads through this very object, so that the limit is the answer's.
        self._socket.settimeout(timeout_s)

    def has_waiting(self, size: int) -> bool:
        """Whether at least ``size`` bytes have come that nobody has read; never waits."""
        try:
            # A look at a socket that has nothing would wait for its time limit.
            readable, _, _ = select.select([self._socket], [], [], 0)
            return bool(readable) and len(self._socket.recv(size, socket.MSG_PEEK)) >= size
        except (OSError, ValueError):
            # It was shut; whoever reads next is told.
            return False

    def read(self, size: int) -> bytes:
        """What has come, at most ``size`` bytes; none when the camera or :meth:`close` has ended it.

        Raises:
            TimeoutError: nothing came in time.
        """
        try:
            return self._response.read1(size)
        except TimeoutError:
            raise
        except (OSError, HTTPException):
            return b""

    def close(self) -> None:
        """End a waiting ``read``; any thread may call it, any number of times."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Give the socket back; nobody may be reading."""
        self._response.close()


def open_endless(url: str, timeout_s: float) -> HttpBody | None:
    """Ask for ``url``, an ``http://`` address with user and password if the camera wants them.

    Args:
        url: see above.
        timeout_s: how long the camera may stay silent meanwhile, and until :meth:`HttpBody.wait_at_most`.

    Returns:
        None when this is for FFmpeg to read: it cannot be had, is a playlist, or has an end and so may have
        to be read from there first.
    """
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    passwords = HTTPPasswordMgrWithDefaultRealm()
    if parts.username is not None:
        passwords.add_password(None, bare, unquote(parts.username), unquote(parts.password or ""))
    by_http = _KeepingHandler()
    opener = build_opener(by_http, HTTPBasicAuthHandler(passwords), HTTPDigestAuthHandler(passwords))
    try:
        response = opener.open(Request(bare, headers={"User-Agent": "toolkit"}), timeout=timeout_s)
    except HTTPError as error:
        error.close()
        return None
    except (OSError, HTTPException, ValueError):
        return None
    kind = response.headers.get_content_type()
    is_endless = response.length is None and not kind.endswith(_PLAYLISTS)
    if not is_endless or by_http.connected is None or urlsplit(response.url).scheme != "http":
        response.close()
        return None
    return HttpBody(response, by_http.connected, parts.path)


class _KeepingHandler(HTTPHandler):
    """Keeps the socket of the newest answer, which the standard library hides."""

    connected: socket.socket | None = None

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_KeptConnection, self), req)  # type: ignore[arg-type]


class _KeptConnection(HTTPConnection):
    def __init__(self, keeper: _KeepingHandler, host: str, **settings: Any) -> None:
        super().__init__(host, **settings)
        self._keeper = keeper

    def connect(self) -> None:
        super().connect()
        self._keeper.connected = self.sock
