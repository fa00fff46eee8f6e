"""``toolkit bench``: ourselves, the limits of our parts, and others, measured in one run and in turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from toolkit.terminal import err, json_option, load, out, print_run, write_json

if TYPE_CHECKING:
    from toolkit.bench.rounds import OnProgress


@click.group()
def bench() -> None:
    """Measure ourselves, the limits of our parts, and others, in one run and in turns."""


@bench.command("queue")
@click.argument("experiment_and_overrides", nargs=-1, metavar="[EXPERIMENT] [KEY=VALUE]...")
@json_option
def queue(experiment_and_overrides: tuple[str, ...], json_path: Path | None) -> None:
    """The task queue and its workers, beside raw Redis and other job queues (pip install 'toolkit[peers]').

    \b
      toolkit bench queue bench.queue.rounds=1 bench.queue.cases=[no-op-2]
      toolkit bench queue experiments/bench-queue.yaml --json bench-queue.json
    """
    from toolkit.bench.runs import run_queue_bench
    from toolkit.bench.tables import case_table, ratio_line

    experiment = load("bench-queue", "bench", experiment_and_overrides, {"queue": {}})
    with _progress() as show:
        result = run_queue_bench(experiment, show)
    for case in result["cases"].values():
        out.print(case_table(case))
        out.print(ratio_line(case), highlight=False, soft_wrap=True)
    print_run(result["mlflow_run_id"])
    write_json(json_path, result)


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """A bar on a terminal, a line for each measurement elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        bar = progress.add_task("starting", total=None)

        def show(what: str, done: int, total: int) -> None:
            progress.update(bar, description=what, completed=done, total=total)
            if not err.is_terminal and done < total:
                err.print(f"{done + 1}/{total} {what}", highlight=False, soft_wrap=True)

        yield show
