"""A camera in a process of its own, that can be killed, frozen and started again at its address."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from toolkit.rtsp.server import RtspServer

_NAME = "cam"
_END_TIMEOUT_S = 10.0


class CameraProcess:
    """Starts an RTSP server in its own process; once it has a port, it comes back at that one.

    ::

        with CameraProcess(film) as camera:
            open_source(camera.url)
            camera.kill()
            camera.start()

    Args:
        film: MP4 file with H.264 in it.
        host: address to listen on.
        port: 0 takes one that is free.
        launcher: words before the command, such as ``("ip", "netns", "exec", "far")``.
        live_since: monotonic seconds at which the film began: a camera that was away comes back to what is on
            then. None begins it for each client.
    """

    def __init__(
        self,
        film: Path,
        host: str = "127.0.0.1",
        port: int = 0,
        launcher: Sequence[str] = (),
        live_since: float | None = None,
    ) -> None:
        # The monotonic clock is the machine's: it tells the other process the same time.
        self._live_since = "" if live_since is None else repr(live_since)
        self._film = film
        self._host = host
        self._port = port
        self._launcher = list(launcher)
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the server; it answers when this is back.

        Raises:
            RuntimeError: it did not start; it has said why on standard error.
        """
        words = [
            sys.executable,
            "-m",
            __name__,
            self._host,
            str(self._port),
            str(self._film),
            self._live_since,
        ]
        self._process = subprocess.Popen(
            [*self._launcher, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        said = self._process.stdout.readline() if self._process.stdout else ""
        if not said:
            raise RuntimeError(f"the camera at {self._host}:{self._port} did not start")
        self._port = int(said)

    def begin(self, live_since: float) -> None:
        """Say when the film began, in monotonic seconds, before anybody watches; see ``live_since``."""
        self._live_since = repr(live_since)
        self._say(f"since {live_since!r}")

    @property
    def url(self) -> str:
        """Its address."""
        return f"rtsp://{self._host}:{self._port}/{_NAME}"

    def kill(self) -> None:
        """kill -9: the camera loses power."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, new ones are taken by the kernel, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def show(self, film: Path) -> None:
        """Go over to another film in the middle of the stream."""
        self._say(f"show {film}")

    def lose(self, share: float) -> None:
        """Lose so many of the packets that go over UDP, 0..1."""
        self._say(f"lose {share}")

    def damage(self, share: float) -> None:
        """Damage so many of the packets, 0..1."""
        self._say(f"damage {share}")

    def __enter__(self) -> CameraProcess:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    def _say(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("the camera is not started")
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.wait(_END_TIMEOUT_S)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def main() -> None:
    """The other end: say the port, and do as standard input says until it closes."""
    host, port, film, since = sys.argv[1:]
    live_since = float(since) if since else None
    with RtspServer({_NAME: Path(film)}, host=host, port=int(port), live_since=live_since) as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        for line in sys.stdin:
            word, _, value = line.strip().partition(" ")
            if word == "show":
                server.show(_NAME, Path(value))
            elif word == "since":
                server.live_since = float(value)
            elif word == "lose":
                server.loss = float(value)
            elif word == "damage":
                server.damage = float(value)


if __name__ == "__main__":
    main()
