"""The result of an evaluation as pandas frames, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from toolkit.evaluation.scores import SCORES
from toolkit.evaluation.words import KIND_WORDS, words_of


def score_frame(result: Mapping[str, Any]) -> pd.DataFrame:
    """The scores of all faces.

    Args:
        result: what :func:`toolkit.evaluate_run.run_evaluation` found, or a block of its ``groups``.

    Returns:
        Index: the score; columns ``value``, ``from`` and ``to`` (95 % interval; missing without one), and
        what it is, ``in words``.
    """
    intervals = result.get("ci95", {})
    rows = {}
    for name in SCORES:
        low, high = intervals.get(name) or (None, None)
        rows[name] = {"value": result[name], "from": low, "to": high, "in words": words_of(name)}
    return pd.DataFrame.from_dict(rows, orient="index").astype({"value": float, "from": float, "to": float})


def group_frame(result: Mapping[str, Any], kind: str) -> pd.DataFrame:
    """The scores of each group of a kind: a row a group.

    Args:
        result: what :func:`toolkit.evaluate_run.run_evaluation` found.
        kind: ``gender``, ``age_group``, ``race`` or ``race_gender``.
    """
    rows = {
        name: {"n": block["n"], **{score: block[score] for score in SCORES}}
        for name, block in result["groups"][kind].items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=KIND_WORDS[kind])


def gap_frame(result: Mapping[str, Any]) -> pd.DataFrame:
    """Worst group, best group and gap, for each kind of group and each score that is compared."""
    rows = {
        (KIND_WORDS[kind], score): gap
        for kind, of_kind in result["gaps"].items()
        for score, gap in of_kind.items()
        if isinstance(gap, dict)
    }
    columns = ["worst_group", "worst", "best_group", "best", "gap", "worst_to_all"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def difference_frame(differences: Mapping[str, Any]) -> pd.DataFrame:
    """Differences of two models.

    Args:
        differences: what :func:`toolkit.evaluation.comparison.compare` found.

    Returns:
        Index: the score; columns ``difference``, ``from`` and ``to`` (95 % interval), ``is_clear``.
    """
    rows = {}
    for name, told in differences.items():
        if told:
            low, high = told["ci95"] or (None, None)
            rows[name] = {
                "difference": told["difference"],
                "from": low,
                "to": high,
                "is_clear": told["is_clear"],
            }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["difference", "from", "to", "is_clear"])
