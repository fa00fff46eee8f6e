"""What the C library and torch do with the memory that a network computes in."""

from __future__ import annotations

import ctypes
import os

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Numbers of glibc's ``mallopt``."""

_LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"

_TWO_HEAPS = 128 << 20
"""Bytes. glibc keeps the memory of a thread in heaps of 64 MB, and returns an empty one unless the pad is
larger than what the one before it has free: less than two heaps."""


def keep_freed_memory() -> None:
    """Let the C library keep memory it was given back, where it is glibc.

    Whoever computes with torch on a CPU frees and asks for the same large blocks again and again; returning
    them to the kernel in between cost a fifth of a training's rate in page faults.

    Source: malloc/arena.c of glibc 2.36: ``heap_trim`` returns whole heaps whatever the threshold for
    trimming says. The price: a process stays as large as it once was.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_TRIM_THRESHOLD, -1)
        mallopt(_MMAP_MAX, 0)
        mallopt(_TOP_PAD, _TWO_HEAPS)


def ask_for_large_pages() -> None:
    """Let torch lay its large blocks on pages of 2 MB where the kernel has them; unless the user decided.

    Torch looks for this in the environment, once, when it makes its first tensor: so it is said when the
    toolkit is imported, and this process's children are told too.
    """
    os.environ.setdefault(_LARGE_PAGES, "1")


def torch_as_it_comes() -> dict[str, str]:
    """The environment of a process that is not to gain by what the toolkit asks of torch when imported."""
    return {_LARGE_PAGES: "0"}
