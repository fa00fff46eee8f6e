"""Real servers for the tests of the work wing, and ways to break them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator

import redis

from toolkit.work.redis_server import RedisServer


def wait_for(condition: Callable[[], object], deadline_s: float = 15.0) -> None:
    """Until the condition holds; a failed test when it does not in time."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


def new_name() -> str:
    """A queue name that no other test has."""
    return f"test-{uuid.uuid4().hex[:8]}"


def pid_of(url: str) -> int:
    """Process id of the server at an address."""
    with redis.Redis.from_url(url) as client:
        return client.info("server")["process_id"]


@contextlib.contextmanager
def own_server() -> Iterator[tuple[RedisServer, str]]:
    """A server for one test alone, that it may break."""
    server = RedisServer()
    try:
        yield server, server.start()
    finally:
        server.stop()


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process for the length of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
