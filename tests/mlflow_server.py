"""A real ``mlflow server`` for a test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waiting import wait_until


@contextmanager
def mlflow_server(store: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Serve the store; yields the process, which leads a group of its own, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store]
    command += ["--artifacts-destination", str(folder / "kept")]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, env=os.environ | settings, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until(lambda: _is_healthy(address) or process.poll() is not None, 180)
        assert process.poll() is None, (folder / "server.log").read_text()
        yield process, address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
