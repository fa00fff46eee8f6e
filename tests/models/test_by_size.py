"""A runtime for each size of picture."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from toolkit.models.runtimes.by_size import MOST_SIZES, RuntimesBySize, SizeHw


def opener(asked: list[tuple[SizeHw, str | None]]) -> Callable[[SizeHw, str | None], SimpleNamespace]:
    """Remembers what it was asked for."""

    def open_for(size_hw: SizeHw, name: str | None) -> SimpleNamespace:
        asked.append((size_hw, name))
        return SimpleNamespace(name=name or "quickest", size_px=size_hw)

    return open_for


def test_while_a_size_is_opened_only_those_wait_who_ask_for_it() -> None:
    asked: list[tuple[SizeHw, str | None]] = []
    begun, may_go = threading.Event(), threading.Event()

    def open_for(size_hw: SizeHw, name: str | None) -> SimpleNamespace:
        if size_hw == (64, 36):
            begun.set()
            assert may_go.wait(10)
        return opener(asked)(size_hw, name)

    runtimes = RuntimesBySize(open_for)
    wide = runtimes((36, 64))
    with ThreadPoolExecutor(3) as pool:
        high = [pool.submit(runtimes, (64, 36)) for _ in range(2)]
        assert begun.wait(10)
        try:
            assert pool.submit(runtimes, (36, 64)).result(10) is wide
        finally:
            may_go.set()

    assert high[0].result() is high[1].result()
    assert asked == [((36, 64), None), ((64, 36), "quickest")]


def test_the_size_that_nobody_asked_for_longest_is_let_go() -> None:
    asked: list[tuple[SizeHw, str | None]] = []
    runtimes = RuntimesBySize(opener(asked))

    for side_px in range(MOST_SIZES):
        runtimes((side_px, 64))
    runtimes((0, 64))
    runtimes((MOST_SIZES, 64))
    asked.clear()
    for side_px in (0, 2, 1):
        runtimes((side_px, 64))

    assert [size_hw for size_hw, _ in asked] == [(1, 64)]


def test_a_size_that_could_not_be_opened_is_tried_again() -> None:
    failures = iter([OSError("the cache is full")])

    def open_for(size_hw: SizeHw, name: str | None) -> SimpleNamespace:
        if failure := next(failures, None):
            raise failure
        return SimpleNamespace(name="torch")

    runtimes = RuntimesBySize(open_for)

    with pytest.raises(OSError, match="full"):
        runtimes((36, 64))
    assert runtimes((36, 64)).name == "torch"
