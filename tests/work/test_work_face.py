"""The face of the work wing: what it names is there, and asking costs nothing heavy."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys

import pytest

import toolkit.work


def test_every_name_of_the_face_is_there():
    for name in toolkit.work.__all__:
        assert getattr(toolkit.work, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Task_Queue'"):
        _ = toolkit.work.Task_Queue


def test_the_wing_needs_no_torch_no_opencv_and_no_other_wing():
    code = (
        "import sys, toolkit.work.worker_pool;"
        "bad = ('torch', 'cv2', 'av', 'mlflow', 'toolkit.live', 'toolkit.models', 'toolkit.data');"
        "sys.exit(str([name for name in sys.modules if name in bad]) if set(bad) & set(sys.modules) else 0)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("room", ["handlers", "task_queue", "worker_pool"])
def test_the_examples_in_the_docstrings_run(room):
    outcome = doctest.testmod(importlib.import_module(f"toolkit.work.{room}"))

    assert outcome.attempted > 0
    assert outcome.failed == 0
