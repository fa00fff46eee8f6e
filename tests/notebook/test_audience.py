"""Whether somebody looks, told from a heartbeat."""

import asyncio

import pytest
from fakes import FakeClock

from toolkit.notebook.audience import Audience


def seconds_until_gone(clock, audience, most: int, busy: bool = False) -> int | None:
    """Ask once a second while the kernel's loop turns, or does not."""

    async def ask() -> int | None:
        for second in range(1, most + 1):
            clock.advance(1.0)
            if audience.is_gone():
                return second
            if not busy:
                await asyncio.sleep(0)
        return None

    return audience._loop.run_until_complete(ask())


@pytest.fixture
def made():
    """Makes audiences as a notebook does, in a loop that runs."""
    loop = asyncio.new_event_loop()

    def make(patience_s: float | None = 10.0) -> tuple[FakeClock, Audience]:
        async def in_loop() -> tuple[FakeClock, Audience]:
            clock = FakeClock()
            return clock, Audience(patience_s, clock)

        return loop.run_until_complete(in_loop())

    yield make
    loop.close()


def beat(audience: Audience) -> None:
    audience.widget.value += 1


def test_a_page_that_beat_and_falls_silent_is_gone(made):
    clock, audience = made(patience_s=10)
    for _ in range(20):
        beat(audience)
        assert seconds_until_gone(clock, audience, 1) is None

    assert 11 <= seconds_until_gone(clock, audience, 40) <= 15


def test_a_run_that_no_page_ever_showed_is_not_left(made):
    assert seconds_until_gone(*made(), most=100) is None


def test_a_kernel_that_is_busy_with_a_cell_hears_no_beat_and_does_not_conclude_from_it(made):
    clock, audience = made(patience_s=10)
    beat(audience)

    assert seconds_until_gone(clock, audience, 100, busy=True) is None


def test_a_page_that_is_back_in_time_counts_anew(made):
    clock, audience = made(patience_s=10)
    beat(audience)
    assert seconds_until_gone(clock, audience, 8) is None
    beat(audience)

    assert seconds_until_gone(clock, audience, 8) is None


def test_a_silent_page_is_asked_to_beat_again(made):
    clock, audience = made()
    seconds_until_gone(clock, audience, 5)
    assert audience.widget.playing


def test_without_patience_nobody_is_ever_gone(made):
    clock, audience = made(patience_s=None)
    beat(audience)

    assert seconds_until_gone(clock, audience, 1000) is None


def test_a_script_without_a_loop_has_no_audience():
    assert not Audience(1.0, FakeClock()).is_gone()
