"""An evaluation as one HTML file: numbers, tables and pictures inside it, and no face."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from importlib import resources
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from toolkit.evaluation import figures
from toolkit.evaluation.fairness import COMPARED, FEWEST_FACES
from toolkit.evaluation.table import PredictionTable
from toolkit.evaluation.words import (
    CORRUPTION_WORDS,
    KIND_WORDS,
    SCORE_WORDS,
    difference_text,
    interval_text,
    score_text,
    short_of,
    words_of,
)

_DPI = 160


class Drawn(NamedTuple):
    """A figure as it stands in the page: PNG in base64, the width to show it at, and words for it."""

    png: str
    width_px: int
    alt: str


def write_report(result: Mapping[str, Any], table: PredictionTable, question: str = "") -> str:
    """The report of an evaluation.

    Args:
        result: what :func:`toolkit.evaluate_run.run_evaluation` found.
        table: the predictions that were judged.
        question: what the experiment is to answer, in words.

    Returns:
        HTML that needs no other file and no network.
    """
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    page.filters.update(
        count=lambda value: f"{value:,}",
        score=score_text,
        interval=interval_text,
        difference=difference_text,
    )
    text = resources.files("toolkit.evaluation").joinpath("report.html").read_text(encoding="utf-8")
    sections = [
        _confusion(result, table),
        _calibration(result["calibration"]),
        _corruptions(result.get("corruptions")),
        _comparison(result),
    ]
    return page.from_string(text).render(
        title=f"How good is {_model(result['subject'])}?",
        question=question,
        result={"ci95": None, "corruptions": None, **result},
        scores=SCORE_WORDS,
        gaps=_gaps(result["gaps"]),
        gap_notes=_gap_notes(result["gaps"]),
        kinds=[_kind(name, groups, result) for name, groups in result["groups"].items()],
        sections=[section for section in sections if section["figures"]],
        facts=_facts(result),
    )


def drawn(figure: Figure, alt: str) -> Drawn:
    """A figure as PNG, with words for those who cannot see it."""
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=_DPI)
    width_px = round(figure.get_figwidth() * 100)
    return Drawn(base64.b64encode(png.getvalue()).decode(), width_px, alt)


def _kind(name: str, groups: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    words = KIND_WORDS[name]
    told = [score for score in ("gender_accuracy", "age_mae_years") if result[score] is not None]
    # Two groups are compared in the table as well.
    if len(groups) < 3 or not told:
        return {"words": words, "groups": groups, "figures": []}
    figure = figures.scores_by_group(groups, result, {score: words_of(score) for score in told})
    alt = f"By {words}, with 95 % intervals: {', and '.join(map(words_of, told))}; dashed: all faces."
    return {"words": words, "groups": groups, "figures": [drawn(figure, alt)]}


def _gaps(gaps: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"kind": KIND_WORDS[kind], "name": score, "words": short_of(score), **of_kind[score]}
        for kind, of_kind in gaps.items()
        for score in COMPARED
        if score in of_kind
    ]


def _gap_notes(gaps: Mapping[str, Any]) -> list[str]:
    notes = []
    left_out = sorted({name for of_kind in gaps.values() for name in of_kind["left_out"]})
    if left_out:
        notes.append(f"Too small to compare, with fewer than {FEWEST_FACES} faces: {', '.join(left_out)}.")
    for kind, of_kind in gaps.items():
        odds = of_kind.get("equalized_odds_difference")
        if odds is not None:
            notes.append(
                f"Equalized odds, groups by {KIND_WORDS[kind]}: women are told as women, or men as men, "
                f"up to {difference_text(odds, 'gender_accuracy')} more often in one group than in another."
            )
    return notes


def _confusion(result: Mapping[str, Any], table: PredictionTable) -> dict[str, Any]:
    confusion = result["confusion"]
    pictures = []
    if confusion["gender"]:
        figure = figures.confusion_matrix(confusion["gender"], "gender")
        pictures.append(drawn(figure, "Apparent gender: a row a label, a column a prediction."))
    if confusion["age_group"]:
        figure = figures.confusion_matrix(confusion["age_group"], "age group")
        pictures.append(drawn(figure, "Age groups: a row a label, a column a prediction; shares of the row."))
    if result["age_mae_years"] is not None:
        words = (
            "Predicted age by labelled group: the dot is the median, the bar half of all faces, the line "
            "nine of ten; grey are the years of the label."
        )
        pictures.append(drawn(figures.age_errors(table), words))
    return {"title": "What is taken for what?", "paragraphs": [], "figures": pictures, "table": None}


def _calibration(calibration: Mapping[str, Any]) -> dict[str, Any]:
    gender, age = calibration["gender"], calibration["age"]
    pictures, paragraphs = [], []
    if gender:
        words = (
            "Reliability: a model that knows how sure it may be follows the dashed line; below, faces a bin."
        )
        pictures.append(drawn(figures.reliability(gender), words))
    if age:
        words = (
            "Coverage: how often the labelled age lies in the told interval, by the level of the interval."
        )
        pictures.append(drawn(figures.coverage(age), words))
    fitted = [(name, told) for name, told in calibration.items() if told and "temperature" in told]
    for name, told in fitted:
        words = "surer than it should be" if told["temperature"] > 1 else "less sure than it could be"
        paragraphs.append(
            f"The {name} temperature, fitted on other faces, is {told['temperature']:.2f}: there, the model "
            f"is {words}. Here, that temperature takes its log loss from {told['nll']:.3f} to "
            f"{told['at_temperature']['nll']:.3f}."
        )
    return {
        "title": "Does it know how sure it may be?",
        "paragraphs": paragraphs,
        "figures": pictures,
        "table": _coverage_table(age) if age else None,
    }


def _coverage_table(age: Mapping[str, Any]) -> dict[str, Any]:
    variants = [age, age["at_temperature"]] if "at_temperature" in age else [age]
    head = ["age interval", "labels inside", "mean width, years"]
    head += ["inside, at temperature", "width, at temperature"] if len(variants) > 1 else []
    rows = []
    for level in age["intervals"]:
        row = [f"{float(level):.0%}".replace("%", " %")]
        for variant in variants:
            told = variant["intervals"][level]
            row += [score_text(told["coverage"], "coverage"), f"{told['width_years']:.1f}"]
        rows.append(row)
    return {"head": head, "rows": rows}


def _corruptions(corruptions: Mapping[str, Any] | None) -> dict[str, Any]:
    section: dict[str, Any] = {
        "title": "Does it hold up when pictures get worse?",
        "figures": [],
        "table": None,
    }
    if not corruptions or not corruptions["by_corruption"]:
        return section | {"paragraphs": []}
    for score in ("gender_accuracy", "age_mae_years"):
        if corruptions["clean"][score] is not None:
            words = f"{words_of(score).capitalize()}, by severity of each corruption."
            figure = figures.corruption_curves(corruptions, score, words_of(score))
            section["figures"].append(drawn(figure, words))
    rows = [
        [
            CORRUPTION_WORDS[name],
            *(score_text(scores["gender_accuracy"], "gender_accuracy") for scores in by_severity.values()),
            difference_text(corruptions["mean_fall"].get(name), "gender_accuracy"),
        ]
        for name, by_severity in corruptions["by_corruption"].items()
    ]
    section["table"] = {"head": ["apparent gender right", *"12345", "mean fall"], "rows": rows}
    paragraph = (
        f"{corruptions['faces']:,} of the faces, each made worse on purpose. Clean, their apparent gender is "
        f"right for {score_text(corruptions['clean']['gender_accuracy'], 'gender_accuracy')}."
    )
    return section | {"paragraphs": [paragraph]}


def _comparison(result: Mapping[str, Any]) -> dict[str, Any]:
    against = result.get("against")
    if not against:
        return {"title": "", "paragraphs": [], "figures": [], "table": None}
    told = against["differences"]
    pictures = []
    for unit, label in (("fraction", "difference in share"), ("years", "difference in years")):
        chosen = [words for words in SCORE_WORDS if words.name.endswith("_years") == (unit == "years")]
        if any(told[words.name] for words in chosen):
            names, labels = [w.name for w in chosen], [w.words for w in chosen]
            words = (
                f"{label.capitalize()}, {result['subject']} minus {against['subject']}; grey: may be chance."
            )
            pictures.append(drawn(figures.differences(told, names, labels, label), words))
    rows = [
        [
            words.words,
            score_text(result[words.name], words.name),
            score_text(against["scores"][words.name], words.name),
            difference_text(told[words.name]["difference"], words.name),
            {True: "yes", False: "no", None: "–"}[told[words.name]["is_clear"]],
        ]
        for words in SCORE_WORDS
        if told[words.name]
    ]
    return {
        "title": f"Is it better than {_model(against['subject'])}?",
        "paragraphs": ["Both were scored on the same faces, and on the same resamples of them."],
        "figures": pictures,
        "table": {
            "head": ["score", result["subject"], against["subject"], "difference", "more than chance"],
            "rows": rows,
        },
    }


def _model(subject: str) -> str:
    return "the shipped model" if subject == "shipped" else subject


def _facts(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("subject", result["subject"]),
        ("faces", result["data"]),
        ("labels, SHA-256", result["data_sha256"]),
    ]
    facts += [(f"runtime of {model}", runtime) for model, runtime in result["runtimes"].items()]
    return [*facts, *((name, value) for name, value in result["machine"].items())]
