"""When another look at a person pays: most frames of most people cost no inference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from toolkit.errors import ConfigError
from toolkit.records import Prediction

Reason = Literal["new", "unsure", "larger", "old"]
"""Why a person is analysed: too few votes yet, a label that is unsure, a larger face, a label of some age."""


@dataclass(frozen=True)
class LookConfig:
    """When a person is analysed.

    Attributes:
        votes_wanted: predictions collected at first; more than a run has frames analyses every face.
        look_again_s: a person with all votes is analysed again after this long,
        look_again_growth: or when the face has this many times the side of the largest one analysed so far,
        unsure_below: or, when the label's probability is less than this,
        unsure_again_s: already after this long.
    """

    votes_wanted: int = 5
    look_again_s: float = 2.0
    look_again_growth: float = 1.5
    unsure_below: float = 0.75
    unsure_again_s: float = 0.5

    def __post_init__(self) -> None:
        if not self.votes_wanted >= 1:
            raise ConfigError(f"votes_wanted must be at least 1, got {self.votes_wanted}")
        if not 0 < self.unsure_again_s <= self.look_again_s:
            raise ConfigError(
                f"unsure_again_s must be more than 0 and at most look_again_s, got {self.unsure_again_s} "
                f"and {self.look_again_s}"
            )
        if not self.look_again_growth > 1:
            raise ConfigError(f"look_again_growth must be more than 1, got {self.look_again_growth}")
        if not 0 <= self.unsure_below <= 1:
            raise ConfigError(f"unsure_below must lie between 0 and 1, got {self.unsure_below}")


class Looks:
    """The looks at one person: what was asked for, and whether another pays."""

    def __init__(self, config: LookConfig) -> None:
        self._config = config
        self._asked = 0
        self._asked_at = -math.inf
        self._largest_px = 0.0

    def reason(self, side_px: float, at_s: float, label: Prediction | None) -> Reason | None:
        """Why a look at a face of this side pays now; None when it does not."""
        waited_s = at_s - self._asked_at
        if self._asked < self._config.votes_wanted:
            return "new"
        if side_px >= self._largest_px * self._config.look_again_growth:
            return "larger"
        if waited_s >= self._config.look_again_s:
            return "old"
        is_unsure = label is not None and label.gender_probability < self._config.unsure_below
        return "unsure" if is_unsure and waited_s >= self._config.unsure_again_s else None

    def ask(self, side_px: float, at_s: float) -> None:
        """A look was asked for."""
        self._asked += 1
        self._asked_at = at_s
        self._largest_px = max(self._largest_px, side_px)

    def withdraw(self) -> None:
        """A look that was asked for did not come about."""
        self._asked -= 1
