"""Tables of predictions made up on the spot: labels by chance, predictions that lie about them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from toolkit.evaluation.groups import AGE_GROUPS
from toolkit.evaluation.table import PredictionTable


def made_table(
    count: int = 200,
    seed: int = 3,
    error_years: float = 8.0,
    gender_noise: float = 1.5,
    grouped: bool = False,
) -> PredictionTable:
    """Predictions with a Gaussian error of the age, and a gender logit of 1.5 with Gaussian noise.

    Their age distribution is as wide as their error, so they know how sure they may be.
    """
    rng = np.random.default_rng(seed)
    ages = rng.integers(1, 90, count)
    genders = rng.integers(0, 2, count)
    logits = (2 * genders - 1) * 1.5 + rng.normal(0, gender_noise, count)
    told = np.clip(ages + rng.normal(0, error_years, count), 0, 100)
    distribution = np.exp(-0.5 * ((np.arange(101) - told[:, None]) / error_years) ** 2)
    starts, ends = np.array(AGE_GROUPS).T
    group = np.searchsorted(starts, ages, side="right") - 1
    rows = pd.DataFrame(
        {
            "file": [f"{number}.jpg" for number in range(count)],
            "gender": genders,
            "age_lo": starts[group] if grouped else ages,
            "age_hi": np.minimum(ends[group], 100) if grouped else ages,
            "race": rng.choice(["Blue", "Green", "Red"], count),
            "female_probability": 1 / (1 + np.exp(-logits)),
            "age_years": told,
        }
    )
    distribution = (distribution / distribution.sum(axis=1, keepdims=True)).astype(np.float32)
    return PredictionTable("made", rows, distribution)
