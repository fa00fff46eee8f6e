"""So many at a time, in the order in which they came."""

import threading
import time

from waiting import wait_until

from toolkit.live.turns import Turns


def test_no_more_have_a_turn_at_a_time_than_may():
    turns, inside, at_work = Turns(2, patience_s=60), Inside(), []

    def work() -> None:
        for _ in range(50):
            with turns, inside as so_many:
                at_work.append(so_many)
                threading.Event().wait(0.0001)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len(at_work) == 300
    assert max(at_work) == 2


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


def test_who_goes_ahead_comes_before_those_who_wait():
    turns, order = Turns(1, patience_s=60), []

    def take_one(name: str, turn) -> None:
        with turn:
            order.append(name)

    threads = []
    with turns:
        for name, turn in (("first", turns), ("second", turns), ("ahead", turns.ahead())):
            threads.append(threading.Thread(target=take_one, args=(name, turn)))
            threads[-1].start()
            wait_until(lambda: len(turns._line) == len(threads))
    for thread in threads:
        thread.join(10)

    assert order == ["ahead", "first", "second"]
    assert not turns._held


def test_who_waits_for_one_that_is_stuck_takes_its_turn_and_no_second_one_is_made_of_it():
    turns, is_unstuck = Turns(1, patience_s=0.01), threading.Event()

    def stick():
        with turns:
            is_unstuck.wait(10)

    stuck = threading.Thread(target=stick)
    stuck.start()
    wait_until(lambda: turns._held)
    with turns:
        is_unstuck.set()
        stuck.join(10)
        assert list(turns._held) == [threading.get_ident()], "who comes back late hands nothing on"

    assert not turns._held


def test_of_a_line_that_stands_still_only_the_first_goes_on():
    turns, is_unstuck, inside, most = Turns(1, patience_s=0.3), threading.Event(), Inside(), []

    def stick():
        with turns:
            is_unstuck.wait(10)

    def take_one():
        with turns, inside as so_many:
            most.append(so_many)
            time.sleep(0.05)

    stuck = threading.Thread(target=stick)
    stuck.start()
    wait_until(lambda: turns._held)
    threads = [threading.Thread(target=take_one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    is_unstuck.set()
    stuck.join(10)

    assert most == [1] * 8


def test_a_line_that_moves_is_waited_in_however_long_it_is():
    turns, inside, most = Turns(1, patience_s=0.5), Inside(), []

    def take_one():
        with turns, inside as so_many:
            most.append(so_many)
            time.sleep(0.08)

    threads = [threading.Thread(target=take_one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert most == [1] * 12


class Inside:
    """Counts who is inside."""

    def __init__(self) -> None:
        self._count, self._lock = 0, threading.Lock()

    def __enter__(self) -> int:
        with self._lock:
            self._count += 1
            return self._count

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._count -= 1
