"""The command ``toolkit replay``, and how streaming scores are shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from toolkit.errors import ConfigError
from toolkit.terminal import FILE, doing, err, json_option, out, print_run, write_json

_ROWS = {
    "gender_accuracy": "gender right",
    "coverage": "labelled",
    "gender_accuracy_labelled": "right of the labelled",
    "age_mae_years": "age error, years",
    "detection_recall": "faces found",
    "false_faces_per_instant": "false faces a frame",
    "staleness_ms.p50": "shown so late, p50 ms",
    "staleness_ms.p95": "p95 ms",
    "first_label_s.p50": "first label after, p50 s",
    "stable_label_s.p50": "stable label after, p50 s",
    "flips_per_track": "label changes a track",
    "track_vote_accuracy": "tracks labelled right",
    "identity_switches": "identity switches",
    "idf1": "IDF1",
    "hota": "HOTA",
}
_SHARES = {
    "gender_accuracy",
    "coverage",
    "gender_accuracy_labelled",
    "detection_recall",
    "track_vote_accuracy",
}
_COLUMNS = {"streaming": "on the screen", "without_latency": "without latency", "offline": "offline"}


@click.command()
@click.argument("recording", type=FILE)
@click.argument("overrides", nargs=-1, metavar="[live.KEY=VALUE]...")
@click.option("--offline", is_flag=True, help="Score also what the model says with all the time it needs.")
@json_option
def replay(recording: Path, overrides: tuple[str, ...], offline: bool, json_path: Path | None) -> None:
    """Score a live run again: as it was, or with another model or settings on the very same frames.

    RECORDING is what toolkit live --record wrote, of cameras that are scenes. With live.KEY=VALUE the frames
    that the run had answered are read and answered anew, and each answer counts from the moment at which the
    recorded one was finished (a simulated clock): what a change does to accuracy, and nothing else.

    \b
      toolkit live -c hall=scene:hall --duration 20 --record runs/hall.jsonl
      toolkit replay runs/hall.jsonl --offline
      toolkit replay runs/hall.jsonl live.checkpoint=best.safetensors live.detector_longest_side_px=480
    """
    for word in overrides:
        if "=" not in word:
            raise ConfigError(f"one recording at a time; a setting is written live.KEY=VALUE, got {word!r}")
    with doing("loading what scores"):
        from toolkit.replay.run import run_replay
    columns = (TextColumn("answering anew"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("frames", total=None, visible=bool(overrides) or offline)
        result = run_replay(
            recording, overrides, offline, lambda done, total: bar.update(task, completed=done, total=total)
        )
    print_scores(result)
    print_run(result["mlflow_run_id"])
    write_json(json_path, result)


def print_scores(result: Mapping[str, Any]) -> None:
    """The scores of a recording as a table, and what each camera fared."""
    late = result["latency_ms"]
    title = f"{result['answers']} answers; capture to result: p50 {late['p50']} ms, p99 {late['p99']} ms"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    blocks = {words: result[name]["all"] for name, words in _COLUMNS.items() if result[name] is not None}
    for words in blocks:
        table.add_column(words, justify="right")
    for key, words in _ROWS.items():
        table.add_row(words, *(_text(key, block) for block in blocks.values()))
    out.print(table)
    first = result["streaming"] or result["without_latency"]
    if len(first["cameras"]) > 1 and first["worst"]:
        worst = first["worst"]
        out.print(
            f"worst camera: {worst['camera']}, gender {worst['gender_accuracy']:.1%}; mean of the cameras "
            f"{first['macro']['gender_accuracy']:.1%}",
            highlight=False,
        )
    if result["streaming"] is None:
        err.print(
            "no score of the screen: the recordings were read as fast as they go (live.camera.realtime: "
            "false), so no frame had a moment at which it fell due",
            soft_wrap=True,
        )
    if not result["is_complete"]:
        err.print("[yellow]the run was broken off: scored as far as it was recorded[/yellow]")


def _text(key: str, block: Mapping[str, Any]) -> str:
    name, _, part = key.partition(".")
    value = block[name][part] if part else block[name]
    if value is None:
        return "-"
    if name in _SHARES:
        return f"{value:.1%}"
    return f"{value:.3f}" if name in ("idf1", "hota") else f"{value:.4g}"
