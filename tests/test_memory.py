"""What becomes of the memory that a network computes in."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

_COMPUTES = """
import resource, sys, threading
from toolkit.memory import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()

def compute():
    # As a network does: more than a heap of 64 MB at a time, and nothing of it when the call is over.
    for _ in range(10):
        before = [b"1" * (size * 1_000_000) for size in (25, 6, 29, 25, 12, 3)]
        del before

def faults():
    started = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    thread = threading.Thread(target=compute)
    thread.start()
    thread.join()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - started

faults()
print(faults())
"""


def _faults(how: str) -> int:
    ran = subprocess.run([sys.executable, "-c", _COMPUTES, how], capture_output=True, text=True, check=True)
    return int(ran.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to keep memory")
def test_memory_that_was_freed_is_used_again_without_asking_the_kernel() -> None:
    # Ten times 100 MB in pages of 4 KB would be 240,000.
    assert _faults("kept") < _faults("given back") / 5


@pytest.mark.parametrize(("said", "stands"), [(None, "1"), ("0", "0")])
def test_torch_is_asked_for_large_pages_unless_somebody_said_otherwise(said: str | None, stands: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    if said is not None:
        environment["THP_MEM_ALLOC_ENABLE"] = said
    code = "import os, toolkit; print(os.environ['THP_MEM_ALLOC_ENABLE'])"

    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)

    assert out.stdout.strip() == stands
