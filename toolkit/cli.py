"""The command line: ``toolkit live | demo | train | evaluate | bench | worker | queue``."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.live import Live
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from toolkit.cli_bench import bench
from toolkit.cli_evaluate import evaluate
from toolkit.cli_queue import queue
from toolkit.cli_worker import worker
from toolkit.errors import ConfigError, ToolkitError
from toolkit.terminal import err, json_option, load, out, plain, print_run, write_json

if TYPE_CHECKING:
    from toolkit.experiment import Experiment
    from toolkit.live_run import LiveReport

FOLDER = click.Path(file_okay=False, path_type=Path)
out_option = click.option("--out", "out_dir", type=FOLDER, help="Folder for what the run leaves.")


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
cli.add_command(evaluate)
cli.add_command(worker)
cli.add_command(queue)


@cli.command()
@click.argument("experiment_and_overrides", nargs=-1, metavar="[EXPERIMENT] [KEY=VALUE]...")
@click.option(
    "-c", "--camera", "cameras", multiple=True, metavar="NAME=SOURCE", help="A camera; may be repeated."
)
@click.option("--duration", "duration_s", type=float, metavar="SECONDS", help="Stop after this long.")
@click.option("--loop", is_flag=True, help="Start recordings over when they end.")
@click.option("--every-frame", is_flag=True, help="Analyse every frame of recordings, however long it takes.")
@click.option("--no-blur", is_flag=True, help="Leave faces recognisable in the sample pictures.")
@out_option
@json_option
def live(
    experiment_and_overrides: tuple[str, ...],
    cameras: tuple[str, ...],
    duration_s: float | None,
    loop: bool,
    every_frame: bool,
    no_blur: bool,
    out_dir: Path | None,
    json_path: Path | None,
) -> None:
    """Run cameras live: find, label and follow people, and record the run in MLflow.

    SOURCE is a video file, a GIF, a folder of pictures, a USB number (0) or an address (rtsp://, http://).
    Recordings are played at their own pace, as if they were cameras. Settings come from an EXPERIMENT (YAML),
    from KEY=VALUE such as live.pipeline.batch_size=16, and from the options.

    \b
      toolkit live --camera door=rtsp://door.example/1 --camera hall=hall.mp4
      toolkit live experiments/live-four-videos.yaml live.duration_s=60
    """
    given = {"realtime": False if every_frame else None, "loop": loop or None}
    settings: dict[str, Any] = {"camera": {key: value for key, value in given.items() if value is not None}}
    if cameras:
        settings["cameras"] = dict(map(_named_source, cameras))
    if duration_s is not None:
        settings["duration_s"] = duration_s
    if not (cameras or any("=" not in word for word in experiment_and_overrides)):
        raise ConfigError("which cameras? Give --camera NAME=SOURCE, once for each, or an experiment (YAML)")
    experiment = load("live", "live", experiment_and_overrides, settings)
    _run_live(experiment, out_dir, json_path, blur_faces=not no_blur)


@cli.command()
@click.option("--duration", "duration_s", type=float, default=15.0, show_default=True, metavar="SECONDS")
@out_option
@json_option
def demo(duration_s: float, out_dir: Path | None, json_path: Path | None) -> None:
    """A live run on what this machine has.

    With TOOLKIT_DATA (or ../shared/data) four real videos play as four cameras; without it, clips made here,
    one of which moves the public-domain portrait that comes with matplotlib.
    """
    from toolkit.demo import demo_cameras

    with err.status("preparing the cameras"):
        cameras = demo_cameras()
    settings = {"cameras": cameras, "duration_s": duration_s, "camera": {"loop": True}}
    _run_live(load("demo", "live", (), settings), out_dir, json_path, blur_faces=True)


@cli.command()
@click.argument("experiment_and_overrides", nargs=-1, metavar="EXPERIMENT [KEY=VALUE]...")
@out_option
@json_option
def train(experiment_and_overrides: tuple[str, ...], out_dir: Path | None, json_path: Path | None) -> None:
    """Train a model of apparent gender and age as EXPERIMENT (YAML) says, and record the run in MLflow.

    The best epoch's weights are kept as safetensors, with a JSON card beside them. Ctrl-C ends the training
    early and keeps what there is.

    \b
      toolkit train experiments/face-attributes.yaml train.epochs=3
    """
    experiment = load("train", "train", experiment_and_overrides)
    with err.status("loading torch and the data"):
        from toolkit.learn_run import run_training
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as progress:
        bar = progress.add_task("training", total=None)

        def on_progress(step: int, steps: int, values: dict[str, float]) -> None:
            progress.update(bar, completed=step, total=steps, description=f"loss {values['train/loss']:.3f}")

        def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
            progress.console.print(_epoch_line(epoch, metrics), highlight=False, soft_wrap=True)

        result = run_training(experiment, out_dir or _new_folder("train"), on_progress, on_epoch)
    out.print(f"best epoch {result['best_epoch']}: {result['checkpoint']}", highlight=False, soft_wrap=True)
    print_run(result["mlflow_run_id"])
    write_json(json_path, result)


def _run_live(experiment: Experiment, out_dir: Path | None, json_path: Path | None, blur_faces: bool) -> None:
    from toolkit.live.source import check_recordings

    # Before the seconds that torch takes to load: a wrong path is told at once.
    check_recordings(experiment.live.cameras.values() if experiment.live else ())
    with err.status("loading detector and model"):
        from toolkit.live_run import run_live
    folder = out_dir or _new_folder("live")
    with _live_display() as show:
        report = run_live(experiment, folder, show, blur_faces)
    _print_report(report)
    write_json(json_path, report.statistics)


@contextmanager
def _live_display() -> Iterator[Any]:
    """A table that renews itself on a terminal, a line every five seconds elsewhere."""
    if err.is_terminal:
        with Live(console=err, refresh_per_second=4, transient=True) as display:
            yield lambda statistics, elapsed_s: display.update(
                _camera_table(statistics, f"{elapsed_s:.0f} s")
            )
        return
    said_at = 0.0

    def say(statistics: dict[str, Any], elapsed_s: float) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= 5.0:
            said_at = time.monotonic()
            err.print(_progress_line(statistics, elapsed_s), highlight=False, soft_wrap=True)

    yield say


def _progress_line(statistics: dict[str, Any], elapsed_s: float) -> str:
    cameras = ", ".join(
        f"{name} {values['frames_per_s_now']:.1f}/s {values['skipped']} skipped"
        for name, values in statistics["cameras"].items()
    )
    p99 = statistics["latency_ms"]["p99"]
    return f"{elapsed_s:4.0f} s  {cameras}" + ("" if p99 is None else f", p99 {p99:.0f} ms")


def _camera_table(statistics: dict[str, Any], title: str, whole_run: bool = False) -> Table:
    rate = "frames_per_s" if whole_run else "frames_per_s_now"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("camera", no_wrap=True)
    table.add_column("state", no_wrap=True)
    counts = ("read", "analysed", "skipped", "failed", "in_flight")
    for title in ("read", "analysed", "skipped", "failed", "in flight", "frames/s", *_PERCENTILES, "persons"):
        table.add_column(title, justify="right")
    for name, values in statistics["cameras"].items():
        table.add_row(name, values["state"], *(str(values[count]) for count in counts), *_rates(values, rate))
    table.add_section()
    table.add_row("all", *[""] * 6, *_rates(statistics, rate))
    return table


_PERCENTILES = {"p50 ms": "p50", "p95 ms": "p95", "p99 ms": "p99"}


def _rates(values: dict[str, Any], rate: str) -> list[str]:
    latencies = [values["latency_ms"][key] for key in _PERCENTILES.values()]
    return [
        f"{values[rate]:.1f}",
        *("-" if ms is None else f"{ms:.0f}" for ms in latencies),
        str(values["persons"]),
    ]


def _print_report(report: LiveReport) -> None:
    statistics = report.statistics
    title = (
        f"{statistics['elapsed_s']:.1f} s, faces found by {statistics['detector']}; "
        "latency is from capture to result"
    )
    out.print(_camera_table(statistics, title, whole_run=True))
    for name, values in statistics["cameras"].items():
        for problem in (values["error"], values["analysis_error"]):
            if problem:
                err.print(f"[yellow]{name}:[/yellow] {plain(problem)}", highlight=False, soft_wrap=True)
    for path in report.pictures.values():
        out.print(f"picture: {path}", highlight=False, soft_wrap=True)
    print_run(statistics["mlflow_run_id"])


def _epoch_line(epoch: int, metrics: dict[str, float]) -> str:
    return (
        f"epoch {epoch}: loss {metrics['train/loss']:.3f}, "
        f"validation gender {metrics['val/gender_accuracy']:.1%}, "
        f"age group {metrics['val/age_group_accuracy']:.1%}, {metrics['train/images_per_s']:.0f} images/s"
    )


def _named_source(text: str) -> tuple[str, str]:
    name, equals, source = text.partition("=")
    if not (name and equals and source):
        raise ConfigError(
            f"a camera is written NAME=SOURCE, such as door=rtsp://door.example/1, got {text!r}"
        )
    return name, source


def _new_folder(kind: str) -> Path:
    from toolkit.tracking import DEFAULT_STORE

    return DEFAULT_STORE / kind / f"{datetime.now():%Y%m%d-%H%M%S}"


if __name__ == "__main__":
    main()
