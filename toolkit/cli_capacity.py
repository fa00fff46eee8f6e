"""The commands ``toolkit capacity`` and ``toolkit tune``: how many cameras this machine carries, and how."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from toolkit.errors import ConfigError
from toolkit.terminal import NEW_FOLDER, doing, err, json_option, new_folder, out, print_run, write_json
from toolkit.words import counted

if TYPE_CHECKING:
    from toolkit.capacity.search import Plan
    from toolkit.experiment import Experiment


@click.command()
@click.argument("experiment_and_overrides", nargs=-1, metavar="[EXPERIMENT] [KEY=VALUE]...")
@click.option(
    "--out", "out_dir", type=NEW_FOLDER, help="Folder for runs and picture; one broken off goes on."
)
@click.option(
    "--scenarios", is_flag=True, help="Instead: single frames in MLPerf's shapes of load, and some cameras."
)
@json_option
def capacity(
    experiment_and_overrides: tuple[str, ...],
    out_dir: Path | None,
    scenarios: bool,
    json_path: Path | None,
) -> None:
    """Find the largest number of cameras that this machine carries.

    A number passes while the 99th percentile from capture to result, the share of lost frames, and the gender
    accuracy of what is on the screen (against that of the same model with all the time it needs) keep their
    bounds. What the cameras show is a labelled scene, composed before anything is measured. Each number near
    the answer is run several times, and the answer says how sure it is. Leave the machine alone meanwhile: a
    run in which others took more than capacity.most_others of its cores is made once more.

    With --scenarios frames are answered without cameras, decoding or following: one after the other
    (single-stream), eight at once (multi-stream), as they come by chance (server), all at once (offline);
    and capacity.first_cameras cameras play at the pace of their films (live-stream).

    \b
      toolkit capacity
      toolkit capacity capacity.most_p99_ms=100 live.pipeline.batch_size=16
      toolkit capacity capacity.scene.faces=fairface_test_128 capacity.scene.persons=12
      toolkit capacity 'capacity.videos=[hall.mp4, door.mp4]' --out runs/capacity/videos
    """
    experiment = load_search("capacity", experiment_and_overrides)
    if scenarios:
        _run_scenarios(experiment, json_path)
        return
    out_dir = out_dir or new_folder("capacity")
    with doing("loading what searches"):
        from toolkit.capacity.run import load_machine, parts_of, run_capacity
    live, config = parts_of(experiment)
    _say_kept(out_dir)

    with _progress() as bar:
        load = partial(_load, bar, lambda on_frame: load_machine(live, config, on_frame).run)
        result = run_capacity(experiment, out_dir, _show_trial, load)
    _print_result(result)
    print_run(result["mlflow_run_id"])
    write_json(json_path, result)


@click.command()
@click.argument("experiment_and_overrides", nargs=-1, metavar="[EXPERIMENT] [KEY=VALUE]...")
@click.option("--cameras", type=click.IntRange(1), help="Tune for so many, and not for as many as can be.")
@click.option("--out", "out_dir", type=NEW_FOLDER, help="Folder for runs and YAML; one broken off goes on.")
@json_option
def tune(
    experiment_and_overrides: tuple[str, ...],
    cameras: int | None,
    out_dir: Path | None,
    json_path: Path | None,
) -> None:
    """Find the settings with which this machine carries most cameras, and write them as YAML.

    Every change of a grid (how often faces are looked for and how closely, what runs the model, how large
    batches are and how long they wait, how often a person is analysed again) is run alone under the bounds of
    toolkit capacity, then those that helped together, half of them let go each round. The one that is left
    and the defaults are then measured afresh, by turns: the defaults stay unless they are beaten. It takes
    about ten minutes; leave the machine alone.

    \b
      toolkit tune experiments/tune.yaml --out runs/tune
      toolkit tune --cameras 4 'tune.grid={pipeline.search_every: [1, 2]}'
      toolkit live runs/tune/tuned.yaml -c door=rtsp://door.example/1
    """
    given = [] if cameras is None else [f"tune.cameras={cameras}"]
    experiment = load_search("tune", (*experiment_and_overrides, *given))
    _check_grid(experiment)
    out_dir = out_dir or new_folder("tune")
    with doing("loading what searches"):
        from toolkit.capacity.machines import Machines
        from toolkit.capacity.run import parts_of
        from toolkit.capacity.tune_run import run_tune
    live, config = parts_of(experiment)
    _say_kept(out_dir)
    with _progress() as bar:
        load = partial(_load, bar, partial(Machines, live, config))
        result = run_tune(experiment, out_dir, _show_run, load)
    _print_tuned(result)
    print_run(result["mlflow_run_id"])
    write_json(json_path, result)


def _say_kept(out_dir: Path) -> None:
    again = shlex.join(["--out", str(out_dir)])
    err.print(
        f"runs are kept in {out_dir}; after Ctrl-C, {again} goes on",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _check_grid(experiment: Experiment) -> None:
    """Before the seconds that torch takes to load: a wrong setting is told at once."""
    from toolkit.capacity.config import TuneConfig
    from toolkit.capacity.grid import check_grid
    from toolkit.experiment import LiveConfig

    check_grid(experiment.live or LiveConfig({"view": "scene:hall"}), experiment.tune or TuneConfig())


def _run_scenarios(experiment: Experiment, json_path: Path | None) -> None:
    with doing("loading what searches"):
        from toolkit.capacity.run import parts_of
        from toolkit.capacity.scenario_run import run_scenarios
        from toolkit.capacity.views import views_of
        from toolkit.live_parts import make_body_predictor, make_detector, make_predictor
    live, config = parts_of(experiment)
    with _progress() as bar:
        views = _load(bar, partial(views_of, config))
        parts = make_detector(live), make_predictor(live)
        told = run_scenarios(views, *parts, live, config, make_body_predictor(live))
    out.print("MLPerf-style: a query is a frame, its faces found and labelled; live-stream: the whole street")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for title in ("scenario", "frames/s", "p50 ms", "p90 ms", "p99 ms", "lost"):
        table.add_column(title, justify="left" if title == "scenario" else "right")
    for name, row in told.items():
        rate = next((row[key] for key in ("rate_per_s", "samples_per_s", "frames_per_s") if key in row), None)
        late = (_number(row.get(f"p{p}_ms")) for p in (50, 90, 99))
        lost = f"{row['dropped_fraction']:.1%}" if "dropped_fraction" in row else "-"
        cameras = f", {counted(row['cameras'], 'camera')}" if "cameras" in row else ""
        table.add_row(name + cameras, _number(rate), *late, lost)
    out.print(table)
    write_json(json_path, told)


T = TypeVar("T")


def _load(bar: Progress, make: Callable[[Callable[[int, int], None]], T]) -> T:
    """Make what is measured, with a bar for the scene's frames."""
    task = bar.add_task("composing the scene", total=None)
    made = make(lambda done, total: bar.update(task, completed=done, total=total))
    bar.update(task, description="running", total=None)
    return made


def load_search(name: str, words: tuple[str, ...]) -> Experiment:
    """The experiment of a search: the street's settings without cameras, which are the search's own.

    Raises:
        ConfigError: two files, or what is in them is not right.
    """
    from toolkit.experiment import load_experiment

    files = [word for word in words if "=" not in word]
    if len(files) > 1:
        raise ConfigError(f"one experiment at a time, got {', '.join(files)}; settings are written KEY=VALUE")
    settings: dict[str, Any] = {"capacity": {}, "live": {"cameras": {"view": "scene:hall"}}}
    if not files:
        settings["name"] = name
    return load_experiment(files[0] if files else None, [word for word in words if "=" in word], settings)


def _progress() -> Progress:
    """A bar on a terminal; nothing elsewhere, where each run has its line."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def _show_trial(row: dict[str, Any], now: Plan) -> None:
    so_far = f"{now.passes}, 95 % between {now.least} and {now.most}"
    again = "" if row["counts"] else f"; others took {row['others_cpu']:.0%} of the cores: once more"
    err.print(f"{_line(row)}; so far {so_far}{again}", highlight=False, soft_wrap=True)


def _show_run(phase: str, settings: dict[str, Any], row: dict[str, Any]) -> None:
    words = ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in settings.items())
    err.print(
        f"{phase}: {_line(row)}  [{words or 'defaults'}]", highlight=False, markup=False, soft_wrap=True
    )


def _line(row: dict[str, Any]) -> str:
    verdict = "passed" if row["passed"] else "; ".join(row["failures"])
    late, lost = _number(row["p99_ms"]), f"{row['dropped_fraction']:.1%}"
    return f"{counted(row['cameras'], 'camera'):>11}: {verdict} (p99 {late} ms, lost {lost})"


def _print_result(result: dict[str, Any]) -> None:
    if result["cameras"] is None:
        out.print("ended by hand: no answer yet")
    else:
        out.print(
            f"[bold]{counted(result['cameras'], 'camera')}[/bold]; {result['confidence']}", soft_wrap=True
        )
    if result["repeated"]:
        out.print(f"{result['repeated']} of {len(result['trials'])} runs were disturbed by others' work")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for title in ("cameras", "passed", "p50 ms", "p99 ms", "lost", "gender shown", "offline", "CPU ms/frame"):
        table.add_column(title, justify="right")
    for row in result["by_cameras"]:
        table.add_row(
            str(row["cameras"]),
            f"{row['passed']} of {row['runs']}",
            _number(row["p50_ms"]),
            _number(row["p99_ms"]),
            f"{row['dropped_fraction']:.1%}",
            _percent(row["streaming_gender_accuracy"]),
            _percent(row["offline_gender_accuracy"]),
            _number(row["cpu_ms_per_frame"]),
        )
    out.print(table)
    if result["figure"]:
        out.print(f"picture: {result['figure']}", highlight=False, markup=False, soft_wrap=True)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _print_tuned(result: dict[str, Any]) -> None:
    if result["chosen"] is None:
        out.print("ended by hand: nothing is chosen yet")
        return
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for title in ("", "cameras", "p99 ms", "lost", "gender shown", "CPU ms/frame"):
        table.add_column(title, justify="right")
    for name in ("defaults", "tuned"):
        told = result[name]
        row = next((r for r in told["by_cameras"] if r["cameras"] == max(told["cameras"], 1)), None)
        if row is not None:
            table.add_row(
                name,
                str(told["cameras"]),
                _number(row["p99_ms"]),
                f"{row['dropped_fraction']:.1%}",
                _percent(row["streaming_gender_accuracy"]),
                _number(row["cpu_ms_per_frame"]),
            )
    out.print(table)
    if result["sure"] is not None:
        out.print(f"the tuned settings carry more with a probability of {result['sure']:.1%}")
    row = result["tuned"]["trials"][0]
    if result["settings"] and row.get("settings_loss_error") is not None:
        loss, error = 100 * row["settings_loss"], 100 * row["settings_loss_error"]
        often = "less" if loss > 0 else "more"
        out.print(f"offline they are right {abs(loss):.1f} points {often} often, give or take {error:.1f}")
    for key, value in result["settings"].items():
        out.print(f"live.{key}: {value}", highlight=False)
    if not result["settings"]:
        out.print("nothing beats the defaults")
    again = shlex.join(["toolkit", "live", result["yaml"]])
    out.print(f"written: {result['yaml']} ({again} -c NAME=SOURCE)", markup=False, soft_wrap=True)
