"""What every test may ask for, and what none may leave behind."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Set
from pathlib import Path

import psutil
import pytest
from clips import write_clip

# Before torch is loaded. Tests share their cores, and torch's threads meet after every operation: where one
# has to wait for its core, all do, and a step that takes 5 ms took seconds.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What a script starts in the background ignores Ctrl-C, and so would all that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The embedded Redis is shared by all queues of a process and stopped at its exit.
_LASTING_PROCESSES = ("redis-server",)
# Torch's exporter shows its progress with tqdm, which starts one watching thread for the whole process.
_LASTING_THREADS = ("tqdm_monitor",)

_GRACE_S = 3.0


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    """Fail a test after which a thread or child process is alive that was not there before."""
    threads_before, children_before = set(_threads()), set(_children())
    yield
    deadline = time.monotonic() + _GRACE_S
    while (left := _left_running(threads_before, children_before)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left, f"left running: {', '.join(left)}"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data, from TOOLKIT_DATA."""
    folder = os.environ.get("TOOLKIT_DATA")
    if folder and Path(folder).is_dir():
        return Path(folder)
    reason = "needs real data: set TOOLKIT_DATA to its folder"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An H.264 video, 30 pictures of 640x360, 15 a second; ``clips.number_in`` tells one from another."""
    return write_clip(tmp_path_factory.mktemp("clips") / "numbered.mp4")


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """``new_store(folder)`` puts an empty MLflow store there and gives its address.

    Making its tables takes MLflow seconds; they are made once and copied.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    tables = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{tables}").search_experiments()

    def put(folder: Path) -> str:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(tables, folder / "mlflow.db")
        return f"sqlite:///{folder}/mlflow.db"

    return put


def _left_running(threads_before: set[threading.Thread], children_before: set[psutil.Process]) -> list[str]:
    threads = [
        f"thread {thread.name} ({_where(thread)})" for thread in _threads() if thread not in threads_before
    ]
    children = [f"process {child.pid}" for child in _children() if child not in children_before]
    return threads + children


def _where(thread: threading.Thread) -> str:
    """What it does now, so that whoever started it is found."""
    frame = sys._current_frames().get(thread.ident or 0)
    steps = traceback.extract_stack(frame)[-3:] if frame else []
    return " > ".join(f"{Path(step.filename).name}:{step.lineno} {step.name}" for step in steps)


def _threads() -> list[threading.Thread]:
    lasting = _of_torch()
    running = threading.enumerate()
    return [thread for thread in running if thread.name not in _LASTING_THREADS and thread not in lasting]


def _of_torch() -> Set[threading.Thread]:
    """Torch looks ahead with one pool for the whole process, from its first compilation on."""
    pool = getattr(sys.modules.get("torch.utils._functools"), "_prefetch_executor", None)
    return getattr(pool, "_threads", frozenset())


def _children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if _name(child) not in _LASTING_PROCESSES]


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""
