"""``toolkit notebooks``: the tutorials in batch, one MLflow run each."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from toolkit.errors import ConfigError
from toolkit.terminal import (
    NEW_FOLDER,
    doing,
    err,
    json_option,
    new_folder,
    out,
    plain,
    print_run,
    write_json,
)

if TYPE_CHECKING:
    from toolkit.notebook_run import NotebookReport, OnCell


@click.group()
def notebooks() -> None:
    """The tutorials: list them, or execute one in batch and keep its page.

    \b
      toolkit notebooks list
      toolkit notebooks run 01 live.duration_s=10
      toolkit notebooks run 01 --grid 'live.pipeline.batch_size=[1, 8, 32]'
    """


@notebooks.command("list", short_help="The notebooks, and the question each answers.")
@json_option
def list_notebooks(json_path: Path | None) -> None:
    """The notebooks of the folder notebooks/, and the question each answers."""
    from toolkit.notebook_run import known_notebooks, title_of

    rows = [{"notebook": path.stem, "question": title_of(path)} for path in known_notebooks()]
    table = Table("notebook", "question", box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(*map(plain, row.values()))
    out.print(table if rows else "no notebooks here: the folder notebooks/ comes with a checkout")
    write_json(json_path, rows)


@notebooks.command(short_help="Execute one without a browser, and record it.")
@click.argument("name")
@click.argument("experiment_and_overrides", nargs=-1, metavar="[EXPERIMENT] [KEY=VALUE]...")
@click.option("--out", "out_dir", type=NEW_FOLDER, help="Folder for the page and what the cells write.")
@click.option("--grid", multiple=True, metavar="KEY=[V1,V2]", help="Once for each value; may be repeated.")
@json_option
def run(
    name: str,
    experiment_and_overrides: tuple[str, ...],
    out_dir: Path | None,
    grid: tuple[str, ...],
    json_path: Path | None,
) -> None:
    """Execute the notebook NAME (a path, a number, or a part of its name) and record it in MLflow.

    The page and the executed notebook lie in --out and in the run; a grid gives one run each, nested in one
    run of all. Cells work in --out too: files that settings name are told in full. Ctrl-C ends the kernel and
    keeps what there is. Exit code 1 if a cell raised.

    \b
      toolkit notebooks run 01 live.duration_s=10 --out page
      toolkit notebooks run mine.ipynb experiments/live-four-videos.yaml live.duration_s=20
      toolkit notebooks run 01 live.duration_s=10 --grid 'live.pipeline.batch_size=[1, 8, 32]'
    """
    with doing("loading what executes it"):
        from toolkit.notebook_run import check_settings, find_notebook, grid_points, run_notebook
        from toolkit.tracking import RunRecord, run_name
    experiments = [Path(word) for word in experiment_and_overrides if "=" not in word]
    if len(experiments) > 1:
        raise ConfigError(f"one experiment at a time, got {', '.join(map(str, experiments))}")
    experiment = experiments[0] if experiments else None
    settings = [word for word in experiment_and_overrides if "=" in word]
    path, points = find_notebook(name), grid_points(grid)
    for point in points:
        check_settings(path, experiment, [*settings, *point])
    folder = out_dir or new_folder("notebooks")
    sweep = (
        RunRecord("notebook", run_name(path.stem), {"grid": list(grid)}, {"kind": "sweep"}) if grid else None
    )
    reports: list[NotebookReport] = []
    try:
        parent = sweep.wait_for_id() if sweep else None
        tags = {"mlflow.parentRunId": parent} if parent else {}
        for number, point in enumerate(points, start=1):
            of_point = folder if len(points) == 1 else folder / f"{number:03d}"
            with _bar(" ".join([path.stem, *point])) as on_cell:
                reports.append(run_notebook(path, of_point, experiment, [*settings, *point], tags, on_cell))
            _print_report(reports[-1])
            if reports[-1].status == "KILLED":
                break
    finally:
        if sweep:
            sweep.close(_worst(reports))
    write_json(json_path, [{**asdict(r), "notebook": str(r.notebook), "html": str(r.html)} for r in reports])
    sys.exit({"FINISHED": 0, "FAILED": 1, "KILLED": 130}[_worst(reports)])


def _worst(reports: Sequence[NotebookReport]) -> str:
    states = {report.status for report in reports}
    return next((state for state in ("KILLED", "FAILED", "FINISHED") if state in states), "FAILED")


def _print_report(report: NotebookReport) -> None:
    out.print(f"page: {report.html}", highlight=False, markup=False, soft_wrap=True)
    print_run(report.mlflow_run_id)
    if report.error:
        err.print(f"[red]a cell failed:[/red] {plain(report.error)}", highlight=False, soft_wrap=True)
    if report.status == "KILLED":
        err.print("interrupted; the kernel has ended, and the page holds what was done")


@contextmanager
def _bar(name: str) -> Iterator[OnCell]:
    """A bar of cells, on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        bar = progress.add_task(plain(name), total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)
