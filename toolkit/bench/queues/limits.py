"""The limits over Redis: what redis-py does by itself, without the care a queue takes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import redis

from toolkit.bench.queues.contender import CommandContender, redis_url
from toolkit.bench.queues.tasks import largest, no_op

_KEY, _GROUP = "bench", "workers"
_AT_ONCE = 100
_BLOCK_MS = 1000


class _RedisLimit(CommandContender):
    """Redis itself; the workers run the function of this module that ``loop`` names."""

    loop: str

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self._redis = redis.Redis.from_url(url)

    def commands(self, workers: int) -> list[list[str]]:
        return [[sys.executable, "-m", __name__, self.loop]] * workers


class Lists(_RedisLimit):
    """RPUSH and BLPOP one by one: a task is gone once it is taken, and has no result."""

    loop = "lists"

    def put(self, sent_at: float, payload: Any) -> None:
        self._redis.rpush(_KEY, _pack(sent_at, payload))


class Streams(_RedisLimit):
    """Streams with acknowledgement, pipelined by the hundred; no results, and nobody takes over."""

    loop = "stream"

    def start(self, workers: int) -> None:
        self._redis.xgroup_create(_KEY, _GROUP, mkstream=True)
        super().start(workers)

    def put(self, sent_at: float, payload: Any) -> None:
        self._redis.xadd(_KEY, {"task": _pack(sent_at, payload)})

    def put_many(self, sent_at: float, payloads: Sequence[Any]) -> None:
        for start in range(0, len(payloads), _AT_ONCE):
            with self._redis.pipeline(transaction=False) as pipeline:
                for payload in payloads[start : start + _AT_ONCE]:
                    pipeline.xadd(_KEY, {"task": _pack(sent_at, payload)})
                pipeline.execute()


class PictureStreams(Streams):
    """The same, and what is done is deleted: with big tasks Redis would be full within seconds."""

    loop = "picture-stream"


def _pop_lists(client: redis.Redis) -> None:
    while True:
        taken: Any = client.blpop([_KEY], timeout=0)
        _run(taken[1])


def _read_stream(client: redis.Redis, delete: bool) -> None:
    consumer = str(os.getpid())
    while True:
        found: Any = client.xreadgroup(_GROUP, consumer, {_KEY: ">"}, count=_AT_ONCE, block=_BLOCK_MS)
        for _, entries in found:
            for _, fields in entries:
                _run(fields[b"task"])
            done = [entry_id for entry_id, _ in entries]
            client.xack(_KEY, _GROUP, *done)
            if delete:
                client.xdel(_KEY, *done)


def _pack(sent_at: float, payload: Any) -> bytes:
    return msgpack.packb((sent_at, payload if isinstance(payload, str) else payload.tobytes()))


def _run(task: bytes) -> None:
    sent_at, payload = msgpack.unpackb(task)
    if isinstance(payload, str):
        no_op(sent_at, payload)
    else:
        largest(sent_at, np.frombuffer(payload, np.uint8))


def main() -> None:
    """A worker, until it is killed."""
    client = redis.Redis.from_url(redis_url())
    if sys.argv[1] == Lists.loop:
        _pop_lists(client)
    _read_stream(client, delete=sys.argv[1] == PictureStreams.loop)


if __name__ == "__main__":
    main()
