"""Cores that are shared out among those who compute."""

from __future__ import annotations

from toolkit.cores import Cores, one_core


def test_threads_are_shared_among_callers() -> None:
    cores = Cores(4)

    with cores.take(3) as first, cores.take(8) as second:
        assert (first, second) == (3, 1)
    with cores.take(8) as alone:
        assert alone == 4


def test_who_shall_take_one_core_takes_one_and_afterwards_all_again() -> None:
    cores = Cores(4)

    with one_core():
        with one_core():
            pass
        with cores.take(8) as modest, cores.take(8) as other:
            assert (modest, other) == (1, 1)
    with cores.take(8) as alone:
        assert alone == 4
