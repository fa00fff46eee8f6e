"""Cores that are shared out among those who compute."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.cores import Cores, one_core, usable_cores


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


def test_a_container_without_a_quota_may_use_what_the_process_may_run_on(tmp_path: Path) -> None:
    without_any = usable_cores(tmp_path / "no cgroup")
    (tmp_path / "cpu.max").write_text("max 100000\n")

    assert usable_cores(tmp_path) == without_any >= 1


@pytest.mark.parametrize("told", ["100000 100000\n", "40000 100000\n"])
def test_a_container_with_a_quota_of_one_core_or_less_may_use_one(tmp_path: Path, told: str) -> None:
    (tmp_path / "cpu.max").write_text(told)

    assert usable_cores(tmp_path) == 1


def test_the_older_kind_of_quota_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("50000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")

    assert usable_cores(tmp_path) == 1


def test_a_quota_of_a_core_and_a_half_is_worth_two_where_there_are_two(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000")

    assert usable_cores(tmp_path) == min(2, usable_cores(tmp_path / "no cgroup"))


def test_a_quota_that_makes_no_sense_is_none(tmp_path: Path) -> None:
    for told in ("", "100000 0", "-1 100000", "many"):
        (tmp_path / "cpu.max").write_text(told)
        assert usable_cores(tmp_path) == usable_cores(tmp_path / "no cgroup")
