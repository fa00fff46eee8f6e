"""``toolkit queue``: what waits in the queues of a Redis, what failed, and what to do with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from toolkit.addresses import without_password
from toolkit.errors import ConfigError, ToolkitError, did_you_mean
from toolkit.terminal import json_option, needed_url, out, plain, queue_option, redis_option, write_json
from toolkit.words import counted

if TYPE_CHECKING:
    from toolkit.work.task_queue import TaskQueue

_IN_LIST = ("waiting", "in_hand", "delayed", "oldest_s", "done", "failed", "dead", "retried")

count_option = click.option("--count", type=click.IntRange(1), default=10, show_default=True)


def _on_a_queue(command: Callable[..., None]) -> Callable[..., None]:
    return redis_option(queue_option(command))


@click.group()
def queue() -> None:
    """See what waits in a queue and what failed; put it in again, or drop it."""


@queue.command("list")
@redis_option
@json_option
def list_queues(redis_url: str | None, json_path: Path | None) -> None:
    """All queues of a Redis, with their numbers."""
    from toolkit.work.peek import queue_names
    from toolkit.work.task_queue import TaskQueue

    url = needed_url(redis_url)
    found: dict[str, Any] = {}
    for name in queue_names(url):
        with TaskQueue(name, url) as one:
            found[name] = one.statistics()
    rows = [[name, *(_number(numbers[key]) for key in _IN_LIST)] for name, numbers in found.items()]
    title = f"{counted(len(found), 'queue')} at {without_password(url)}"
    _print_table(title, ["queue", *(key.replace("_", " ") for key in _IN_LIST)], rows)
    write_json(json_path, found)


@queue.command()
@_on_a_queue
@count_option
@json_option
def peek(redis_url: str | None, queue_name: str, count: int, json_path: Path | None) -> None:
    """The tasks that come next, and those in hand; nothing is taken.

    Arrays are shown as dtype and shape, and passwords are not.
    """
    from toolkit.work import peek as room

    with _open(redis_url, queue_name) as one:
        seen = room.peek(one.url, queue_name, count)
    found = [
        {
            "task_id": task.task_id,
            "state": task.state,
            "priority": task.priority,
            "age_s": round(task.age_s, 3),
            "attempts": task.attempts,
            "holder": task.holder,
            "size_bytes": task.size_bytes,
            "data": "cannot be read" if task.task is None else room.describe(task.task),
        }
        for task in seen
    ]
    columns = ("task_id", "state", "priority", "age_s", "attempts", "data")
    title = f"queue {queue_name!r}, up to {counted(count, 'task')} of each state"
    _print_table(
        title, [c.replace("_", " ") for c in columns], [[str(row[c]) for c in columns] for row in found]
    )
    write_json(json_path, {"queue": queue_name, "tasks": found})


@queue.command()
@_on_a_queue
@count_option
@click.option("--traceback", "with_traceback", is_flag=True, help="Where each of them failed, too.")
@json_option
def dead(
    redis_url: str | None, queue_name: str, count: int, with_traceback: bool, json_path: Path | None
) -> None:
    """The tasks that failed for good, the newest first."""
    from toolkit.work.peek import describe

    with _open(redis_url, queue_name) as one:
        total, letters = len(one.dead_letters), one.dead_letters.newest(count)
    found = [
        {
            "task_id": letter.task_id,
            "died_at": datetime.fromtimestamp(letter.died_at).astimezone().isoformat(timespec="seconds"),
            "error": without_password(letter.error),
            "data": "cannot be read" if letter.task is None else describe(letter.task),
            "traceback": without_password(letter.traceback),
        }
        for letter in letters
    ]
    columns = ("task_id", "died_at", "error", "data")
    title = f"queue {queue_name!r}, the newest {len(found)} of {counted(total, 'dead letter')}"
    _print_table(title, [c.replace("_", " ") for c in columns], [[row[c] for c in columns] for row in found])
    for row in found if with_traceback else []:
        out.print(
            plain(f"{row['task_id']}\n{row['traceback'] or row['error']}"), highlight=False, soft_wrap=True
        )
    write_json(json_path, {"queue": queue_name, "dead": total, "letters": found})


@queue.command()
@_on_a_queue
@click.argument("task_ids", nargs=-1, metavar="[TASK_ID]...")
@click.option("--all", "is_all", is_flag=True, help="All of them.")
@json_option
def requeue(
    redis_url: str | None, queue_name: str, task_ids: tuple[str, ...], is_all: bool, json_path: Path | None
) -> None:
    """Put dead letters back into the queue, as if they were new."""
    if is_all == bool(task_ids):
        raise ConfigError("which ones? Name their task ids (`toolkit queue dead` lists them), or give --all")
    with _open(redis_url, queue_name) as one:
        number = one.dead_letters.requeue(None if is_all else task_ids)
    out.print(f"{number} put back into queue {plain(repr(queue_name))}", highlight=False)
    write_json(json_path, {"queue": queue_name, "requeued": number})
    _check_all_found(number, task_ids)


@queue.command(short_help="Drop for good what waits, or the dead letters.")
@_on_a_queue
@click.argument("what", type=click.Choice(["waiting", "dead"]))
@click.argument("task_ids", nargs=-1, metavar="[TASK_ID]...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def purge(
    redis_url: str | None,
    queue_name: str,
    what: str,
    task_ids: tuple[str, ...],
    yes: bool,
    json_path: Path | None,
) -> None:
    """Drop for good what waits, delayed tasks included, or the dead letters: all, or those named.

    Tasks in hand are left to their workers.
    """
    if task_ids and what == "waiting":
        raise ConfigError(
            "single tasks can be dropped from the dead letters alone: toolkit queue purge dead ID"
        )
    with _open(redis_url, queue_name) as one:
        number = len(task_ids) or (one.size() if what == "waiting" else len(one.dead_letters))
        kind = "waiting task" if what == "waiting" else "dead letter"
        question = f"Drop {counted(number, kind)} of queue {queue_name!r} for good?"
        if not (yes or click.confirm(question, err=True)):
            raise ToolkitError("nothing was dropped; answer y, or give --yes")
        number = one.clear() if what == "waiting" else one.dead_letters.drop(task_ids or None)
    out.print(f"{counted(number, kind)} of queue {plain(repr(queue_name))} dropped", highlight=False)
    write_json(json_path, {"queue": queue_name, "purged": number})
    _check_all_found(number, task_ids)


@queue.command(short_help="How many tasks wait, are in hand, and are dead.")
@_on_a_queue
@click.option("--prometheus", "is_prometheus", is_flag=True, help="As text that Prometheus reads.")
@json_option
def stats(redis_url: str | None, queue_name: str, is_prometheus: bool, json_path: Path | None) -> None:
    """How many tasks wait, are in hand and are dead, and what became of the others."""
    from toolkit.work.watch import prometheus_text

    with _open(redis_url, queue_name) as one:
        numbers = one.statistics()
    if is_prometheus:
        click.echo(prometheus_text({queue_name: numbers}), nl=False)
    else:
        rows = [[key.replace("_", " "), _number(value)] for key, value in numbers.items()]
        _print_table(f"queue {queue_name!r}", ["", "tasks"], rows)
    write_json(json_path, {"queue": queue_name, **numbers})


def _open(redis_url: str | None, queue_name: str) -> TaskQueue:
    """The queue, if there is one: looking at a queue would make it, and its name may be a slip."""
    from toolkit.work.peek import queue_names
    from toolkit.work.task_queue import TaskQueue

    url = needed_url(redis_url)
    names = queue_names(url)
    if queue_name not in names:
        hint = did_you_mean(queue_name, names) if names else "there are none"
        raise ConfigError(f"no queue {queue_name!r} at {without_password(url)}; {hint}")
    return TaskQueue(queue_name, url)


def _check_all_found(number: int, task_ids: tuple[str, ...]) -> None:
    asked = len(set(task_ids))
    if number < asked:
        raise ConfigError(f"{number} of the {asked} tasks were dead letters; `toolkit queue dead` lists them")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}" if isinstance(value, float) else f"{value:,}"


def _print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    table = Table(title=plain(title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(plain, row))
    out.print(table)
