"""One Redis with time limits: it answers soon, or QueueUnavailable says which one did not."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import redis
from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.retry import Retry

from toolkit.addresses import without_password
from toolkit.errors import ConfigError, QueueUnavailable
from toolkit.work.redis_server import embedded_url

_T = TypeVar("_T")

CONNECT_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 2.0
"""Longest wait for an answer: redis-server itself may pause for a slow disk, seldom longer than a second."""

BLOCK_S = 0.5
"""Longest wait inside Redis in one go: shorter than an answer may take, and a stop is noticed after it."""

_PROBE_TIMEOUT_S = 0.4
_FRESH_S = 0.02
# How Redis says so in commands, in scripts, and to one who waits.
_NO_GROUP = ("NOGROUP", "no such key", "UNBLOCKED")


class GroupMissing(QueueUnavailable):
    """The consumer group of a queue does not exist: the queue is new, or its Redis was emptied."""


class _Line:
    """One connection of redis-py, spoken to directly: its own calls take 40 us, of which these need 10."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._is_up = False
        self._used_at = 0.0
        self._client_id: int | None = None

    def ask(self, command: Sequence[Any], meanwhile: Callable[[], None] | None = None) -> Any:
        self._send((pack_command(tuple(command)),))
        if meanwhile is not None:
            meanwhile()
        answer = self._connection.read_response()
        self._used_at = time.monotonic()
        return answer

    def ask_each(self, commands: Iterable[Sequence[Any]], meanwhile: Callable[[], None]) -> list[Any]:
        """The answers to commands, errors among them; the next is made while Redis works on the last."""
        sent = 0
        for command in commands:
            self._send((pack_command(tuple(command)),))
            sent += 1
        meanwhile()
        return [self._answer_or_error() for _ in range(sent)]

    def ask_all(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        self._send(map(pack_command, commands))
        answers = [self._answer_or_error() for _ in commands]
        for answer in answers:
            if isinstance(answer, redis.ResponseError):
                raise answer
        return answers

    def client_id(self) -> int:
        """The number Redis knows this line by."""
        self._drop_if_dead()
        if self._client_id is None:
            self._client_id = self.ask(("CLIENT", "ID"))
        return self._client_id

    def hang_up(self) -> None:
        self._is_up, self._client_id = False, None
        self._connection.disconnect()

    def _send(self, packed: Any) -> None:
        self._drop_if_dead()
        self._connection.send_packed_command(packed)
        self._is_up, self._used_at = True, time.monotonic()

    def _drop_if_dead(self) -> None:
        # Asking takes as long as all else here, and no server is started anew within so short a time.
        if not self._is_up or time.monotonic() - self._used_at < _FRESH_S:
            return
        # Nothing is due: what can be read is the end, as of a server that was started anew meanwhile.
        try:
            is_dead = self._connection.can_read(timeout=0)
        except (redis.ConnectionError, OSError):
            is_dead = True
        if is_dead:
            self.hang_up()

    def _answer_or_error(self) -> Any:
        try:
            return self._connection.read_response()
        except redis.ResponseError as error:
            # What it was raised through would hold it, and be held by it, until garbage is collected.
            return error.with_traceback(None)


class RedisConnection:
    """Connections to one Redis, for any number of threads; opened when first needed.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://`` address. None takes REDIS_URL from the environment,
            else the server this process shares (:func:`toolkit.work.redis_server.embedded_url`).

    Raises:
        ConfigError: the address is none.
        QueueUnavailable: there is no address and no redis-server to start.
    """

    def __init__(self, url: str | None = None) -> None:
        self.url = url or os.environ.get("REDIS_URL") or embedded_url()
        self.address = without_password(self.url)
        self._client = self._connect(CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S)
        self._hashes: dict[str, str] = {}
        self._lines: list[_Line] = []
        self._pid = os.getpid()
        self._waiting_ids: set[int] = set()

    def call(self, *command: Any) -> Any:
        """Run one command; the answer is as Redis sent it, texts as bytes.

        Raises:
            QueueUnavailable: no answer in time, or Redis refuses the command.
        """
        return self._with_line(lambda line: line.ask(command))

    def call_all(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Run commands in one go, at a tenth of the cost of each; raises as :meth:`call`, the first error."""
        return self._with_line(lambda line: line.ask_all(list(commands)))

    def run(
        self, script: str, keys: list[str], *args: Any, meanwhile: Callable[[], None] | None = None
    ) -> Any:
        """Run one Lua script, loading it when this Redis does not know it yet. Raises as :meth:`call`.

        ``meanwhile`` is called between sending and waiting for the answer.
        """
        command = ("EVALSHA", self._hash(script), len(keys), *keys, *args)

        def ask(line: _Line) -> Any:
            try:
                return line.ask(command, meanwhile)
            except redis.exceptions.NoScriptError:
                return line.ask(("EVAL", script, *command[2:]))

        return self._with_line(ask)

    def run_each(
        self, script: str, keys: list[str], calls: Iterable[Sequence[Any]], meanwhile: Callable[[], None]
    ) -> list[Any]:
        """Run a script with one sequence of arguments after the other; as :meth:`run`.

        Redis works on one while the next one is made. When one fails, the others are done all the same.
        """
        head = ("EVALSHA", self._hash(script), len(keys), *keys)
        sent: list[tuple[Any, ...]] = []

        def commands() -> Iterator[tuple[Any, ...]]:
            for args in calls:
                sent.append((*head, *args))
                yield sent[-1]

        def ask(line: _Line) -> list[Any]:
            answers = line.ask_each(commands(), meanwhile)
            for number, answer in enumerate(answers):
                if isinstance(answer, redis.exceptions.NoScriptError):
                    answers[number] = line.ask(("EVAL", script, *sent[number][2:]))
                elif isinstance(answer, redis.ResponseError):
                    raise answer
            return answers

        return self._with_line(ask)

    def wait(self, *command: Any) -> Any:
        """Run one command that may wait inside Redis, at most :data:`BLOCK_S`; :meth:`wake` ends the wait."""

        def ask(line: _Line) -> Any:
            client_id = line.client_id()
            self._waiting_ids.add(client_id)
            try:
                return line.ask(command)
            finally:
                self._waiting_ids.discard(client_id)

        return self._with_line(ask)

    def wake(self) -> None:
        """End every :meth:`wait` of this process now, with the answer that nothing came."""
        for client_id in list(self._waiting_ids):
            self.call("CLIENT", "UNBLOCK", client_id)

    def is_available(self) -> bool:
        """Whether Redis answers now; known within a second."""
        with contextlib.suppress(redis.RedisError, OSError), self._connect(*[_PROBE_TIMEOUT_S] * 2) as probe:
            return bool(probe.ping())
        return False

    def health(self) -> dict[str, Any]:
        """``reachable``, ``address``, ``round_trip_ms``, ``redis_version``, ``memory_mb``; or ``error``.

        Never raises, and is back within a second.
        """
        try:
            with self._connect(*[_PROBE_TIMEOUT_S] * 2) as probe:
                info = probe.info()
                start = time.perf_counter()
                probe.ping()
                round_trip_ms = (time.perf_counter() - start) * 1000
        except (redis.RedisError, OSError) as error:
            return {"reachable": False, "address": self.address, "error": without_password(str(error))}
        return {
            "reachable": True,
            "address": self.address,
            "round_trip_ms": round(round_trip_ms, 3),
            "redis_version": info["redis_version"],
            "memory_mb": round(info["used_memory"] / 1e6, 1),
        }

    def close(self) -> None:
        """Close every connection that is not in use; one that is needed later is opened again."""
        while self._lines:
            self._lines.pop().hang_up()

    def _hash(self, script: str) -> str:
        if (known := self._hashes.get(script)) is None:
            known = self._hashes[script] = hashlib.sha1(script.encode()).hexdigest()
        return known

    def _with_line(self, use: Callable[[_Line], _T]) -> _T:
        """Use a line that nobody else uses meanwhile; what goes wrong is told in our words."""
        if os.getpid() != self._pid:
            # Those of before are the parent's, which may be using them now.
            self._lines, self._pid, self._waiting_ids = [], os.getpid(), set()
        try:
            line = self._lines.pop()
        except IndexError:
            line = _Line(self._client.connection_pool.make_connection())
        try:
            answer = use(line)
        except redis.ResponseError as error:
            self._lines.append(line)
            raise self._refusal(error) from error
        except BaseException as error:
            # Its answer may still come, and must not become that of the next command.
            line.hang_up()
            if isinstance(error, redis.RedisError | OSError):
                raise self._absence(error) from error
            raise
        self._lines.append(line)
        return answer

    def _connect(self, connect_timeout_s: float, answer_timeout_s: float) -> redis.Redis:
        try:
            client = redis.Redis.from_url(
                self.url,
                socket_connect_timeout=connect_timeout_s,
                socket_timeout=answer_timeout_s,
                # No retries: a command whose answer was lost may have been done; a second would do it twice.
                retry=Retry(NoBackoff(), 0),
                # redis-py counts lines that were lost in an outage as open: its own limit of 100 is for ever.
                max_connections=1 << 30,
                # One shape of answers over all versions of redis-py.
                protocol=2,
            )
        except (ValueError, TypeError):
            # Without the cause: its text may quote a part of the address with the password in it.
            raise ConfigError(
                f"{self.address!r} is no address of a Redis; expected redis://HOST:PORT/0 or unix:///PATH"
            ) from None
        return client

    def _refusal(self, error: redis.ResponseError) -> QueueUnavailable:
        if any(words in str(error) for words in _NO_GROUP):
            return GroupMissing(f"Redis at {self.address} has no such queue yet: {error}")
        hint = "; fetch or clear() what waits, or give it more memory" if "maxmemory" in str(error) else ""
        return QueueUnavailable(f"Redis at {self.address} refuses: {error}{hint}")

    def _absence(self, error: Exception) -> QueueUnavailable:
        return QueueUnavailable(
            f"Redis at {self.address} does not answer ({type(error).__name__}: "
            f"{without_password(str(error))}); start it, or check REDIS_URL"
        )
