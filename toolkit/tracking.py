"""A run's record in MLflow, written by a thread of its own, so nobody waits for it."""

from __future__ import annotations

import contextlib
import getpass
import json
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from toolkit.addresses import without_password
from toolkit.machine import machine
from toolkit.mlflow_store import (
    DEFAULT_STORE,
    asking_store,
    explained,
    open_store,
    prepare_store,
    store_uri,
)
from toolkit.resources import system_metrics
from toolkit.run_entries import Entry, first_piece, params_entry, start_entry, start_run, write_piece
from toolkit.unsent import keep_unsent, send

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "DEFAULT_STORE",
    "RunRecord",
    "add_to_run",
    "flatten",
    "prepare_store",
    "run_name",
    "store_uri",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")

PARENT_RUN = "TOOLKIT_PARENT_RUN"
"""Environment variable: id of the run that the runs of this process are part of, as of a notebook."""

_WRITE_EVERY_S = 5.0
_LEFT_ALONE_S = 30.0
"""A store that has just failed may hold each call for seconds."""

_MOST_WAITING = 600
"""Ten minutes of a live run, some 10 MB with 16 cameras; a store may be away for days."""

_HURRIED_S = 10.0
"""What an end takes at most that is hurried by Ctrl-C: opening a store for the first time takes seconds."""

_FAILURES_AT_THE_END = 2
"""A store that refuses one thing may take the rest; one that fails twice is gone."""


class RunRecord:
    """One MLflow run.

    Calls return at once; a thread does the work in order, the metrics of five seconds in one piece, which
    costs SQLite half the CPU time of single ones. A store that fails is named once in the log and left alone
    for half a minute; then it gets what waits for it. What could not be written until the end lies in a file
    beside the default store, line by line, from where ``toolkit runs send`` sends it.

    Beside what it is told it notes who ran what on which machine, in the tags that MLflow's pages show, and
    every five seconds what the machine's parts do, by the names of MLflow's own system metrics. A run's first
    own metric is written before these, because MLflow compares runs by what was written first.

    Args:
        experiment: name of the MLflow experiment: "live", "train", "evaluate", ...
        run_name: what the run is called in the UI.
        params: settings; nested mappings become dotted names, and ``question`` the description of the run.
        tags: further words to find the run by.
        began_at: seconds since 1970; None is now. For a run that is recorded when its work is done.
    """

    def __init__(
        self,
        experiment: str,
        run_name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str] | None = None,
        began_at: float | None = None,
    ) -> None:
        self.run_id: str | None = None
        self.error: Exception | None = None
        # Parts that an experiment does not have would only fill MLflow's tables.
        given = flatten({name: value for name, value in params.items() if value is not None})
        at_ms = _now_ms() if began_at is None else round(began_at * 1000)
        self._start = start_entry(experiment, run_name, tags or {}) | {"at_ms": at_ms}
        self._question = str(params.get("question") or "")
        self._client: MlflowClient | None = None
        self._new: deque[Entry] = deque([params_entry(given)] if given else [])
        self._of_machine: list[Entry] = []
        self._has_own_metrics = False
        self._waiting: list[Entry] = []
        self._kept: Path | None = None
        self._is_disk_named = False
        self._wake = threading.Event()
        self._is_closed, self._is_over = threading.Event(), threading.Event()
        self._left_alone_until = 0.0
        self._thread = threading.Thread(target=self._run, name="mlflow", daemon=True)
        self._thread.start()

    def wait_for_id(self, timeout_s: float = 60.0) -> str | None:
        """The run's id, which its thread has soon after the start; None when the store does not answer."""
        deadline = time.monotonic() + timeout_s
        while self.run_id is None and self.error is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.run_id

    def log_metrics(self, values: Mapping[str, float | None], step: int = 0) -> None:
        """Write numbers by name; None is left out."""
        numbers = {name: float(value) for name, value in values.items() if value is not None}
        if numbers:
            self._new.append(_metrics_entry(numbers, step))
            self._has_own_metrics = True

    def log_text(self, text: str, artifact: str) -> None:
        """Keep ``text`` as the file ``artifact`` of the run."""
        self._add("text", text=text, artifact=artifact)

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file, or of a folder, in ``folder`` of the run."""
        self._add("file", path=str(path), folder=folder)

    def log_table(self, rows: list[dict[str, Any]], artifact: str) -> None:
        """Keep rows as a table that the UI shows (``.json``)."""
        import pandas as pd

        table = pd.DataFrame(rows).to_json(orient="split", index=False, date_format="iso")
        self._add("table", table=json.loads(table), artifact=artifact)

    def log_dataset(self, name: str, sha256: str, source: str, context: str) -> None:
        """Say which data the run used; ``context`` is what for, such as ``training``."""
        self._add("dataset", name=name, sha256=sha256, source=source, context=context)

    def log_model(self, folder: Path, name: str, score: float | None = None) -> None:
        """Keep a folder in MLflow's format, and make it a version of the registered model ``name``.

        The version is called ``newest`` from now on, and ``best`` if no earlier one has a higher ``score``.
        """
        self.log_file(folder)
        self._add("model", folder=folder.name, name=name, score=score)

    def close(self, status: str = "FINISHED", timeout_s: float = 120.0) -> str | None:
        """Write what is left, end the run, and give its id; None when the store could not be reached.

        What is not written after ``timeout_s``, or some seconds after Ctrl-C, goes into the file.
        """
        self._add("status", status=status, at_ms=_now_ms())
        self._is_closed.set()
        self._wake.set()
        try:
            # Not its join: until Python 3.13 a thread counts as ended once that was interrupted.
            self._is_over.wait(timeout_s)
        except KeyboardInterrupt:
            # A run that is given up in the middle of its end would stay RUNNING for good.
            self._is_over.wait(min(timeout_s, _HURRIED_S))
            raise
        finally:
            self._keep_what_is_left()
        return self.run_id

    def _keep_what_is_left(self) -> None:
        if self._is_over.is_set():
            self._thread.join()
        else:
            logger.error("MLflow is still writing, and is not waited for any longer")
        left = [*self._waiting, *_emptied(self._new)]
        if (left or self._kept is not None) and self._keep(left):
            logger.error("what MLflow did not take lies in %s; toolkit runs send sends it", self._kept)

    def _add(self, kind: str, **values: Any) -> None:
        self._new.append({"kind": kind, **values})
        self._wake.set()

    def _run(self) -> None:
        try:
            self._write_until_closed()
        finally:
            self._is_over.set()

    def _write_until_closed(self) -> None:
        """Write what is new, at the latest every five seconds."""
        self._start["tags"] = _tags(self._question) | self._start["tags"]
        sample = system_metrics()
        while True:
            # Read before writing: what is added before the end is written in the last round.
            is_last = self._is_closed.is_set()
            if is_last or self._has_own_metrics:
                self._new.extend(self._of_machine)
                self._of_machine = []
            self._write_new(is_last)
            if is_last:
                return
            if not self._wake.wait(_WRITE_EVERY_S):
                elapsed_s = (_now_ms() - self._start["at_ms"]) / 1000
                self._of_machine.append(_metrics_entry(sample(), round(elapsed_s)))
            self._wake.clear()

    def _write_new(self, is_last: bool) -> None:
        """Write all that waits, unless the store has just failed; at the end it is asked once more."""
        self._waiting += _emptied(self._new)
        self._keep_the_many()
        if time.monotonic() < self._left_alone_until and not is_last:
            return
        failures_left = _FAILURES_AT_THE_END if is_last else 1
        refused: list[Entry] = []
        while failures_left and (self._waiting or self.run_id is None):
            piece = first_piece(self._waiting)
            try:
                self._write(piece)
            except Exception as error:  # noqa: BLE001 - a store can fail in any way; the run must go on
                self._note(error)
                failures_left -= 1
                refused += piece
            del self._waiting[: len(piece)]
        # Behind the others: one thing that is refused does not hold them up.
        self._waiting += refused
        if not refused:
            self._send_kept()

    def _keep_the_many(self) -> None:
        """What has waited long goes into the file, where the run's end would leave it."""
        if len(self._waiting) >= _MOST_WAITING and self.error is not None:
            is_first = self._kept is None
            if self._keep(self._waiting):
                self._waiting = []
                if is_first:
                    logger.warning("what MLflow does not take lies in %s until the store is back", self._kept)

    def _keep(self, entries: Sequence[Entry]) -> bool:
        """Write them into the file; False where it cannot be written, which is told once."""
        try:
            self._kept = keep_unsent(self._start, self.run_id, entries, self._kept)
        except OSError as error:
            if not self._is_disk_named:
                logger.error("what MLflow does not take cannot be kept in a file either: %s", error)
            self._is_disk_named = True
            return False
        return True

    def _send_kept(self) -> None:
        if self._kept is None:
            return
        try:
            sent = send(self._kept, self.run_id)
        except Exception as error:  # noqa: BLE001 - as above; the file stays for the next time
            self._note(error)
            return
        if sent.refused:
            logger.error("what MLflow refused lies in %s; toolkit runs send sends it", self._kept)
        self._kept = None

    def _write(self, piece: Sequence[Entry]) -> None:
        self._client = self._client or open_store()
        if self.run_id is None:
            self.run_id = start_run(self._client, self._start)
        if piece:
            write_piece(self._client, self.run_id, piece)

    def _note(self, error: Exception) -> None:
        self._left_alone_until = time.monotonic() + _LEFT_ALONE_S
        if self.error is None:
            logger.error(
                "MLflow store %s does not take the data of this run, which goes on without it: %s",
                without_password(store_uri()),
                explained(error),
            )
        self.error = error


def add_to_run(run_id: str, metrics: Mapping[str, float] | None = None, files: tuple[Path, ...] = ()) -> None:
    """Write into a run that has ended, and wait for it.

    Raises:
        StoreUnavailable: the store cannot be written, or has no such run.
    """
    with asking_store() as client:
        if metrics:
            at = {"step": 0, "at_ms": _now_ms()}
            write_piece(client, run_id, [{"kind": "metrics", "metrics": dict(metrics), **at}])
        for path in files:
            write_piece(client, run_id, [{"kind": "file", "path": str(path), "folder": None}])


def run_name(what: str) -> str:
    """A run's name in the UI: what it is, and when it began."""
    return f"{what}-{datetime.now():%Y%m%d-%H%M%S}"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat.update(flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value})
    return flat


def _tags(question: str) -> dict[str, str]:
    """What MLflow's pages show of a run: its user, source, version, description and parent."""
    of_machine = machine()
    told = {
        "mlflow.source.name": _source(),
        "mlflow.source.type": "NOTEBOOK" if "ipykernel" in sys.modules else "LOCAL",
        "mlflow.source.git.commit": of_machine["git.revision"],
        "mlflow.note.content": question,
        "mlflow.parentRunId": os.environ.get(PARENT_RUN, ""),
    }
    with contextlib.suppress(OSError, KeyError):  # a container may run as somebody without a name
        told["mlflow.user"] = getpass.getuser()
    return of_machine | {name: value for name, value in told.items() if value}


def _source() -> str:
    """The program and, of our own, the command; arguments may hold passwords."""
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    is_ours = program in ("toolkit", "toolkit.exe", "cli.py")
    return " ".join(["toolkit", *sys.argv[1:2]]) if is_ours else program


def _metrics_entry(values: Mapping[str, float], step: int) -> Entry:
    return {"kind": "metrics", "step": step, "at_ms": _now_ms(), "metrics": dict(values)}


def _emptied(new: deque[T]) -> list[T]:
    """What lies in it, taken out; others may add to it meanwhile."""
    return [new.popleft() for _ in range(len(new))]


def _now_ms() -> int:
    return int(time.time() * 1000)
