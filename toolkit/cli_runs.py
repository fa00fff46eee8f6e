"""``toolkit runs``: what was recorded, side by side, as files, and sent where it did not arrive."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table

from toolkit.errors import ConfigError
from toolkit.terminal import FILE, NEW_FILE, err, json_option, out, plain, write_json
from toolkit.whole_files import whole_file
from toolkit.words import counted

if TYPE_CHECKING:
    import pandas as pd

_HEADLINES = (
    "live/fps",
    "live/latency_p99_ms",
    "val/gender_accuracy",
    "val/age_mae_years",
    "train/images_per_s",
    "eval/gender_accuracy",
    "eval/age_mae_years",
)
"""Metrics shown in a list of runs, where any of them has one."""

_COLUMNS = ("run", "id", "experiment", "status", "started", "s")
_GIVEN_UP = ("experiment", "status", "s", "started")
"""Columns that a list leaves out where a terminal is too narrow, the first one first."""

_WIDE = 110
"""Columns of a terminal from which on the figures stand beside the runs."""

_FIGURE_ENDINGS = (".png", ".svg", ".pdf")

experiment_option = click.option(
    "-e", "--experiment", metavar="NAME", help="Only those of live, train, evaluate, bench, ..."
)


@click.group()
def runs() -> None:
    """What was recorded: list, compare, export, draw, or send what MLflow did not take.

    The store is runs/mlflow.db, or what MLFLOW_TRACKING_URI names. A RUN is its name, or the first letters of
    its id.

    \b
      toolkit runs list --experiment live
      toolkit runs compare live-20261123-181500 live-20261123-182000
      toolkit runs best live/latency_p99_ms
      toolkit runs export runs.parquet
    """


@runs.command("list")
@experiment_option
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@json_option
def list_runs(experiment: str | None, last: int, json_path: Path | None) -> None:
    """The newest runs, with what they are judged by."""
    with err.status("reading the store"):
        from toolkit.run_frames import run_frame

        frame = run_frame(experiment, last)
    shown = [name for name in _HEADLINES if name in frame.columns]
    _print_runs(frame, shown)
    _say_unsent()
    write_json(json_path, _as_rows(frame))


@runs.command(short_help="What is unlike between runs, side by side.")
@click.argument("words", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--figure", "figure_path", type=NEW_FILE, help="Draw the two --metrics against each other (.png, .svg)."
)
@click.option(
    "--metrics",
    metavar="X,Y",
    default="live/fps,live/latency_p99_ms",
    show_default=True,
    help="The metrics of the figure: such as a throughput and an accuracy.",
)
@json_option
def compare(words: tuple[str, ...], figure_path: Path | None, metrics: str, json_path: Path | None) -> None:
    """What is unlike between runs: settings and metrics, side by side. A sweep stands for its trainings."""
    x_and_y = metrics.split(",")
    if len(x_and_y) != 2:
        raise ConfigError(f"--metrics wants two names with a comma between, got {metrics!r}")
    with err.status("reading the store"):
        from toolkit.run_frames import compare_runs, find_runs, with_children

        chosen = with_children(find_runs(words))
        table = compare_runs(chosen)
    shown = Table("", *map(plain, table.columns), box=SIMPLE_HEAD)
    for name, row in table.iterrows():
        shown.add_row(plain(str(name)), *(plain(_text(value)) for value in row))
    out.print(shown)
    if figure_path is not None:
        _draw_against(chosen, x_and_y, figure_path)
    write_json(json_path, json.loads(table.to_json(orient="index")))


@runs.command(short_help="The runs with the best METRIC first.")
@click.argument("metric")
@experiment_option
@click.option("--lowest/--highest", default=None, help="What is best.  [default: by the metric's name]")
@click.option("--last", type=click.IntRange(1), default=10, show_default=True, help="At most so many.")
@json_option
def best(metric: str, experiment: str | None, lowest: bool | None, last: int, json_path: Path | None) -> None:
    """The runs with the best METRIC first, such as val/gender_accuracy or live/latency_p99_ms."""
    with err.status("reading the store"):
        from toolkit.run_frames import best_runs, run_frame

        frame = best_runs(run_frame(experiment), metric, lowest).head(last)
    _print_runs(frame, [metric])
    write_json(json_path, _as_rows(frame))


@runs.command(short_help="Write runs as a table: .csv or .parquet.")
@click.argument("path", type=NEW_FILE, metavar="FILE")
@experiment_option
@click.option("--history", metavar="RUN", help="One run over time, in place of the last values of all.")
def export(path: Path, experiment: str | None, history: str | None) -> None:
    """Write runs as a table: a row each in FILE, .csv or .parquet, with its settings and metrics."""
    write = _writer(path)
    if history is not None and experiment is not None:
        raise ConfigError(f"--history is of one run, {history}: leave out --experiment {experiment}")
    with err.status("reading the store"):
        from toolkit.run_frames import find_runs, metric_history, run_frame

        if history is None:
            frame = run_frame(experiment).reset_index()
        else:
            frame = metric_history(str(find_runs([history]).index[0]))
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        write(frame, part)
    out.print(
        f"{plain(str(path))}: {counted(len(frame), 'row')}, {counted(len(frame.columns), 'column')}",
        highlight=False,
        soft_wrap=True,
    )


@runs.command(short_help="Draw a live RUN over time, as two pictures.")
@click.argument("run")
@click.option("-o", "--output", "path", type=NEW_FILE, required=True, help="The picture: .png, .svg or .pdf.")
def draw(run: str, path: Path) -> None:
    """Draw a live RUN over time: its latency, and what became of each camera's frames (two pictures)."""
    _check_figure(path)
    with err.status("reading the store"):
        from toolkit.notebook.run_figures import camera_timeline, latency_over_time
        from toolkit.run_frames import camera_history, find_runs, metric_history

        run_id = str(find_runs([run]).index[0])
        cameras = camera_history(run_id)
        if cameras.empty:
            raise ConfigError(f"{run} is no live run: no camera's frames are recorded in it")
        figures = {
            "latency": latency_over_time(metric_history(run_id, "live/latency_")),
            "cameras": camera_timeline(cameras),
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        target = path.with_name(f"{path.stem}-{name}{path.suffix}")
        figure.savefig(target, dpi=120)
        out.print(f"picture: {target}", highlight=False, markup=False, soft_wrap=True)


@runs.command("send", short_help="Send what a store did not take.")
@click.argument("paths", nargs=-1, type=FILE, metavar="[FILE]...")
@json_option
def send_files(paths: tuple[Path, ...], json_path: Path | None) -> None:
    """Send what a store did not take, from the files runs/unsent-*.jsonl that the runs left.

    A file goes when all of it is in the store. Sending twice changes nothing.
    """
    from toolkit.unsent import send, unsent_files

    waiting = list(paths) or unsent_files()
    if not waiting:
        out.print("nothing is left to send: no runs/unsent-*.jsonl")
    results = []
    for path in waiting:
        with err.status(f"sending {plain(str(path))}"):
            sent = send(path)
        left = f"; {sent.refused} stay there, refused: {'; '.join(sent.reasons)}" if sent.refused else ""
        out.print(
            f"{plain(str(path))}: {sent.entries} entries sent to run {sent.run_id}{plain(left)}",
            highlight=False,
            soft_wrap=True,
        )
        results.append({**vars(sent), "path": str(sent.path)})
    write_json(json_path, results)


def _draw_against(frame: pd.DataFrame, metrics: list[str], path: Path) -> None:
    from toolkit.notebook.run_figures import throughput_against_accuracy

    _check_figure(path)
    figure = throughput_against_accuracy(frame, *metrics)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    out.print(f"picture: {path}", highlight=False, markup=False, soft_wrap=True)


def _check_figure(path: Path) -> None:
    if path.suffix not in _FIGURE_ENDINGS:
        raise ConfigError(f"a picture is written as {', '.join(_FIGURE_ENDINGS)}, got {path.name!r}")


def _writer(path: Path) -> Callable[[pd.DataFrame, Path], None]:
    """What writes a frame into a file of that ending."""
    if path.suffix == ".csv":
        return lambda frame, part: frame.to_csv(part, index=False)
    if path.suffix == ".parquet":
        return lambda frame, part: frame.to_parquet(part, index=False)
    raise ConfigError(f"a table is written as .csv or .parquet, got {path.name!r}")


def _print_runs(frame: pd.DataFrame, metrics: list[str]) -> None:
    rows = [_words(str(run_id), row) for run_id, row in frame.iterrows()]
    figures = [
        [f"{name} {text}" for name in metrics if (text := _text(row[name]))] for _, row in frame.iterrows()
    ]
    if out.width < _WIDE:
        _print_narrow(rows, figures)
        return
    table = Table(box=SIMPLE_HEAD)
    table.add_column("run", overflow="fold", max_width=30)
    for title in _COLUMNS[1:]:
        table.add_column(title, no_wrap=True, justify="right" if title == "s" else "left")
    table.add_column("figures", overflow="fold")
    for row, of_run in zip(rows, figures, strict=True):
        table.add_row(*map(plain, row.values()), ", ".join(of_run))
    out.print(table)


def _words(run_id: str, row: pd.Series) -> dict[str, str]:
    """What a list says of a run, by column."""
    # By the clock of the place, as in the names of runs.
    started = row["started"].to_pydatetime().astimezone().strftime("%m-%d %H:%M")
    words = (row["run"], run_id[:8], row["experiment"], row["status"], started, _text(row["seconds"]))
    return dict(zip(_COLUMNS, words, strict=True))


def _print_narrow(rows: list[dict[str, str]], figures: list[list[str]]) -> None:
    """A line for each run, its name and id whole, to be copied; its figures on lines of their own below."""
    widths = {title: max(map(cell_len, [title, *(row[title] for row in rows)])) for title in _COLUMNS}
    for title in _GIVEN_UP:
        if sum(widths.values()) + 2 * (len(widths) - 1) > out.width:
            del widths[title]

    # A name that is wider than the terminal goes on in the next line, and the others do not keep it company.
    widths["run"] = min(widths["run"], out.width - widths["id"] - 2)

    def show(words: Mapping[str, str], style: str = "") -> None:
        cells = (words[title] + " " * (width - cell_len(words[title])) for title, width in widths.items())
        out.print(plain("  ".join(cells).rstrip()), style=style, highlight=False, soft_wrap=True)

    show({title: title for title in _COLUMNS}, "bold")
    for row, of_run in zip(rows, figures, strict=True):
        show(row)
        # A figure stays beside its name.
        text = ", ".join(figure.replace(" ", "\N{NO-BREAK SPACE}") for figure in of_run)
        below = textwrap.fill(
            text,
            out.width,
            initial_indent="  ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        if below:
            out.print(plain(below.replace("\N{NO-BREAK SPACE}", " ")), highlight=False, soft_wrap=True)


def _say_unsent() -> None:
    from toolkit.unsent import unsent_files

    if count := len(unsent_files()):
        err.print(
            f"{counted(count, 'run')} left data that MLflow did not take: toolkit runs send", highlight=False
        )


def _text(value: Any) -> str:
    if value is None or value != value:  # NaN
        return ""
    return f"{value:.4g}" if isinstance(value, float) and abs(value) < 1000 else _whole(value)


def _whole(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, float) else str(value)


def _as_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A dict for each run, without what it has not."""
    rows = json.loads(frame.reset_index().to_json(orient="records", date_format="iso"))
    return [{name: value for name, value in row.items() if value is not None} for row in rows]
