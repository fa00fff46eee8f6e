"""Hosts to be broken: a disk that fills up, a network that is cut; what is made here is removed here."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import redis

from toolkit.work.redis_server import RedisServer, find_redis_server

_START_TIMEOUT_S = 60.0
_HERE = Path(__file__).parent


def why_not(needed: Sequence[str]) -> str:
    """Why namespaces and mounts cannot be made here; "" when they can."""
    missing = [tool for tool in (*needed, "unshare") if shutil.which(tool) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    # In a container root may be forbidden both.
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "true"], capture_output=True, text=True, check=False
    )
    return f"needs root: {tried.stderr.strip()}" if os.geteuid() != 0 or tried.returncode else ""


def kill_redis(url: str) -> None:
    """kill -9 of the server at an address."""
    with redis.Redis.from_url(url) as client:
        os.kill(client.info("server")["process_id"], signal.SIGKILL)


@contextlib.contextmanager
def own_redis(disk: Path | None = None) -> Iterator[tuple[RedisServer, str]]:
    """A server for one case alone, with append-only persistence; its files on ``disk`` if given."""
    server, usual = RedisServer(), tempfile.tempdir
    tempfile.tempdir = str(disk) if disk else usual
    try:
        url = server.start()
        tempfile.tempdir = usual
        yield server, url
    finally:
        tempfile.tempdir = usual
        server.stop()


@contextlib.contextmanager
def worker_host(
    url: str, queue_name: str, lease_s: float, log: Path, namespace: str = ""
) -> Iterator[subprocess.Popen]:
    """``toolkit worker`` with two processes, in a network namespace if one is named; it serves already."""
    command = ["ip", "netns", "exec", namespace] if namespace else []
    command += [sys.executable, "-m", "toolkit.cli", "worker", "--queue", queue_name, "--lease", str(lease_s)]
    command += ["--handlers", "break_the_queue:HANDLERS", "--backend", "processes", "--workers", "2"]
    with log.open("w") as said:
        process = subprocess.Popen(command, cwd=_HERE, env={**os.environ, "REDIS_URL": url}, stderr=said)
    try:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while "serve queue" not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the worker did not start: {log.read_text()}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[Path]:
    """A disk of its own in memory, so that filling it up harms nobody else."""
    folder.mkdir()
    _do("mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _do("umount", str(folder))


def fill(disk: Path) -> Path:
    """Fill a disk to its last byte; the file to remove."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


class TwoHosts:
    """Two network namespaces and a cable between them: a Redis on the first, reached from both."""

    def __init__(self) -> None:
        self.first, self.second = (f"toolkit-{os.getpid()}-{letter}" for letter in "ab")
        self._address, self._cable = "10.77.0.1", f"tk{os.getpid()}"

    @contextlib.contextmanager
    def up(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Addresses of the Redis: as the hosts see it, and a Unix socket for whoever is on neither."""
        with contextlib.ExitStack() as stack:
            for namespace in (self.first, self.second):
                _do("ip", "netns", "add", namespace)
                stack.callback(_do, "ip", "netns", "del", namespace)
                _do("ip", "-n", namespace, "link", "set", "lo", "up")
            ends = [f"{self._cable}{letter}" for letter in "ab"]
            _do(
                "ip",
                "-n",
                self.first,
                "link",
                "add",
                ends[0],
                "type",
                "veth",
                "peer",
                ends[1],
                "netns",
                self.second,
            )
            for namespace, end, address in (
                (self.first, ends[0], "10.77.0.1"),
                (self.second, ends[1], "10.77.0.2"),
            ):
                _do("ip", "-n", namespace, "address", "add", f"{address}/30", "dev", end)
                _do("ip", "-n", namespace, "link", "set", end, "up")
            stack.enter_context(self._redis(folder))
            yield f"redis://{self._address}:6379/0", f"unix://{folder}/redis.sock"

    def set_cable(self, state: str) -> None:
        """``down`` cuts the network, ``up`` mends it; neither end is told anything."""
        _do("ip", "-n", self.second, "link", "set", f"{self._cable}b", state)

    @contextlib.contextmanager
    def _redis(self, folder: Path) -> Iterator[None]:
        command = ["ip", "netns", "exec", self.first, find_redis_server(), "--bind", self._address]
        command += ["--port", "6379", "--protected-mode", "no", "--unixsocket", f"{folder}/redis.sock"]
        command += ["--dir", str(folder), "--appendonly", "yes", "--save", "", "--logfile", "redis.log"]
        process = subprocess.Popen(command)
        try:
            deadline = time.monotonic() + _START_TIMEOUT_S
            with redis.Redis.from_url(f"unix://{folder}/redis.sock") as client:
                while not _answers(client):
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError("redis-server did not start in its namespace")
                    time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _do(*command: str) -> None:
    subprocess.run(command, check=True)
