"""The command line: ``toolkit live | demo | train | evaluate``."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler
from rich.table import Table

from toolkit.errors import ConfigError, ToolkitError

if TYPE_CHECKING:
    from toolkit.experiment import Experiment
    from toolkit.live_run import LiveReport

# What a command is asked for goes to standard output, what it says on the way to standard error.
out = Console()
err = Console(stderr=True)

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
json_option = click.option("--json", "json_path", type=FILE, help="Write the result here, as JSON.")
out_option = click.option("--out", "out_dir", type=FOLDER, help="Folder for what the run leaves.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="toolkit")
@click.option("-v", "--verbose", is_flag=True, help="Tell every step.")
def cli(verbose: bool) -> None:
    """Live multi-camera runs that researchers can trust.

    Cameras in, people found, apparent gender and age told, and every run recorded with its throughput,
    latency and accuracy.
    """
    handler = RichHandler(console=err, show_time=False, show_path=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler], force=True)
    logging.getLogger("toolkit").setLevel(logging.INFO if verbose else logging.WARNING)


def main() -> None:
    """Entry point: a user's mistake ends in one line and exit code 1, never in a traceback."""
    try:
        cli()
    except ToolkitError as error:
        err.print(f"[red]error:[/red] {_plain(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)


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
      toolkit live experiments/live-four.yaml live.duration_s=60
    """
    given = {"realtime": False if every_frame else None, "loop": loop or None}
    settings: dict[str, Any] = {"camera": {key: value for key, value in given.items() if value is not None}}
    if cameras:
        settings["cameras"] = dict(map(_named_source, cameras))
    if duration_s is not None:
        settings["duration_s"] = duration_s
    experiment = _load("live", "live", experiment_and_overrides, settings)
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
    from toolkit.live_run import demo_cameras

    with err.status("preparing the cameras"):
        cameras = demo_cameras()
    settings = {"cameras": cameras, "duration_s": duration_s, "camera": {"loop": True}}
    _run_live(_load("demo", "live", (), settings), out_dir, json_path, blur_faces=True)


def _run_live(experiment: Experiment, out_dir: Path | None, json_path: Path | None, blur_faces: bool) -> None:
    with err.status("loading detector and model"):
        from toolkit.live_run import run_live
    folder = out_dir or _new_folder("live")
    with _live_display() as show:
        report = run_live(experiment, folder, show, blur_faces)
    _print_report(report)
    _write_json(json_path, report.statistics)


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
    return f"{elapsed_s:4.0f} s  {cameras}  p99 {_ms(statistics['latency_ms']['p99'])}"


def _camera_table(statistics: dict[str, Any], title: str, whole_run: bool = False) -> Table:
    rate = "frames_per_s" if whole_run else "frames_per_s_now"
    table = Table(title=title, title_justify="left")
    table.add_column("camera")
    table.add_column("state")
    for name in (
        "read",
        "analysed",
        "skipped",
        "failed",
        "in flight",
        "frames/s",
        "p50",
        "p95",
        "p99",
        "persons",
    ):
        table.add_column(name, justify="right")
    for name, values in statistics["cameras"].items():
        latency = values["latency_ms"]
        table.add_row(
            name,
            values["state"],
            *(str(values[count]) for count in ("read", "analysed", "skipped", "failed", "in_flight")),
            f"{values[rate]:.1f}",
            *(_ms(latency[p]) for p in ("p50", "p95", "p99")),
            str(values["persons"]),
        )
    table.add_section()
    latency = statistics["latency_ms"]
    table.add_row(
        "all",
        *[""] * 6,
        f"{statistics[rate]:.1f}",
        *(_ms(latency[p]) for p in latency),
        str(statistics["persons"]),
    )
    return table


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
                err.print(f"[yellow]{name}:[/yellow] {_plain(problem)}", highlight=False, soft_wrap=True)
    for path in report.pictures.values():
        out.print(f"picture: {path}", highlight=False, soft_wrap=True)
    if statistics["mlflow_run_id"]:
        out.print(
            f"MLflow run: {statistics['mlflow_run_id']} (make ui shows it)", highlight=False, soft_wrap=True
        )


def _load(name: str, part: str, words: tuple[str, ...], settings: dict[str, Any]) -> Experiment:
    """The experiment from a YAML file, KEY=VALUE words and the command's own options."""
    from toolkit.experiment import load_experiment

    files = [word for word in words if "=" not in word]
    if len(files) > 1:
        raise ConfigError(f"one experiment at a time, got {', '.join(files)}; settings are written KEY=VALUE")
    laid_over: dict[str, Any] = {part: settings}
    if not files:
        laid_over["name"] = name
    return load_experiment(files[0] if files else None, [word for word in words if "=" in word], laid_over)


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


def _write_json(path: Path | None, values: dict[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _ms(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:.0f} ms"


def _plain(text: str) -> str:
    """Text in which rich finds no markup."""
    return text.replace("[", r"\[")
