"""A JupyterLab of its own for a test: private folders, a free port, no pop-ups."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waiting import wait_until

_SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    # Else cells out of sight are not in the page.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}


@contextmanager
def jupyterlab(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Serve ``folder``; yields an address to which a notebook's path is to be added."""
    own = folder / ".jupyter"
    overrides = own / "config" / "labconfig" / "default_setting_overrides.json"
    overrides.parent.mkdir(parents=True)
    overrides.write_text(json.dumps(_SETTINGS))
    places = {
        "IPYTHONDIR": "ipython",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
    }
    private = {name: str(own / place) for name, place in places.items()}
    port, token = _free_port(), secrets.token_hex(8)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--allow-root", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    # Lets the test wait for the kernel; the page's own indicator says idle before there is one.
    command += ["--LabApp.expose_app_in_browser=True"]
    with (own / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, env=os.environ | environment | private, stdout=log, stderr=log, start_new_session=True
        )
        try:
            wait_until(lambda: server.poll() is not None or _answers(port), 60)
            assert server.poll() is None, (own / "server.log").read_text()
            yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token={token}&reset"
        finally:
            # The whole group: its kernels too.
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
