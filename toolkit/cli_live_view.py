"""A live run in a terminal: a table that renews itself, what it has no room for, the report at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from toolkit.terminal import err, out, plain, print_run
from toolkit.words import counted

if TYPE_CHECKING:
    from toolkit.live_run import LiveReport

Show = Callable[[dict[str, Any], float], None]
"""``show(statistics, elapsed_s)``, several times a second."""

_SAY_EVERY_S = 5.0
_WIDE = 100
"""Columns of a terminal in which the table has room for all."""

_PERCENTILES = {"p50 ms": "p50", "p95 ms": "p95", "p99 ms": "p99"}


@contextmanager
def live_display() -> Iterator[Show]:
    """A table that renews itself on a terminal, a line every five seconds elsewhere."""
    beginning = "opening the MLflow store and the cameras"
    if err.is_terminal:
        with Live(Spinner("dots", beginning), console=err, refresh_per_second=4, transient=True) as display:
            yield lambda statistics, elapsed_s: display.update(
                Group(_camera_table(statistics, f"{elapsed_s:.0f} s", err.width), *remarks(statistics))
            )
        return
    err.print(beginning, highlight=False)
    said_at = 0.0

    def say(statistics: dict[str, Any], elapsed_s: float) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= _SAY_EVERY_S:
            said_at = time.monotonic()
            err.print(_progress_line(statistics, elapsed_s), highlight=False, soft_wrap=True)

    yield say


def _progress_line(statistics: dict[str, Any], elapsed_s: float) -> str:
    cameras = ", ".join(
        f"{name} {values['frames_per_s_now']:.1f}/s {values['skipped']} skipped"
        + ("" if values["state"] == "live" else f" ({values['state']})")
        for name, values in statistics["cameras"].items()
    )
    p99 = statistics["latency_ms"]["p99"]
    return f"{elapsed_s:4.0f} s  {cameras}" + ("" if p99 is None else f", p99 {p99:.0f} ms")


def _camera_table(statistics: dict[str, Any], title: str, width: int, whole_run: bool = False) -> Table:
    """What became of every frame; on a narrow terminal without the state, which remarks tell of."""
    is_wide = width >= _WIDE
    rate = "frames_per_s" if whole_run else "frames_per_s_now"
    percentiles = _PERCENTILES if is_wide else {"p50 ms": "p50", "p99 ms": "p99"}
    counts = {"read": "read", "analysed": "analysed", "skipped": "skipped", "failed": "failed"}
    counts |= {"in flight": "in_flight"}
    room = {"padding": (0, 1, 0, 0)} if is_wide else {"padding": 0, "show_edge": False}
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, **room)
    for title in ("camera", *(["state"] if is_wide else [])):
        table.add_column(title, no_wrap=True)
    for title in (*counts, "frames/s", *percentiles, "persons"):
        table.add_column(title, justify="right")

    def rates(values: dict[str, Any]) -> list[str]:
        latencies = [values["latency_ms"][key] for key in percentiles.values()]
        told = ("-" if ms is None else f"{ms:.0f}" for ms in latencies)
        return [f"{values[rate]:.1f}", *told, str(values["persons"])]

    for name, values in statistics["cameras"].items():
        state = [values["state"]] if is_wide else []
        table.add_row(name, *state, *(str(values[count]) for count in counts.values()), *rates(values))
    table.add_section()
    table.add_row("all", *[""] * (len(counts) + is_wide), *rates(statistics))
    return table


def remarks(statistics: dict[str, Any]) -> Iterator[Text]:
    """What a table has no room for: why, where the time goes, and who went where."""
    for name, values in statistics["cameras"].items():
        if values["state"] != "live" and values["reason"]:
            yield Text(f"{name} is {values['state']}: {values['reason']}")
        if values["causes"]:
            causes = ", ".join(f"{count} {cause}" for cause, count in values["causes"].items())
            yield Text(f"{name} lost frames: {causes}")
        for zone, seen in values["zones"].items():
            yield Text(
                f"{name}, {zone}: {seen['inside']} inside, {seen['entered']} came in, {seen['left']} went out"
            )
        for line, seen in values["lines"].items():
            yield Text(f"{name}, {line}: {seen['to_left']} to the left, {seen['to_right']} to the right")
    if runtime := statistics["runtime"]:
        yield Text(
            f"model in {runtime['name']}, {counted(runtime['threads'], 'thread')} ({runtime['reason']})"
        )
    stages = ", ".join(f"{stage} {row['mean_ms']:.1f}" for stage, row in statistics["stages"].items())
    if stages:
        yield Text(f"mean ms: {stages}")
    used, saved = statistics["resources"], statistics["looks"]["saved_fraction"]
    now = used["cpu_cores_used_mean" if "elapsed_s" in statistics else "cpu_cores_used"]
    cores = f"{now:.1f} of {used['cpu_cores']} cores, {used['memory_mb']:.0f} MB"
    gpus = "".join(f", {gpu['name']} {gpu['busy_fraction']:.0%} busy" for gpu in used["gpus"])
    yield Text(cores + gpus + ("" if saved is None else f"; {saved:.0%} of the faces needed no new analysis"))


def print_report(report: LiveReport) -> None:
    """What became of every frame, where the pictures lie, and where the run is recorded."""
    statistics = report.statistics
    title = (
        f"{statistics['elapsed_s']:.1f} s, faces found by {statistics['detector']}; "
        "latency is from capture to result"
    )
    out.print(_camera_table(statistics, title, out.width, whole_run=True))
    for remark in remarks(statistics):
        out.print(remark, highlight=False, soft_wrap=True)
    for name, values in statistics["cameras"].items():
        for problem in (values["error"], values["analysis_error"]):
            if problem:
                err.print(f"[yellow]{name}:[/yellow] {plain(problem)}", highlight=False, soft_wrap=True)
    for path in report.pictures.values():
        out.print(f"picture: {path}", highlight=False, markup=False, soft_wrap=True)
    print_run(statistics["mlflow_run_id"])
