"""The command line: ``toolkit live | demo | data | train | sweep | evaluate | export | ...``."""

from __future__ import annotations

import logging
import sys

import click
from rich.logging import RichHandler

from toolkit.cli_bench import bench
from toolkit.cli_evaluate import evaluate
from toolkit.cli_export import export
from toolkit.cli_learn import data, sweep, train
from toolkit.cli_live import demo, live
from toolkit.cli_queue import queue
from toolkit.cli_worker import worker
from toolkit.errors import ToolkitError
from toolkit.terminal import err, plain


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="toolkit")
@click.option("-v", "--verbose", is_flag=True, help="Tell every step.")
def cli(verbose: bool) -> None:
    """Live multi-camera runs that researchers can trust.

    Cameras in, people found, apparent gender and age told, and every run recorded with its throughput,
    latency and accuracy.
    """
    logger = logging.getLogger("toolkit")
    logger.handlers = [RichHandler(console=err, show_time=False, show_path=False)]
    logger.setLevel(logging.INFO if verbose else logging.WARNING)


def main() -> None:
    """Entry point: a user's mistake ends in one line and exit code 1, never in a traceback."""
    try:
        cli()
    except ToolkitError as error:
        err.print(f"[red]error:[/red] {plain(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)


cli.add_command(bench)
cli.add_command(data)
cli.add_command(demo)
cli.add_command(evaluate)
cli.add_command(export)
cli.add_command(live)
cli.add_command(sweep)
cli.add_command(train)
cli.add_command(worker)
cli.add_command(queue)


if __name__ == "__main__":
    main()
