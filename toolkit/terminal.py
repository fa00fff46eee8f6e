"""What all commands share: how they are told what to do, where they print, and how they leave their JSON."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from toolkit.errors import ConfigError, ModelError
from toolkit.whole_files import whole_file

if TYPE_CHECKING:
    from toolkit.experiment import Experiment


class _Answers(Console):
    """Standard output: where nobody reads it any more, the command goes on, and still leaves its files."""

    def on_broken_pipe(self) -> None:
        """Print no more: ``| head`` has enough, or Ctrl-C has ended the ``tee`` behind us."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# What a command is asked for goes to standard output, what it says on the way to standard error.
# Where there is no terminal to ask for its width, tables get the room they need. No emoji: rich would draw
# one in an address such as [fe80::b:1].
out = _Answers(width=None if sys.stdout.isatty() else 110, emoji=False)
err = Console(stderr=True, width=None if sys.stderr.isatty() else 110, emoji=False)

# Known beforehand: a terminal that was closed no longer says that it is one.
_TERMINALS = [stream.fileno() for stream in (sys.stdout, sys.stderr) if stream.isatty()]

# A bracket with the backslashes before it, and what rich would take for a style.
_BRACKET = re.compile(r"(\\*)\[(?=([a-z#/@][^\[]*?\])?)")


class _New(click.Path):
    """A file or folder to be written: where it cannot be, that is told before the work, and not after it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, after a look at the folder it would lie in."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        places = [*path.absolute().parents]
        if self.dir_okay:
            places.insert(0, path.absolute())
        folder = next(place for place in places if place.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            self.fail(f"{path} cannot be written: {folder} is no folder that takes files", param, ctx)
        return path


FILE = click.Path(dir_okay=False, path_type=Path)
NEW_FILE = _New(dir_okay=False, writable=True, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
NEW_FOLDER = _New(file_okay=False, writable=True, path_type=Path)
json_option = click.option("--json", "json_path", type=NEW_FILE, help="Write the result here, as JSON.")
redis_option = click.option(
    "--redis",
    "redis_url",
    envvar="REDIS_URL",
    show_envvar=True,
    metavar="URL",
    help="Address of the Redis; one with a password is better kept in the environment.",
)
queue_option = click.option("--queue", "queue_name", default="tasks", show_default=True, help="Its name.")


def needed_url(redis_url: str | None) -> str:
    """The address of a Redis that was given.

    Raises:
        ConfigError: none was; the private server that a queue would start has nothing to show or to do.
    """
    if not redis_url:
        raise ConfigError("which Redis? Give --redis redis://HOST:6379/0, or set REDIS_URL")
    return redis_url


def print_nowhere() -> None:
    """What would be printed on a terminal is let go from now on: on one that was closed, that is an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in _TERMINALS:
        os.dup2(nowhere, descriptor)


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Say what takes a while: a spinner on a terminal, a line elsewhere."""
    if err.is_terminal:
        with err.status(what):
            yield
        return
    err.print(what, highlight=False, soft_wrap=True)
    yield


def load(
    name: str,
    part: str,
    words: tuple[str, ...],
    settings: dict[str, Any] | None = None,
    also: tuple[str, ...] = (),
) -> Experiment:
    """The experiment from a YAML file, KEY=VALUE words and the command's own options.

    Args:
        name: of an experiment that has no file.
        part: what the command reads of it; it has to be there.
        words: at most one file, and settings.
        settings: of the part, from options; None for a command that needs a file.
        also: other parts that the command needs.

    Raises:
        ConfigError: two files, none where there has to be one, what is in it is not right, a part is missing,
            or a setting is of a part that the command does not read.
    """
    from toolkit.experiment import PARTS, load_experiment

    files = [word for word in words if "=" not in word]
    if len(files) > 1:
        raise ConfigError(f"one experiment at a time, got {', '.join(files)}; settings are written KEY=VALUE")
    laid_over: dict[str, Any] | None = None if settings is None else {part: settings}
    if laid_over is not None and not files:
        laid_over["name"] = name
    overrides = [word for word in words if "=" in word]
    read = (part, *also)
    for word in overrides:
        key = word.partition("=")[0]
        if key.partition(".")[0] in PARTS and key.partition(".")[0] not in read:
            raise ConfigError(f"{word} has no effect here: toolkit {name} reads {' and '.join(read)} alone")
    experiment = load_experiment(files[0] if files else None, overrides, laid_over)
    for one in read:
        if getattr(experiment, one) is None:
            raise ConfigError(
                f"experiment {experiment.name!r} has no part {one!r}, which toolkit {name} needs"
            )
    return experiment


def check_checkpoint(checkpoint: str) -> None:
    """Tell a slip before torch is loaded, which takes many seconds.

    Raises:
        ModelError: nothing of that name is there.
    """
    # toolkit.models.checkpoint.SHIPPED, whose room loads torch.
    if checkpoint != "shipped" and not Path(checkpoint).exists():
        raise ModelError(
            f"no checkpoint {checkpoint}: a checkpoint is 'shipped', a .safetensors with a .json beside it, "
            "or the folder of an exported model"
        )


def new_folder(kind: str) -> Path:
    """A folder of its own for what a run leaves, beside the store."""
    from toolkit.tracking import DEFAULT_STORE

    return DEFAULT_STORE / kind / f"{datetime.now():%Y%m%d-%H%M%S}"


def print_run(run_id: str | None) -> None:
    """Say where a run is recorded, and how to look at it."""
    if run_id:
        from toolkit.mlflow_store import shown_by

        out.print(f"MLflow run: {run_id} ({shown_by()})", highlight=False, markup=False, soft_wrap=True)


def write_json(path: Path | None, values: Any) -> None:
    """Write what a command printed, where ``--json`` asks for it."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            part.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def plain(text: str) -> str:
    """Text in which rich finds no markup."""
    # A backslash before what looks like a style stands for itself only if it is doubled, elsewhere as it is.
    return _BRACKET.sub(lambda found: found[1] * (2 if found[2] else 1) + r"\[", text)
