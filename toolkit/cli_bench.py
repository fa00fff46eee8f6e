"""``toolkit bench``: ourselves, the limits of our parts, and others, measured in one run and in turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from toolkit.errors import ConfigError
from toolkit.terminal import doing, err, json_option, load, out, print_run, write_json

if TYPE_CHECKING:
    from toolkit.bench.rounds import OnProgress
    from toolkit.experiment import Experiment


@click.group()
def bench() -> None:
    """Measure ourselves, the limits of our parts, and others, in one run and in turns.

    Ctrl-C ends a bench early: what was measured until then is shown and recorded.
    """


@bench.command("queue", short_help="The task queue, beside raw Redis and other job queues.")
@click.argument("experiment_and_overrides", nargs=-1, metavar="[EXPERIMENT] [KEY=VALUE]...")
@json_option
def queue(experiment_and_overrides: tuple[str, ...], json_path: Path | None) -> None:
    """The task queue and its workers, beside raw Redis and other job queues (pip install 'toolkit[peers]').

    \b
      toolkit bench queue bench.queue.rounds=1 bench.queue.cases=[no-op-2]
      toolkit bench queue experiments/bench-queue.yaml --json bench-queue.json
    """
    from toolkit.bench.runs import run_queue_bench

    experiment = _load("queue", experiment_and_overrides)
    with _progress() as show:
        result = run_queue_bench(experiment, show)
    _print(result, json_path)


@bench.command("camera", short_help="How cameras are read, beside PyAV, OpenCV, VidGear.")
@click.argument("experiment_and_overrides", nargs=-1, metavar="[EXPERIMENT] [KEY=VALUE]...")
@json_option
def camera(experiment_and_overrides: tuple[str, ...], json_path: Path | None) -> None:
    """How cameras are read: rate, cost of a frame, time to open, beside PyAV alone, OpenCV and VidGear.

    \b
      toolkit bench camera bench.camera.rounds=1 bench.camera.cases=[open]
      toolkit bench camera experiments/bench-camera.yaml --json bench-camera.json
    """
    from toolkit.bench.runs import run_camera_bench

    experiment = _load("camera", experiment_and_overrides)
    with _progress() as show:
        result = run_camera_bench(experiment, show)
    _print(result, json_path)


@bench.command("batch", short_help="Batches of many callers, beside hand-written ones.")
@click.argument("experiment_and_overrides", nargs=-1, metavar="[EXPERIMENT] [KEY=VALUE]...")
@json_option
def batch(experiment_and_overrides: tuple[str, ...], json_path: Path | None) -> None:
    """Batches of many callers' items, beside the ideal, hand-written ones, batched and async-batcher.

    \b
      toolkit bench batch bench.batch.rounds=1 bench.batch.cases=[threads-model-8]
      toolkit bench batch experiments/bench-batch.yaml --json bench-batch.json
    """
    from toolkit.bench.runs import run_batch_bench

    experiment = _load("batch", experiment_and_overrides)
    with _progress() as show:
        result = run_batch_bench(experiment, show)
    _print(result, json_path)


@bench.command("live", short_help="The whole street, beside its parts and other ways.")
@click.argument("experiment_and_overrides", nargs=-1, metavar="[EXPERIMENT] [KEY=VALUE]...")
@json_option
def live(experiment_and_overrides: tuple[str, ...], json_path: Path | None) -> None:
    """The whole street: videos, decoding, one model for all, beside its parts alone and what others use.

    \b
      toolkit bench live bench.live.rounds=1 bench.live.cases=[full-speed-4]
      toolkit bench live experiments/bench-live.yaml --json bench-live.json
    """
    from toolkit.bench.runs import run_live_bench

    experiment = _load("live", experiment_and_overrides)
    with _progress() as show:
        result = run_live_bench(experiment, show)
    _print(result, json_path)


@bench.command("model", short_help="What runs the model: torch, ONNX Runtime, OpenVINO.")
@click.argument("experiment_and_overrides", nargs=-1, metavar="[EXPERIMENT] [KEY=VALUE]...")
@json_option
def model(experiment_and_overrides: tuple[str, ...], json_path: Path | None) -> None:
    """What runs the model: torch, ONNX Runtime and OpenVINO, ours and as one uses them, and the bare network.

    \b
      toolkit bench model bench.model.rounds=1 bench.model.models=[shipped] bench.model.threads=[1]
      toolkit bench model experiments/bench-model.yaml --json bench-model.json
    """
    with doing("loading torch"):
        from toolkit.bench.runs import run_model_bench

    experiment = _load("model", experiment_and_overrides)
    with _progress() as show:
        result = run_model_bench(experiment, show)
    _print(result, json_path)


@bench.command("train", short_help="The training loop, beside one of timm's parts.")
@click.argument("experiment_and_overrides", nargs=-1, metavar="[EXPERIMENT] [KEY=VALUE]...")
@json_option
def train(experiment_and_overrides: tuple[str, ...], json_path: Path | None) -> None:
    """The training loop, beside its model alone and a loop of timm's parts.

    \b
      toolkit bench train bench.train.rounds=1 bench.train.backbone=mobilenetv3_small_100
      toolkit bench train experiments/bench-train.yaml --json bench-train.json
    """
    from toolkit.bench.runs import run_train_bench

    experiment = _load("train", experiment_and_overrides)
    with _progress() as show:
        result = run_train_bench(experiment, show)
    _print(result, json_path)


def _load(bench_name: str, words: tuple[str, ...]) -> Experiment:
    """The experiment of one bench.

    Raises:
        ConfigError: as :func:`toolkit.terminal.load`, or a setting is of another bench.
    """
    for word in words:
        part, *keys = word.partition("=")[0].split(".")
        if "=" in word and part == "bench" and keys and keys[0] in bench.commands and keys[0] != bench_name:
            raise ConfigError(
                f"{word} has no effect here: toolkit bench {bench_name} reads bench.{bench_name} alone"
            )
    return load(f"bench-{bench_name}", "bench", words, {bench_name: {}})


def _print(result: dict[str, Any], json_path: Path | None) -> None:
    from toolkit.bench.tables import case_table, ratio_line

    for case in result["cases"].values():
        out.print(case_table(case))
        out.print(ratio_line(case), highlight=False, soft_wrap=True)
    if result["measurements"] < result["asked"]:
        out.print(f"ended by hand after {result['measurements']} of {result['asked']} measurements")
    print_run(result["mlflow_run_id"])
    write_json(json_path, result)


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """A bar on a terminal, a line for each measurement elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task("starting", total=None)

        def show(what: str, done: int, total: int) -> None:
            progress.update(bar, description=what, completed=done, total=total)
            if not err.is_terminal and done < total:
                err.print(f"{done + 1}/{total} {what}", highlight=False, soft_wrap=True)

        yield show
