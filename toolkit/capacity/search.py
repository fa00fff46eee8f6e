"""The largest number that passes, where passing is a matter of chance too: tried is what is least known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, expit

Trial = tuple[int, bool]
"""A number, and whether it passed."""

_FAILS_BY_ACCIDENT = 0.1
"""Share of runs that fail at a number far below the edge: a hiccup of the machine."""

_PASSES_BY_ACCIDENT = 0.02
"""Share of runs that pass far above it: a short run was lucky."""

_WIDTHS = np.array([0.02, 0.04, 0.08, 0.16])
"""How soft an edge may be, as a share of its number; which one it is, the runs tell."""

_RUNS_OF_A_SIDE = 4
"""Fewer of the answer, or of the number after it, say too little to be told."""


@dataclass(frozen=True)
class Plan:
    """How a search goes on.

    Attributes:
        next: the number to try next; None when the answer is found.
        passes: the answer so far: the largest number of which half of all runs pass, as likely too small as
            too large, or the next smaller one that was seen to pass; 0 when that is none.
        least: the answer is at least this,
        most: and at most this, with a probability of 95 % together.
        within: how far off the answer may be: one, or a tenth of it,
        sure: and with which probability it is no farther off.
    """

    next: int | None
    passes: int
    least: int
    most: int
    within: int
    sure: float


def plan(trials: Iterable[Trial], first: int, most: int, runs: int = 36, sure: float = 0.98) -> Plan:
    """What a search should try next, given all it has tried: so it can be broken off and taken up anywhere.

    After ``first`` it tries the median of what is probable, or the number after it, whichever was tried less:
    far from the edge that halves what is left, at the edge it weighs both sides in turns, so that a slow
    minute falls on both. It ends when that is within one (or a tenth) of the truth with the probability
    ``sure``, or after so many ``runs``.

    Args:
        trials: of every run so far.
        first: the number to begin with.
        most: the largest number to try.
        runs: see above.
        sure: see above.

    Source: Watson, Pelli: QUEST: A Bayesian adaptive psychometric method, Perception & Psychophysics 1983,
    with a width of the edge that is not known beforehand.
    """
    known = list(trials)
    share = np.cumsum(answer_shares(known, most))
    middle, low, high = (int(np.searchsorted(share, q)) for q in (0.5, 0.025, 0.975))
    times = Counter(number for number, _ in known)
    sides = [number for number in (middle, middle + 1) if 1 <= number <= most]
    is_found = _surely_within(share, middle)[1] >= sure and all(times[n] >= _RUNS_OF_A_SIDE for n in sides)
    following = min(sides, key=lambda number: times[number]) if known else min(first, most)
    # After few runs the middle is a guess: no machine is said to carry what it was never seen to carry.
    answer = max((number for number, is_pass in known if is_pass and number <= middle), default=0)
    is_over = is_found or len(known) >= runs
    return Plan(
        None if is_over else following, answer, min(low, answer), high, *_surely_within(share, answer)
    )


def _surely_within(share: np.ndarray, answer: int) -> tuple[int, float]:
    """How far off an answer may be, and how probable it is that it is no farther off."""
    within = max(1, answer // 10)
    below = share[answer - within - 1] if answer > within else 0.0
    return within, min(1.0, float(share[min(answer + within, len(share) - 1)] - below))


def answer_shares(trials: Sequence[Trial], most: int) -> np.ndarray:
    """How probable each answer is, 0 to ``most``, (most + 1,); before any trial all scales are alike.

    A run with n passes with the probability

        p(n) = a + (1 - a - b) / (1 + exp((ln n - ln m) / w))

    where m is the edge, w its width, a and b the shares of what happens by accident; the answer is the whole
    part of m. All m and w of a grid are weighed by how well they explain the trials.
    """
    edges = np.geomspace(0.7, 1.4 * most, 600)
    log_weight = np.zeros((len(_WIDTHS), len(edges)))
    for number, is_pass in trials:
        softly = expit((np.log(edges) - np.log(number)) / _WIDTHS[:, None])
        passes = _PASSES_BY_ACCIDENT + (1 - _PASSES_BY_ACCIDENT - _FAILS_BY_ACCIDENT) * softly
        log_weight += np.log(passes if is_pass else 1 - passes)
    weight = np.exp(log_weight - log_weight.max()).sum(axis=0)
    answers = np.minimum(edges.astype(int), most)
    return np.bincount(answers, weight / weight.sum(), minlength=most + 1)


def probability_of_more(these: Sequence[Trial], those: Sequence[Trial], most: int) -> float:
    """How probable it is that the first carry more than the others; half of what is equal counts."""
    one, other = answer_shares(these, most), answer_shares(those, most)
    more = float(one @ (np.cumsum(other) - other))
    return more + 0.5 * float(one @ other)


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


def statement(trials: Iterable[Trial], found: Plan) -> str:
    """How sure the answer is, in words."""
    known = list(trials)
    passed = Counter(number for number, is_pass in known if is_pass)
    times = Counter(number for number, _ in known)
    sides = [n for n in (found.passes, found.passes + 1) if times[n]]
    counts = ", ".join(f"{n} passed {passed[n]} of {times[n]} runs" for n in sides)
    between = f"{found.least}" if found.least == found.most else f"{found.least} to {found.most}"
    return f"95 % probable: {between}; {counts}" if counts else f"95 % probable: {between}"
