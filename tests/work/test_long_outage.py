"""A Redis that was away for long is found again."""

from __future__ import annotations

import pytest

from toolkit.errors import QueueUnavailable
from toolkit.work.connection import RedisConnection
from toolkit.work.redis_server import RedisServer


def test_any_number_of_calls_may_fail_before_redis_is_back() -> None:
    server = RedisServer()
    try:
        connection = RedisConnection(server.start())
        server.stop()
        for _ in range(150):
            with pytest.raises(QueueUnavailable):
                connection.call("PING")
        again = RedisConnection(server.start())
        assert again.call("PING")
        connection.close()
        again.close()
    finally:
        server.stop()
