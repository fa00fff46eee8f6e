"""``toolkit evaluate``: how good a model is, for whom, and how sure one can be of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from toolkit.errors import ConfigError
from toolkit.evaluation.config import CORRUPTION_NAMES
from toolkit.evaluation.words import (
    CORRUPTION_WORDS,
    KIND_WORDS,
    SCORE_WORDS,
    difference_interval_text,
    difference_text,
    score_text,
    short_of,
    words_of,
)
from toolkit.terminal import NEW_FILE, doing, err, json_option, load, out, plain, print_run, write_json


@click.command()
@click.argument("words", nargs=-1, metavar="[SUBJECT | EXPERIMENT] [KEY=VALUE]...")
@click.option("--data", help="A face pack, by name or path.  [default: fairface_test_128]")
@click.option("--split", help="train, val, test, or all.  [default: test]")
@click.option("--checkpoint", metavar="SUBJECT", help="Another way to name the SUBJECT.")
@click.option("--against", metavar="SUBJECT", help="A second one, compared on the same faces.")
@click.option("--limit", type=int, metavar="N", help="A random sample of N faces, for a quick look.")
@click.option(
    "--corrupt",
    metavar="NAMES",
    help=f"Make pictures worse, at five severities: all, or some of {', '.join(CORRUPTION_NAMES)}.",
)
@click.option(
    "--temperature-from",
    metavar="PACK:SPLIT",
    help="Fit temperatures there, such as on fairface_train_112:val.",
)
@click.option("--runtime", metavar="NAME", help="What runs a model: auto, torch, ...  [default: torch]")
@click.option("--report", type=NEW_FILE, help="Write the HTML report here; the MLflow run has it too.")
@click.option("--predictions", type=NEW_FILE, help="Write the table of predictions here (.csv, .parquet).")
@json_option
def evaluate(
    words: tuple[str, ...],
    report: Path | None,
    predictions: Path | None,
    json_path: Path | None,
    corrupt: str | None,
    checkpoint: str | None,
    **given: Any,
) -> None:
    """Judge a model on labelled faces: accuracy, age error, calibration, for all and for each group.

    SUBJECT is "shipped", a trained model (.safetensors), or a table of predictions (.csv, .parquet), which
    needs no model and brings its own labels. EXPERIMENT (.yaml) and KEY=VALUE settle all that the options do,
    and more. Every number has a 95 % interval; the run, its numbers and its report are kept in MLflow.

    \b
      toolkit evaluate
      toolkit evaluate best.safetensors --against shipped --data my_faces.parquet --split val --limit 500
      toolkit evaluate predictions.csv --report report.html
      toolkit evaluate experiments/evaluate-shipped.yaml evaluate.resamples=200

    The columns of a table of predictions, as --predictions writes them:

    \b
      gender                    the label: 0 male, 1 female
      age, or age_lo, age_hi    the label: years, or an interval of years, both inside
      female_probability        predicted, 0 to 1; just 0 and 1 where the model gives no probability
      age_years                 predicted; this one or the one above may be missing
      age_0 ... age_100         optional: predicted, one probability a year
      file, race                optional: a name to match faces by; the data set's own label, for groups
    """
    settings = {name: value for name, value in given.items() if value is not None}
    if corrupt is not None:
        settings["corruptions"] = (
            list(CORRUPTION_NAMES) if corrupt == "all" else [name.strip() for name in corrupt.split(",")]
        )
    subjects = [word for word in words if not ("=" in word or word.endswith((".yaml", ".yml")))]
    subjects += [checkpoint] if checkpoint else []
    if len(subjects) > 1:
        raise ConfigError(
            f"one subject at a time, got {', '.join(subjects)}; a second one is named by --against"
        )
    if subjects:
        settings["subject"] = subjects[0]
    rest = tuple(word for word in words if word not in subjects)
    experiment = load("evaluate", "evaluate", rest, settings)
    with doing("loading what judges"):
        from toolkit.evaluate_run import run_evaluation
    with _progress() as show:
        result = run_evaluation(experiment, report, predictions, show)
    # First: a reader such as head may end the printing early.
    write_json(json_path, result)
    _print_result(result)
    if report:
        out.print(f"report: {report}", highlight=False, markup=False, soft_wrap=True)
    print_run(result["mlflow_run_id"])


# What fits a terminal; the JSON and the report have them all.
_SHOWN = tuple(words for words in SCORE_WORDS if words.name != "age_mae_to_middle_years")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each thing that is done, one below the other."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        bars: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(CORRUPTION_WORDS.get(what, plain(what)), total=total)
            progress.update(bars[what], completed=done)

        yield show


def _print_result(result: dict[str, Any]) -> None:
    out.print(_score_table(result))
    if result["gaps"]:
        out.print(_gap_table(result["gaps"]))
    if "corruptions" in result:
        out.print(_corruption_table(result["corruptions"]))
        if result["corruptions"]["was_interrupted"]:
            err.print("ended early: the table holds the corruptions that are complete")
    if "against" in result:
        out.print(_difference_table(result))
    for line in _calibration_lines(result["calibration"]):
        out.print(line, highlight=False)
    for model, runtime in result["runtimes"].items():
        out.print(f"{plain(model)} ran on {runtime}", highlight=False)
    for note in result["notes"]:
        err.print(f"note: {plain(note)}", highlight=False)


def _score_table(result: dict[str, Any]) -> Table:
    title = f"{result['subject']} on {result['data']}: apparent gender (binary label of the data set) and age"
    if result["sample_of"]:
        title += f"; A SAMPLE: {result['n']:,} of {result['sample_of']:,} faces"
    table = _table(plain(title), "faces of", ["n", *(words.short for words in _SHOWN)])
    table.add_row("all", *_cells(result))
    if "ci95" in result:
        table.add_row("95 %", "", *_interval_cells(result["ci95"]), style="dim")
    for kind, groups in result["groups"].items():
        table.add_section()
        table.add_row(f"by {KIND_WORDS[kind]}", style="dim")
        for name, block in groups.items():
            table.add_row(f"  {plain(name)}", *_cells(block))
    return table


def _cells(block: dict[str, Any]) -> list[str]:
    scores = (_compact(block[words.name], words.name) for words in _SHOWN)
    return [f"{block['n']:,}", *scores]


def _interval_cells(ci95: dict[str, Any]) -> list[str]:
    limits = [(ci95[words.name], words.name) for words in _SHOWN]
    return ["\n".join(_compact(value, name) for value in pair) if pair else "" for pair, name in limits]


def _compact(value: float | None, score: str) -> str:
    return score_text(value, score).replace(" %", "%")


def _gap_table(gaps: dict[str, Any]) -> Table:
    table = _table("for whom is it worse?", "groups by", ["score", "worst", "", "best", "", "gap"])
    for kind, of_kind in gaps.items():
        table.add_section()
        for score, gap in of_kind.items():
            if isinstance(gap, dict):
                table.add_row(
                    KIND_WORDS[kind],
                    short_of(score),
                    plain(gap["worst_group"]),
                    _compact(gap["worst"], score),
                    plain(gap["best_group"]),
                    _compact(gap["best"], score),
                    difference_text(gap["gap"], score),
                )
    return table


def _corruption_table(corruptions: dict[str, Any]) -> Table:
    clean = score_text(corruptions["clean"]["gender_accuracy"], "gender_accuracy")
    title = f"apparent gender right when pictures get worse: {corruptions['faces']:,} faces, clean {clean}"
    table = _table(title, "severity", [*"12345", "mean fall"])
    for name, by_severity in corruptions["by_corruption"].items():
        shares = [score_text(scores["gender_accuracy"], "gender_accuracy") for scores in by_severity.values()]
        fall = difference_text(corruptions["mean_fall"].get(name), "gender_accuracy")
        table.add_row(CORRUPTION_WORDS[name], *shares, fall)
    return table


def _difference_table(result: dict[str, Any]) -> Table:
    against = result["against"]
    title = f"{result['subject']} minus {against['subject']}, on the same faces"
    table = _table(plain(title), "score", ["difference", "95 %", "more than chance"])
    for name, told in against["differences"].items():
        if told:
            limits = difference_interval_text(told["ci95"], name) if told["ci95"] else ""
            clear = {True: "yes", False: "no", None: "-"}[told["is_clear"]]
            table.add_row(words_of(name), difference_text(told["difference"], name), limits, clear)
    return table


def _calibration_lines(calibration: dict[str, Any]) -> Iterator[str]:
    for what, told in calibration.items():
        if told and "temperature" in told:
            loss = f"log loss {told['nll']:.3f}, then {told['at_temperature']['nll']:.3f}"
            yield f"{what} temperature {told['temperature']:.2f}: {loss}"
    if calibration["age"]:
        shares = [
            f"{float(level):.0%} intervals hold {told['coverage']:.0%}"
            for level, told in calibration["age"]["intervals"].items()
        ]
        yield f"age: {', '.join(shares)} of the labels"


def _table(title: str, first: str, others: list[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
