"""The program from its first moment to its last, interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

_SLOW_TO_LOAD = "print('now', flush=True); import time; time.sleep(60)"
_SLOW_TO_END = """
import atexit, sys, time
from toolkit.program import main

atexit.register(time.sleep, 60)
atexit.register(print, "now", flush=True)
sys.argv = ["toolkit", "--help"]
main()
"""


@pytest.mark.parametrize("words", [["-m", "toolkit.program"], ["-c", _SLOW_TO_END]], ids=["begins", "ends"])
def test_ctrl_c_while_python_begins_or_ends_shows_no_traceback(tmp_path, words):
    if "-m" in words:
        (tmp_path / "click.py").write_text(_SLOW_TO_LOAD)
    process = subprocess.Popen(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "now\n" in process.stdout
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)

    assert (process.returncode, said) == (-signal.SIGINT, "")
