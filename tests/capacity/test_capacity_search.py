"""The search finds the knee of a machine whose knee is known, also when chance has its say."""

import numpy as np
import pytest

from toolkit.capacity.search import answer_shares, pass_rate_interval, plan, probability_of_more, statement


def searched(passes, first=4, most=64, **settings):
    """Trials of a machine, and the plan at their end."""
    trials = []
    while (now := plan(trials, first, most, **settings)).next is not None:
        trials.append((now.next, bool(passes(now.next))))
        assert len(trials) < 200
    return trials, now


@pytest.mark.parametrize("knee", [0, 1, 2, 3, 4, 5, 7, 8, 13, 19])
@pytest.mark.parametrize("first", [1, 4, 50])
def test_the_knee_of_a_steady_machine_is_found(knee, first):
    trials, found = searched(lambda n: n <= knee, first=first)

    assert found.passes == knee
    assert found.least <= knee <= found.most
    assert found.sure >= 0.98
    assert len(trials) <= 20


@pytest.mark.parametrize("knee", [31, 32, 63, 64, 100])
def test_where_many_are_carried_the_answer_is_within_a_tenth(knee):
    trials, found = searched(lambda n: n <= knee)

    assert abs(found.passes - min(knee, 64)) <= found.within == found.passes // 10
    assert len(trials) <= 20


def test_a_machine_with_a_soft_knee_is_found_within_one_camera_twice():
    def noisy(seed):
        rng = np.random.default_rng(seed)
        # A tenth of the runs fails anyway, and from 7 to 11 the rest does so more and more often.
        return lambda n: rng.random() < 0.9 / (1 + np.exp(2 * (n - 9.5)))

    answers = [searched(noisy(seed))[1].passes for seed in range(30)]
    twice = np.abs(np.subtract.outer(answers, answers))

    assert np.median(answers) == 9
    assert np.mean(twice <= 1) >= 0.9


def test_one_unlucky_run_does_not_change_the_answer():
    unlucky = iter([False])

    _, found = searched(lambda n: n <= 10 and (n != 8 or next(unlucky, True)))

    assert found.passes == 10


def test_a_search_that_was_broken_off_goes_on_where_it_was():
    trials, found = searched(lambda n: n <= 10)

    for end in range(len(trials)):
        assert plan(trials[:end], 4, 64).next == trials[end][0]
    assert plan(trials, 4, 64) == found
    assert (found.next, found.passes) == (None, 10)


def test_a_search_ends_after_so_many_runs_and_says_how_little_it_knows():
    trials, found = searched(lambda n: n <= 10, runs=3)

    assert len(trials) == 3
    assert found.sure < 0.9
    assert found.most - found.least > 2


def test_both_sides_of_the_edge_are_run_by_turns():
    trials, _ = searched(lambda n: n <= 10)

    at_the_edge = [number for number, _ in trials if number in (10, 11)]
    assert abs(at_the_edge.count(10) - at_the_edge.count(11)) <= 1
    assert all(at_the_edge[:k].count(11) - k / 2 <= 1 for k in range(len(at_the_edge)))


def test_before_any_run_every_scale_is_alike():
    shares = answer_shares([], 64)

    assert shares.sum() == pytest.approx(1)
    assert shares[4:8].sum() == pytest.approx(shares[16:32].sum(), rel=0.05)


def test_which_of_two_carries_more_and_how_probably():
    ten, _ = searched(lambda n: n <= 10)
    thirteen, _ = searched(lambda n: n <= 13)

    assert probability_of_more(thirteen, ten, 64) > 0.99
    assert probability_of_more(ten, thirteen, 64) < 0.01
    assert probability_of_more(ten, ten, 64) == pytest.approx(0.5)


def test_how_sure_a_share_is():
    # Clopper and Pearson's limits as R's binom.test gives them.
    assert pass_rate_interval(5, 5) == pytest.approx((0.4781762, 1.0), abs=1e-6)
    assert pass_rate_interval(3, 5) == pytest.approx((0.1466328, 0.9472550), abs=1e-6)
    assert pass_rate_interval(0, 3) == pytest.approx((0.0, 0.7075982), abs=1e-6)


def test_the_answer_says_how_sure_it_is():
    words = statement(*searched(lambda n: n <= 10))

    assert words == "95 % probable: 9 to 11; 10 passed 5 of 5 runs, 11 passed 0 of 4 runs"
    assert statement(*searched(lambda n: False)).startswith("95 % probable: 0; 1 passed 0 of")
    assert statement(*searched(lambda n: True, most=4)).startswith("95 % probable: 4; 4 passed")
