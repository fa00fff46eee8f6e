"""Measurements that do not come to a good end."""

import os
import subprocess
import sys
import time
from typing import Any


def never_over(settings: dict[str, Any]) -> dict[str, Any]:
    """Start a process and wait for ever."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open(settings["pid_file"], "w") as file:
        file.write(str(child.pid))
    time.sleep(600)
    return {}


def leaves_a_process(settings: dict[str, Any]) -> dict[str, Any]:
    """Start a process and forget it."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    return {"rate_per_s": 2.0 * settings["turn"], "pid": child.pid, "own_pid": os.getpid()}


def fails(settings: dict[str, Any]) -> dict[str, Any]:
    """Raise."""
    raise RuntimeError("the broker is out to lunch")


def large_pages(settings: dict[str, Any]) -> dict[str, Any]:
    """Tell whether torch is asked for large pages, as a rate."""
    return {"rate_per_s": float(os.environ["THP_MEM_ALLOC_ENABLE"])}
