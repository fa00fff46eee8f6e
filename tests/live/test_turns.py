"""So many at a time, in the order in which they came."""

import threading

from waiting import wait_until

from toolkit.live.turns import Turns


def test_no_more_have_a_turn_at_a_time_than_may():
    turns, counting = Turns(2, patience_s=60), threading.Lock()
    at_work, most = 0, 0

    def work() -> None:
        nonlocal at_work, most
        for _ in range(50):
            with turns:
                with counting:
                    at_work += 1
                    most = max(most, at_work)
                threading.Event().wait(0.0001)
                with counting:
                    at_work -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert (most, at_work) == (2, 0)


def test_who_has_had_a_turn_comes_after_those_who_wait():
    turns, order = Turns(1, patience_s=60), []

    def take_one(name: str) -> None:
        with turns:
            order.append(name)

    with turns:
        waiting = threading.Thread(target=take_one, args=("the other",))
        waiting.start()
        wait_until(lambda: turns._line)
    take_one("again")
    waiting.join(10)

    assert order == ["the other", "again"]


def test_who_waits_for_one_that_is_stuck_goes_without_and_no_turn_is_made_of_it():
    turns = Turns(1, patience_s=0.01)
    with turns:
        for _ in range(3):
            with turns:
                pass

    assert turns._free == 1
