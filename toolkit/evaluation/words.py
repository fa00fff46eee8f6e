"""What scores and groups are called, and how their numbers are written, for tables and reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class ScoreWords(NamedTuple):
    """A score by its name in records, in words, and short, for the head of a column."""

    name: str
    words: str
    short: str


SCORE_WORDS = (
    ScoreWords("gender_accuracy", "apparent gender right", "gender"),
    ScoreWords("gender_accuracy_21_60", "apparent gender right, labels in 21..60", "at 21..60"),
    ScoreWords("age_mae_years", "mean distance of the age to its label", "years off"),
    ScoreWords("age_mae_to_middle_years", "mean distance of the age to its label's middle", "to middle"),
    ScoreWords("age_bias_years", "bias of the age; below 0: told too young", "bias"),
    ScoreWords("cs5", "ages at most 5 years off (CS@5)", "within 5"),
    ScoreWords("age_group_accuracy", "age group right, of nine", "age group"),
    ScoreWords("age_group_one_off", "age group at most one off", "one off"),
    ScoreWords("ece", "calibration error of the gender probability", "ECE"),
)

KIND_WORDS = {
    "gender": "apparent gender",
    "age_group": "age group",
    "race": "race label",
    "race_gender": "race label and gender",
}

CORRUPTION_WORDS = {
    "blur": "blur",
    "low_resolution": "low resolution",
    "night": "night noise",
    "jpeg": "JPEG",
    "h264": "H.264",
    "occlusion": "occlusion",
}


def words_of(score: str) -> str:
    """A score in words."""
    return next(told.words for told in SCORE_WORDS if told.name == score)


def short_of(score: str) -> str:
    """A score in one or two words."""
    return next(told.short for told in SCORE_WORDS if told.name == score)


def score_text(value: float | None, score: str) -> str:
    """``82.6 %`` or ``4.53``; a dash where there is no number."""
    if value is None:
        return "–"
    if score == "ece":
        return f"{value:.3f}"
    return f"{value:.2f}" if score.endswith("_years") else f"{value:.1%}".replace("%", " %")


def interval_text(limits: Sequence[float], score: str) -> str:
    """``81.5 to 83.7 %``."""
    low, high = (score_text(value, score) for value in limits)
    return f"{low.removesuffix(' %')} to {high}"


def difference_text(value: float | None, score: str) -> str:
    """``9.0 points`` or ``1.20 years``; a dash where there is no number."""
    if value is None:
        return "–"
    if score == "ece":
        return f"{value:.3f}"
    # Adding 0 takes the sign from what rounds to nothing.
    if score.endswith("_years"):
        return f"{round(value, 2) + 0.0:.2f} years"
    return f"{round(100 * value, 1) + 0.0:.1f} points"


def difference_interval_text(limits: Sequence[float], score: str) -> str:
    """``1.2 to 4.0 points``."""
    low, high = (difference_text(value, score) for value in limits)
    return f"{low.partition(' ')[0]} to {high}"
