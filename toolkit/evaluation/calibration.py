"""Does a model know how sure it may be: reliability, temperatures, and the coverage of age intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from toolkit.evaluation.table import YEARS, PredictionTable
from toolkit.evaluation.values import ECE_BINS, age_is_told, ece_bin, expected_calibration_error

INTERVAL_LEVELS = (0.5, 0.8, 0.9, 0.95)
"""How much of the age distribution an interval takes in."""

_SMALLEST = 1e-7
"""Of a probability before its logarithm: single precision makes 1 of what is surer than 1 minus this."""

_SMALLEST_OF_A_YEAR = 1e-30
"""Near 0, single precision goes on: a higher floor would fill the tails when a distribution is widened."""

_WIDEST_LOG = np.log(20.0)


def calibration_of(table: PredictionTable, fitted_on: PredictionTable | None = None) -> dict[str, Any]:
    """How far the told probabilities can be trusted.

    Args:
        table: labels and predictions.
        fitted_on: predictions of other faces, on which the temperatures are fitted; None fits none.

    Returns:
        ``gender``: ``bins`` (``from``, ``to``, ``n``, mean ``probability`` of the told label, how often it is
        right: ``accuracy``), ``ece``, ``nll`` (mean negative log-likelihood); ``age``: ``nll`` of the label's
        years, and ``intervals``: level to ``coverage`` and mean ``width_years``. Each is None where nothing,
        or no distribution, is predicted. With ``fitted_on`` also ``temperature``, and the same figures
        ``at_temperature``.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017: bins in section 2, temperature
        scaling in section 4.2.
    """
    return {"gender": _of_gender(table, fitted_on), "age": _of_age(table, fitted_on)}


def fit_gender_temperature(table: PredictionTable) -> float:
    """The temperature at which the gender probabilities of these faces have the least log loss."""
    return _fit(lambda temperature: _gender_nll(table, temperature))


def fit_age_temperature(table: PredictionTable) -> float:
    """The temperature at which the age distributions of these faces have the least log loss."""
    return _fit(lambda temperature: _age_nll(table, temperature))


def gender_at_temperature(female_probability: np.ndarray, temperature: float) -> np.ndarray:
    """(N,) probabilities whose logits are divided by the temperature; above 1, they are less sure."""
    clipped = np.clip(female_probability, _SMALLEST, 1 - _SMALLEST)
    return 1 / (1 + ((1 - clipped) / clipped) ** (1 / temperature))


def ages_at_temperature(age_distribution: np.ndarray, temperature: float) -> np.ndarray:
    """(N, 101) distributions whose logarithms are divided by the temperature; above 1, they are wider."""
    logs = np.log(np.maximum(age_distribution, _SMALLEST_OF_A_YEAR)) / temperature
    raised = np.exp(logs - logs.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def age_intervals(age_distribution: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """First and last year of the central interval that takes in ``level`` of each distribution; two (N,)."""
    below = np.cumsum(age_distribution, axis=1)
    outside = (1 - level) / 2
    first = (below <= outside).sum(axis=1)
    last = (below < 1 - outside - 1e-9).sum(axis=1)
    return np.minimum(first, YEARS - 1), np.minimum(last, YEARS - 1)


def interval_coverage(table: PredictionTable, age_distribution: np.ndarray, level: float) -> dict[str, float]:
    """How often the label lies in the told interval, and how wide that is.

    Of an age known by an interval only, the share of its years that lie in the told one counts: right on
    average if true ages are spread evenly over their labels.
    """
    says_age = age_is_told(table)
    # The last bin stands for all years from 100 on.
    lo, hi = np.minimum(table.ages_lo, YEARS - 1), np.minimum(table.ages_hi, YEARS - 1)
    first, last = age_intervals(age_distribution, level)
    shared = np.maximum(np.minimum(hi, last) - np.maximum(lo, first) + 1, 0)
    covered = (shared / (hi - lo + 1))[says_age]
    return {"coverage": float(covered.mean()), "width_years": float((last - first + 1).mean())}


def _of_gender(table: PredictionTable, fitted_on: PredictionTable | None) -> dict[str, Any] | None:
    if not _tells_gender(table):
        return None
    told = _gender_figures(table, 1.0)
    if fitted_on is not None and _tells_gender(fitted_on):
        temperature = fit_gender_temperature(fitted_on)
        told |= {"temperature": temperature, "at_temperature": _gender_figures(table, temperature)}
    return told


def _of_age(table: PredictionTable, fitted_on: PredictionTable | None) -> dict[str, Any] | None:
    if not _tells_age_distribution(table):
        return None
    table = _of_told_age(table)
    told = _age_figures(table, 1.0)
    if fitted_on is not None and _tells_age_distribution(fitted_on):
        fitted_on = _of_told_age(fitted_on)
        temperature = fit_age_temperature(fitted_on)
        told |= {"temperature": temperature, "at_temperature": _age_figures(table, temperature)}
    return told


def _of_told_age(table: PredictionTable) -> PredictionTable:
    """The faces whose label says enough of an age: any distribution explains the others."""
    return table.take(np.flatnonzero(age_is_told(table)))


def _gender_figures(table: PredictionTable, temperature: float) -> dict[str, Any]:
    female = gender_at_temperature(table.female_probability, temperature)
    right = ((female > 0.5) == (table.genders == 1)).astype(float)
    probability = np.maximum(female, 1 - female)
    numbers = ece_bin(probability)
    edges = np.linspace(0.5, 1.0, ECE_BINS + 1)
    bins = [
        {
            "from": float(edges[number]),
            "to": float(edges[number + 1]),
            "n": int(inside.sum()),
            "probability": float(probability[inside].mean()),
            "accuracy": float(right[inside].mean()),
        }
        for number in range(ECE_BINS)
        if (inside := numbers == number).any()
    ]
    ece = expected_calibration_error(probability, right)
    return {"bins": bins, "ece": ece, "nll": _gender_nll(table, temperature)}


def _age_figures(table: PredictionTable, temperature: float) -> dict[str, Any]:
    distribution = _distribution(table, temperature)
    intervals = {f"{level:g}": interval_coverage(table, distribution, level) for level in INTERVAL_LEVELS}
    return {"nll": _age_nll(table, temperature), "intervals": intervals}


def _gender_nll(table: PredictionTable, temperature: float) -> float:
    clipped = np.clip(table.female_probability, _SMALLEST, 1 - _SMALLEST)
    logits = np.log(clipped / (1 - clipped)) / temperature
    # From the logits: at a low temperature, the probability of a sure mistake is rounded to none.
    return float(np.logaddexp(0, np.where(table.genders == 1, -logits, logits)).mean())


def _age_nll(table: PredictionTable, temperature: float) -> float:
    """Mean negative log of the probability that the distribution gives to the years of the label."""
    below = np.cumsum(_distribution(table, temperature), axis=1)
    below = np.column_stack([np.zeros(len(table)), below])
    rows = np.arange(len(table))
    lo, hi = np.minimum(table.ages_lo, YEARS - 1), np.minimum(table.ages_hi, YEARS - 1)
    inside = below[rows, hi + 1] - below[rows, lo]
    return float(-np.log(np.maximum(inside, _SMALLEST)).mean())


def _distribution(table: PredictionTable, temperature: float) -> np.ndarray:
    return ages_at_temperature(np.asarray(table.age_distribution, np.float64), temperature)


def _fit(loss: Callable[[float], float]) -> float:
    found = minimize_scalar(
        lambda log: loss(float(np.exp(log))), bounds=(-_WIDEST_LOG, _WIDEST_LOG), method="bounded"
    )
    return float(np.exp(found.x))


def _tells_gender(table: PredictionTable) -> bool:
    return len(table) > 0 and not bool(np.isnan(table.female_probability).any())


def _tells_age_distribution(table: PredictionTable) -> bool:
    says_age = age_is_told(table)
    return table.age_distribution is not None and bool(says_age.any())
