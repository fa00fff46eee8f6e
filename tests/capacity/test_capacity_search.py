"""The search finds the knee of a machine whose knee is known, also when chance has its say."""

import numpy as np
import pytest

from toolkit.capacity.search import Plan, pass_rate_interval, plan, statement


def searched(passes, first=4, most=64, **settings):
    """Trials of a machine, and the plan at their end."""
    trials = []
    while (now := plan(trials, first, most, **settings)).next is not None:
        trials.append((now.next, bool(passes(now.next))))
        assert len(trials) < 200
    return trials, now


@pytest.mark.parametrize("knee", [0, 1, 2, 3, 4, 5, 7, 8, 13, 31, 32, 63, 64, 100])
@pytest.mark.parametrize("first", [1, 4, 50])
def test_the_knee_of_a_steady_machine_is_found(knee, first):
    trials, found = searched(lambda n: n <= knee, first=first)

    assert found.passes == min(knee, 64)
    assert found.fails == (knee + 1 if knee < 64 else None)
    assert len(trials) <= 2 * 2 * 7 + 6


def test_a_machine_with_a_soft_knee_is_found_within_one_camera_twice():
    def noisy(seed):
        rng = np.random.default_rng(seed)
        # Certain below 18 and above 22, and a coin that turns slowly in between.
        return lambda n: rng.random() < 1 / (1 + np.exp(2.5 * (n - 20)))

    answers = [searched(noisy(seed))[1].passes for seed in range(40)]

    assert 19 <= np.median(answers) <= 20
    assert np.mean([abs(answer - 19.5) <= 1.5 for answer in answers]) >= 0.9


def test_one_unlucky_run_does_not_change_the_answer():
    unlucky = iter([False])

    _, found = searched(lambda n: n <= 10 and (n != 8 or next(unlucky, True)))

    assert found.passes == 10


def test_a_search_that_was_broken_off_goes_on_where_it_was():
    trials, found = searched(lambda n: n <= 10)

    for end in range(len(trials)):
        assert plan(trials[:end], 4, 64).next == trials[end][0]
    assert plan(trials, 4, 64) == found == Plan(None, 10, 11)


def test_how_sure_a_share_is():
    # Clopper and Pearson's limits as R's binom.test gives them.
    assert pass_rate_interval(5, 5) == pytest.approx((0.4781762, 1.0), abs=1e-6)
    assert pass_rate_interval(3, 5) == pytest.approx((0.1466328, 0.9472550), abs=1e-6)
    assert pass_rate_interval(0, 3) == pytest.approx((0.0, 0.7075982), abs=1e-6)


def test_the_answer_says_how_sure_it_is():
    trials, found = searched(lambda n: n <= 10)

    assert statement(trials, found).startswith(
        "10 passed 3 of 3 runs (95 % confidence: 29% to 100% of all runs"
    )
    assert "; 11 passed 0 of 3 runs" in statement(trials, found)
    assert statement(*searched(lambda n: False)).startswith("not even 1 passed")
    assert statement(*searched(lambda n: True, most=4)).endswith("; more were not tried")
