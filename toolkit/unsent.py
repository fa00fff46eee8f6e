"""What MLflow did not take: kept in files beside the store, and sent when it is back."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from toolkit.errors import StoreUnavailable, ToolkitError
from toolkit.mlflow_store import DEFAULT_STORE, asking_store
from toolkit.run_entries import Entry, copied_into, first_piece, params_entry, parsed, start_run, write_piece


@dataclass(frozen=True)
class Sent:
    """What became of one file.

    Attributes:
        path: of the file, which is gone unless something was refused.
        run_id: the run that has its entries now.
        entries: how many were written.
        refused: how many the store did not take, each for the reason told; they stay in the file.
        reasons: why, each once.
    """

    path: Path
    run_id: str
    entries: int
    refused: int
    reasons: tuple[str, ...]


def keep_unsent(start: Entry, run_id: str | None, entries: Sequence[Entry], path: Path | None = None) -> Path:
    """Write what was not sent into a file; copies of the files it speaks of lie in a folder beside it.

    Args:
        start: the run's first entry.
        run_id: None, if the run was never made.
        entries: the rest, in order.
        path: of the file that holds earlier entries of this run, which stay before these; None for a new one.
    """
    path = path or _new_path(start["name"])
    kept = [start | {"run_id": run_id}, *copied_into(path.with_suffix(""), entries)]
    with _written_anew(path) as part:
        part.write(_line(kept[0]))
        if path.exists():
            with path.open(encoding="utf-8") as before:
                before.readline()
                shutil.copyfileobj(before, part)
        part.writelines(map(_line, kept[1:]))
    return path


def unsent_files() -> list[Path]:
    """The files there are, oldest first."""
    return sorted(DEFAULT_STORE.glob("unsent-*.jsonl"), key=lambda path: path.stat().st_mtime)


def send(path: Path, run_id: str | None = None) -> Sent:
    """Write the entries of a file into the store; the file goes when all of them are there.

    They go to the run that the file names, else to ``run_id``, else to a new one.

    An entry that the store refuses stays in the file and does not hold up the others. What was written before
    an interruption is written again the next time, which changes nothing.

    Raises:
        ToolkitError: the file is missing, or not one of ours.
        StoreUnavailable: the store does not answer.
    """
    start, *entries = _read(path)
    left: list[Entry] = []
    reasons: dict[str, None] = {}
    with asking_store() as client:
        run_id = start["run_id"] or run_id or start_run(client, start)
        # Should the next lines be interrupted, the run is not made a second time.
        _write(path, [start | {"run_id": run_id}, *entries])
        waiting = entries
        while waiting:
            piece = first_piece(waiting)
            waiting = waiting[len(piece) :]
            try:
                write_piece(client, run_id, piece)
            except Exception as error:  # noqa: BLE001 - one thing is refused in any way; the others are not
                client.get_run(run_id)  # raises if it is the store that is gone
                left += piece
                reasons[str(error).partition("\n")[0][:200]] = None
    if left:
        _write(path, [start | {"run_id": run_id}, *left])
    else:
        path.unlink()
        shutil.rmtree(path.with_suffix(""), ignore_errors=True)
    return Sent(path, run_id, len(entries) - len(left), len(left), tuple(reasons))


def _read(path: Path) -> list[Entry]:
    try:
        entries = [parsed(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise StoreUnavailable(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ToolkitError(f"{path} was not left by a run of ours: {error}") from error
    if not entries or "run_id" not in entries[0]:
        raise ToolkitError(f"{path} was not left by a run of ours: it does not begin with its start")
    # Files once had the settings in the start.
    if settings := entries[0].pop("params", None):
        entries.insert(1, params_entry(settings))
    return entries


def _write(path: Path, entries: Sequence[Entry]) -> None:
    with _written_anew(path) as part:
        part.writelines(map(_line, entries))


@contextmanager
def _written_anew(path: Path) -> Iterator[TextIO]:
    """Under another name, then renamed: nobody ever reads half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as opened:
        yield opened
    part.replace(path)


def _line(entry: Entry) -> str:
    return json.dumps(entry) + "\n"


def _new_path(name: str) -> Path:
    stem = f"unsent-{re.sub(r'[^A-Za-z0-9_.=-]+', '-', name)}"
    path, number = DEFAULT_STORE / f"{stem}.jsonl", 1
    while path.exists():
        number += 1
        path = DEFAULT_STORE / f"{stem}-{number}.jsonl"
    return path
