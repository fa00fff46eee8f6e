"""The largest number that passes, where passing is a matter of chance too: doubling, then halving."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scipy.special import betaincinv


@dataclass(frozen=True)
class Plan:
    """How a search goes on.

    Attributes:
        next: the number to try next; None when the answer is found.
        passes: the largest number known to pass; 0 when none is.
        fails: the smallest number known to fail; None when none is.
    """

    next: int | None
    passes: int
    fails: int | None


def plan(
    trials: Iterable[tuple[int, bool]], first: int, most: int, runs: int = 3, confirm_runs: int = 5
) -> Plan:
    """What a search should try next, given all it has tried: so it can be broken off and taken up anywhere.

    From ``first`` on the number doubles until one fails, then the space between is halved. A number passes or
    fails when more than half of ``runs`` say so. At the end the number that passes and the one after it are
    tried until more than half of ``confirm_runs`` agree; where they do not, the search goes on from there.

    Args:
        trials: number and whether it passed, of every run so far.
        first: the number to begin with.
        most: the largest number to try.
        runs: see above.
        confirm_runs: see above.
    """
    counts: dict[int, list[int]] = {}
    for number, is_pass in trials:
        counts.setdefault(number, [0, 0])[bool(is_pass)] += 1

    def passed(number: int, most_runs: int) -> bool | None:
        failures, passes = counts.get(number, [0, 0])
        return None if max(failures, passes) <= most_runs // 2 else passes > failures

    # Doubling: up to the first that fails.
    low, high, number = 0, None, min(first, most)
    while high is None and low < most:
        verdict = passed(number, runs)
        if verdict is None:
            return Plan(number, low, None)
        if verdict:
            low, number = number, min(2 * number, most)
        else:
            high = number
    # Bisection between the two.
    while high is not None and high - low > 1:
        middle = (low + high) // 2
        verdict = passed(middle, runs)
        if verdict is None:
            return Plan(middle, low, high)
        low, high = (middle, high) if verdict else (low, middle)
    # Both sides of the edge once more, in turns, so that a slow minute falls on both; a number whose verdict
    # turns moves the edge.
    for edge in sorted((low, high or 0), key=lambda edge: sum(counts.get(edge, [0, 0]))):
        if edge and passed(edge, confirm_runs) is None:
            return Plan(edge, low, high)
    return Plan(None, low, high)


def pass_rate_interval(passes: int, runs: int, level: float = 0.95) -> tuple[float, float]:
    """Between which shares the true share of passes lies, at this confidence.

        lower = B(alpha/2; k, n - k + 1),  upper = B(1 - alpha/2; k + 1, n - k)

    with B the quantile of the beta distribution; exact, and wide where runs are few.

    Source: Clopper, Pearson: The Use of Confidence or Fiducial Limits Illustrated in the Case of the
    Binomial, Biometrika 1934.
    """
    tail = (1 - level) / 2
    lower = 0.0 if passes == 0 else float(betaincinv(passes, runs - passes + 1, tail))
    upper = 1.0 if passes == runs else float(betaincinv(passes + 1, runs - passes, 1 - tail))
    return lower, upper


def statement(trials: Iterable[tuple[int, bool]], found: Plan) -> str:
    """How sure the answer is, in words."""
    known = list(trials)
    if not found.passes:
        return f"not even {found.fails} passed: " + _passed(known, found.fails or 1)
    words = _passed(known, found.passes)
    if found.fails is None:
        return f"{words}; more were not tried"
    return f"{words}; {_passed(known, found.fails)}"


def _passed(trials: list[tuple[int, bool]], number: int) -> str:
    verdicts = [passed for tried, passed in trials if tried == number]
    lower, upper = pass_rate_interval(sum(verdicts), len(verdicts))
    sure = f"95 % confidence: {lower:.0%} to {upper:.0%} of all runs would"
    return f"{number} passed {sum(verdicts)} of {len(verdicts)} runs ({sure})"
