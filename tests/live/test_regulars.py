"""Who is awaited, and who is not."""

from toolkit.live.regulars import Regulars


def visit(regulars, caller, came_at, left_at):
    regulars.came([caller], [came_at])
    regulars.left([caller], left_at)


def test_nobody_waits_for_a_stranger():
    regulars = Regulars(patience_s=1.0)

    visit(regulars, "ann", came_at=0.0, left_at=0.5)

    assert not regulars.awaited


def test_who_came_back_soon_is_awaited_until_it_is_there():
    regulars = Regulars(patience_s=1.0)
    visit(regulars, "ann", came_at=0.0, left_at=0.5)

    visit(regulars, "ann", came_at=0.7, left_at=1.5)
    assert regulars.awaited == {"ann"}

    regulars.came(["ann"], [1.6])
    assert not regulars.awaited


def test_who_came_back_late_is_a_stranger_again():
    regulars = Regulars(patience_s=1.0)
    visit(regulars, "ann", came_at=0.0, left_at=0.5)
    visit(regulars, "ann", came_at=0.7, left_at=1.0)

    visit(regulars, "ann", came_at=5.0, left_at=5.5)

    assert not regulars.awaited


def test_how_long_a_batch_takes_does_not_make_its_callers_late():
    regulars = Regulars(patience_s=1.0)
    visit(regulars, "ann", came_at=0.0, left_at=50.0)

    visit(regulars, "ann", came_at=50.1, left_at=100.0)

    assert regulars.awaited == {"ann"}


def test_who_does_not_come_is_awaited_once():
    regulars = Regulars(patience_s=1.0)
    visit(regulars, "ann", came_at=0.0, left_at=0.5)
    visit(regulars, "ann", came_at=0.6, left_at=1.0)

    regulars.give_up()

    assert not regulars.awaited


def test_callers_that_come_once_are_not_kept_for_ever():
    regulars = Regulars(patience_s=1.0)

    for number in range(5000):
        visit(regulars, number, came_at=float(number), left_at=float(number))

    assert len(regulars._left_at) <= 1024
