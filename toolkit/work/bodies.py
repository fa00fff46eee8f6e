"""Where big tasks lie: in files of shared memory on one host, else in Redis; never in the stream."""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from toolkit.work.codec import Encoded
from toolkit.work.connection import RedisConnection

_log = logging.getLogger(__name__)

APART_BYTES = 32_768
"""A task of so many bytes lies apart. Scripts copy what they move several times: with 2.7 MB frames in the
stream, half as many got through as by plain commands. Below, one more round trip costs as much as they do."""

# So long a body in Redis waits for its task to be put; its sender may have died in between.
_EXPIRES_MS = 600_000
# The ids we give. One from a stranger must not become the name of any other file.
_OUR_ID = re.compile(r"[0-9a-f]{12}-[0-9]+")
_PIECES_AT_ONCE = 512


class Bodies:
    """The big tasks of one queue.

    A server that we started has a folder of shared memory beside its socket, ``bodies``. Whoever reaches the
    socket is on the same host and reaches the folder; a frame is copied into it once and mapped by a worker.
    The folder goes with the server. Redis takes over where there is no such folder, or no room in it.
    """

    def __init__(self, connection: RedisConnection, key_prefix: str) -> None:
        self._connection = connection
        self._key_prefix = key_prefix
        folder = Path(connection.url.removeprefix("unix://")).parent / "bodies"
        # A text: a Path costs as much to join as a small file to open.
        self._folder = str(folder) if connection.url.startswith("unix:///") and folder.is_dir() else None

    def store(self, bodies: Iterable[tuple[str, Encoded]]) -> None:
        """Store bodies by task id, before their tasks are put."""
        commands = [
            ("SET", self._key_prefix + task_id, body.to_bytes(), "PX", _EXPIRES_MS)
            for task_id, body in bodies
            if self._folder is None or not self._write(f"{self._folder}/{task_id}", body)
        ]
        if commands:
            self._connection.call_all(commands)

    def fetch(self, task_ids: Sequence[str]) -> list[bytes | memoryview]:
        """The bodies of these tasks, b"" for one that is gone; files come as private memory, writable."""
        found: dict[str, bytes | memoryview] = {}
        for task_id in task_ids:
            if (mapped := self._map(task_id)) is not None:
                found[task_id] = mapped
        missing = [task_id for task_id in task_ids if task_id not in found]
        if missing:
            bodies = self._connection.call("MGET", *(self._key_prefix + task_id for task_id in missing))
            found.update(zip(missing, (body or b"" for body in bodies), strict=True))
        return [found[task_id] for task_id in task_ids]

    def discard(self, task_ids: Iterable[bytes]) -> None:
        """Remove the files of tasks that are needed no more; Redis has removed its own."""
        for task_id in task_ids:
            if (path := self._path(task_id.decode(errors="replace"))) is not None:
                _unlink(path)

    def _path(self, task_id: str) -> str | None:
        is_ours = self._folder is not None and _OUR_ID.fullmatch(task_id)
        return f"{self._folder}/{task_id}" if is_ours else None

    def _write(self, path: str, body: Encoded) -> bool:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                for start in range(0, len(body.pieces), _PIECES_AT_ONCE):
                    pieces = body.pieces[start : start + _PIECES_AT_ONCE]
                    if os.writev(descriptor, pieces) != sum(map(len, pieces)):
                        raise OSError("shared memory is full")
            finally:
                os.close(descriptor)
        except OSError as error:
            _log.info("a task of %d bytes goes through Redis: %s", body.size, error)
            _unlink(path)
            return False
        return True

    def _map(self, task_id: str) -> memoryview | None:
        path = self._path(task_id)
        if path is None:
            return None
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            # A private copy of each page that is written to: another worker may read the same task.
            return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY))
        except ValueError:
            return None
        finally:
            os.close(descriptor)


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
