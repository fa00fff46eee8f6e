"""Many predictions of one person, one label that does not flicker."""

from __future__ import annotations

import math

from toolkit.records import Gender, Prediction


class Vote:
    """One label from many predictions, each with a weight.

    The gender is that of the weighted mean probability; unsure predictions lie near 0.5 and move it little.
    Once shown it changes only when the mean has passed 0.5 by ``switch_margin`` *and* the newest
    ``switch_streak`` predictions all say the other: one bad crop changes nothing, however sure the model
    was. Age is the weighted mean, and its spread the weighted root mean square of the spreads (a vote does
    not make one person's age surer than its crops allow).

    Args:
        switch_margin: distance of the mean from 0.5, 0..0.5.
        switch_streak: predictions in a row, at least 1.

    Source: ours; margin and streak as Roboflow inference's track_class_lock has them.
    """

    def __init__(self, switch_margin: float = 0.05, switch_streak: int = 2) -> None:
        self.count = 0
        self._switch_margin = switch_margin
        self._switch_streak = switch_streak
        self._weight = 0.0
        self._female = 0.0
        self._age = 0.0
        self._variance = 0.0
        self._shown: Gender | None = None
        self._against = 0

    def add(self, prediction: Prediction, weight: float) -> None:
        """Count one prediction.

        Raises:
            ValueError: it says something that is not a finite number, which would spoil every label after it.
        """
        said = (prediction.gender_probability, prediction.age_years, prediction.age_spread_years)
        if not all(map(math.isfinite, said)):
            raise ValueError(f"a prediction is made of finite numbers, got {prediction}")
        self.count += 1
        self._weight += weight
        share = weight / self._weight
        self._female += share * (prediction.female_probability - self._female)
        self._age += share * (prediction.age_years - self._age)
        self._variance += share * (prediction.age_spread_years**2 - self._variance)
        if self._shown is None:
            self._shown = prediction.gender
        self._against = self._against + 1 if prediction.gender != self._shown else 0
        leads = (self._female - 0.5) * (-1 if self._shown == "female" else 1)
        if self._against >= self._switch_streak and leads > self._switch_margin:
            self._shown = prediction.gender
            self._against = 0

    def result(self) -> Prediction | None:
        """The label so far; None before the first prediction."""
        if self._shown is None:
            return None
        probability = self._female if self._shown == "female" else 1.0 - self._female
        # While the newest crops speak against the label, the mean may too: no more than even odds, then.
        return Prediction(self._shown, max(0.5, probability), self._age, math.sqrt(self._variance))
