"""What all commands share: where they print, and how they leave their JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

# What a command is asked for goes to standard output, what it says on the way to standard error.
# Where there is no terminal to ask for its width, tables get the room they need.
out = Console(width=None if sys.stdout.isatty() else 110)
err = Console(stderr=True, width=None if sys.stderr.isatty() else 110)

FILE = click.Path(dir_okay=False, path_type=Path)
json_option = click.option("--json", "json_path", type=FILE, help="Write the result here, as JSON.")


def write_json(path: Path | None, values: Any) -> None:
    """Write what a command printed, where ``--json`` asks for it."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def plain(text: str) -> str:
    """Text in which rich finds no markup."""
    return text.replace("[", r"\[")
