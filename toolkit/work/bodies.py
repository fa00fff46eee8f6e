"""Where big tasks lie: in shared memory on one host, else in Redis; never in the stream."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from toolkit.work.arena import Arena, Stored
from toolkit.work.codec import Encoded, as_bytes
from toolkit.work.connection import RedisConnection
from toolkit.work.segments import ArenaReader, Lent

APART_BYTES = 32_768
"""A task of so many bytes lies apart. Scripts copy what they move several times: with 2.7 MB frames in the
stream, half as many got through as by plain commands. Below, one more round trip costs as much as they do."""

IN_REDIS = b"@"
"""The place of a body that has a key of its own in Redis."""

# So long a body in Redis waits for its task to be put; its sender may have died in between.
_EXPIRES_MS = 600_000


class Bodies:
    """The big tasks of one queue: each has a place, which travels in its stead.

    A server that we started has a folder of shared memory beside its socket, ``bodies``. Whoever reaches the
    socket is on the same host and reaches the folder, which goes with the server. Redis takes the bodies
    where there is no such folder, or no room in it.

    Args:
        connection: the Redis of the queue.
        body_prefix: key prefix of bodies in Redis, before the task id.
        used_prefix: key prefix of what is in use in shared memory, as for :class:`Arena`.
    """

    def __init__(self, connection: RedisConnection, body_prefix: str, used_prefix: str) -> None:
        self._connection = connection
        self._body_prefix = body_prefix
        folder = Path(connection.url.removeprefix("unix://")).parent / "bodies"
        is_here = connection.url.startswith("unix:///") and folder.is_dir()
        self._arena = Arena(str(folder), connection, used_prefix) if is_here else None
        self._reader = ArenaReader(str(folder)) if is_here else None

    @contextlib.contextmanager
    def stored(self, bodies: Sequence[tuple[str, Encoded]]) -> Iterator[Stored]:
        """Find places for bodies while their tasks are put in this block, in which they are to be written."""
        stored = self._arena.announce(bodies) if self._arena else Stored({}, [], [])
        try:
            homeless = [(task_id, body) for task_id, body in bodies if task_id not in stored.places]
            self.keep_in_redis((task_id, as_bytes(body)) for task_id, body in homeless)
            stored.places.update((task_id, IN_REDIS) for task_id, _ in homeless)
            yield stored
        finally:
            if self._arena:
                self._arena.settle(stored)

    def keep_in_redis(self, bodies: Iterable[tuple[str, bytes | memoryview]]) -> None:
        """Store bodies in Redis, for some minutes if no script says otherwise."""
        commands = [
            ("SET", self._body_prefix + task_id, bytes(body), "PX", _EXPIRES_MS) for task_id, body in bodies
        ]
        if commands:
            self._connection.call_all(commands)

    def fetch(self, ids_and_places: Sequence[tuple[str, bytes]]) -> list[bytes | memoryview]:
        """The bodies of these tasks, b"" for one that is gone; those in shared memory come as copies."""
        in_redis = [task_id for task_id, place in ids_and_places if place == IN_REDIS]
        kept: dict[str, bytes] = {}
        if in_redis:
            bodies = self._connection.call("MGET", *(self._body_prefix + task_id for task_id in in_redis))
            kept = {task_id: body or b"" for task_id, body in zip(in_redis, bodies, strict=True)}
        return [
            kept[task_id] if place == IN_REDIS else self._copied_out(place, task_id)
            for task_id, place in ids_and_places
        ]

    def lend(self, places: Sequence[bytes]) -> list[Lent | None]:
        """The tasks that can be read where they lie, in shared memory; None for the others."""
        return self._reader.lend(places) if self._reader else [None] * len(places)

    def _copied_out(self, place: bytes, task_id: str) -> bytes | memoryview:
        return (self._reader and self._reader.read(place, task_id)) or b""

    def close(self) -> None:
        """Remove what holds no task any more."""
        if self._arena:
            self._arena.close()
