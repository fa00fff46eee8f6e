"""MLflow, in one place: a run is written by a thread of its own, so nobody waits for it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from toolkit.addresses import without_password
from toolkit.machine import machine

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

T = TypeVar("T")

_Write = Callable[["MlflowClient", str], None]
"""Does one thing to the run of that id."""

_WRITE_EVERY_S = 5.0
_LEFT_ALONE_S = 30.0
"""A store that has just failed may hold each call for seconds."""

_MOST_IN_A_BATCH = 1000
"""MLflow refuses more metrics in one call."""

_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""MLflow's own let a server that takes a connection and never answers hold a call for many minutes."""

DEFAULT_STORE = Path("runs")
"""Folder of the local store: ``mlflow.db`` (SQLite) and ``artifacts``."""


def store_uri() -> str:
    """Address of the MLflow store: ``MLFLOW_TRACKING_URI``, else the SQLite file in ``runs``."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{DEFAULT_STORE.resolve() / 'mlflow.db'}"


def prepare_store(timeout_s: float = 20.0) -> None:
    """Load MLflow and create the store where there is none: several seconds that no measurement should hold.

    A store that does not answer, or not within ``timeout_s``, is left for :class:`RunRecord` to report.
    """

    def ask() -> None:
        try:
            _client().search_experiments(max_results=1)
        except Exception as error:  # noqa: BLE001 - a store can fail in any way; the run it records must go on
            logger.info("the MLflow store is not ready: %s", without_password(str(error)))

    # In a thread of its own: an address that takes a connection and never answers would hold the start.
    asking = threading.Thread(target=ask, name="mlflow-prepare", daemon=True)
    asking.start()
    asking.join(timeout_s)
    if asking.is_alive():
        logger.warning("the MLflow store does not answer for %.0f s; the run begins without it", timeout_s)


class RunRecord:
    """One MLflow run.

    Calls return at once; a thread does the work in order, the metrics of five seconds in one piece, which
    costs SQLite half the CPU time of single ones. A store that fails is named once in the log and left alone
    for half a minute, and the run it belongs to goes on: what could not be written lies in a file beside the
    store, line by line.

    Args:
        experiment: name of the MLflow experiment: "live", "train", "evaluate", ...
        run_name: what the run is called in the UI.
        params: settings; nested mappings become dotted names.
        tags: further words to find the run by.
    """

    def __init__(
        self, experiment: str, run_name: str, params: Mapping[str, Any], tags: Mapping[str, str] | None = None
    ) -> None:
        self.run_id: str | None = None
        self.error: Exception | None = None
        self._run_name = run_name
        self._numbers: deque[tuple[int, int, dict[str, float]]] = deque()
        self._work: queue.SimpleQueue[tuple[str, _Write] | None] = queue.SimpleQueue()
        self._unsent: list[str] = []
        self._left_alone_until = 0.0
        self._thread = threading.Thread(
            target=self._run, args=(experiment, flatten(params), dict(tags or {})), name="mlflow", daemon=True
        )
        self._thread.start()

    def log_metrics(self, values: Mapping[str, float | None], step: int = 0) -> None:
        """Write numbers by name; None is left out."""
        numbers = {name: float(value) for name, value in values.items() if value is not None}
        if numbers:
            self._numbers.append((step, int(time.time() * 1000), numbers))

    def log_text(self, text: str, artifact: str) -> None:
        """Keep ``text`` as the file ``artifact`` of the run."""
        self._work.put((f"artifact {artifact}", lambda client, run: client.log_text(run, text, artifact)))

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file in ``folder`` of the run."""
        self._work.put((f"artifact {path}", lambda client, run: client.log_artifact(run, str(path), folder)))

    def log_table(self, rows: list[dict[str, Any]], artifact: str) -> None:
        """Keep rows as a table that the UI shows (``.json``)."""
        import pandas as pd

        frame = pd.DataFrame(rows)
        self._work.put((f"table {artifact}", lambda client, run: client.log_table(run, frame, artifact)))

    def log_dataset(self, name: str, sha256: str, source: str, context: str) -> None:
        """Say which data the run used; ``context`` is what for, such as ``training``."""

        def write(client: MlflowClient, run_id: str) -> None:
            from mlflow.entities import Dataset, DatasetInput, InputTag

            # MLflow keeps 36 characters of a digest.
            dataset = Dataset(name, sha256[:36], "local", json.dumps({"uri": source}))
            client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])])

        self._work.put((f"dataset {name} {sha256}", write))

    def close(self, status: str = "FINISHED", timeout_s: float = 120.0) -> str | None:
        """Write what is left, end the run, and give its id; None when the store could not be reached.

        What is not written after ``timeout_s`` goes into the file.
        """
        self._work.put((f"status {status}", lambda client, run: client.set_terminated(run, status)))
        self._work.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.error("MLflow is still writing %.0f s after the end of the run", timeout_s)
            self._unsent += [_as_line(*numbers) for numbers in _emptied(self._numbers)]
            while (work := self._work.get()) is not None:
                self._unsent.append(work[0])
            # The thread ends, should the store ever let it go.
            self._work.put(None)
        self._save_unsent()
        return self.run_id

    def _run(self, experiment: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        client = None
        try:
            client, self.run_id = _start_run(experiment, self._run_name, params, tags)
        except Exception as error:  # noqa: BLE001 - a store can fail in any way; the run it records must go on
            self._lose(["the start of the run"], error)
        while True:
            with contextlib.suppress(queue.Empty):
                work = self._work.get(timeout=_WRITE_EVERY_S)
                self._write_numbers(client)
                if work is None:
                    return
                self._send(client, [work[0]], work[1])
            self._write_numbers(client)

    def _write_numbers(self, client: MlflowClient | None) -> None:
        """Write the metrics that came since the last time."""
        waiting = _emptied(self._numbers)
        values = [(name, number, at_ms, step) for step, at_ms, of in waiting for name, number in of.items()]

        def write(client: MlflowClient, run_id: str) -> None:
            from mlflow.entities import Metric

            for first in range(0, len(values), _MOST_IN_A_BATCH):
                batch = [Metric(*value) for value in values[first : first + _MOST_IN_A_BATCH]]
                client.log_batch(run_id, metrics=batch)

        if waiting:
            self._send(client, [_as_line(*numbers) for numbers in waiting], write)

    def _send(self, client: MlflowClient | None, lines: list[str], write: _Write) -> None:
        """Write, or keep the lines that say what was not written."""
        if client is None or self.run_id is None or time.monotonic() < self._left_alone_until:
            self._unsent += lines
            return
        try:
            write(client, self.run_id)
        except Exception as error:  # noqa: BLE001 - a store can fail in any way; the run it records must go on
            self._lose(lines, error)

    def _lose(self, lines: list[str], error: Exception) -> None:
        self._unsent += lines
        self._left_alone_until = time.monotonic() + _LEFT_ALONE_S
        if self.error is None:
            logger.error(
                "MLflow store %s does not take the data of this run, which goes on without it: %s",
                without_password(store_uri()),
                without_password(str(error)),
            )
        self.error = error

    def _save_unsent(self) -> None:
        if not self._unsent:
            return
        path = DEFAULT_STORE / f"unsent-{self._run_name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(self._unsent) + "\n", encoding="utf-8")
        logger.error("what MLflow did not take lies in %s", path)


def _as_line(step: int, at_ms: int, numbers: dict[str, float]) -> str:
    return json.dumps({"step": step, "at_ms": at_ms, "metrics": numbers})


def _emptied(numbers: deque[T]) -> list[T]:
    """What lies in it, taken out; others may add to it meanwhile."""
    return [numbers.popleft() for _ in range(len(numbers))]


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


def _start_run(
    experiment: str, run_name: str, params: Mapping[str, Any], tags: Mapping[str, str]
) -> tuple[MlflowClient, str]:
    from mlflow.entities import Param

    client = _client()
    run = client.create_run(_experiment_id(client, experiment), tags={**machine(), **tags}, run_name=run_name)
    client.log_batch(run.info.run_id, params=[Param(k, str(v)[:6000]) for k, v in params.items()])
    return client, run.info.run_id


def _client() -> MlflowClient:
    # Read when MLflow is imported, so set before; telemetry would be the only thing that leaves the machine.
    for name, value in {"MLFLOW_DISABLE_TELEMETRY": "true", **_PATIENCE}.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    # Its news about tables it creates are not the user's.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = store_uri()
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=uri)


def _experiment_id(client: MlflowClient, name: str) -> str:
    known = client.get_experiment_by_name(name)
    if known is not None:
        return known.experiment_id
    uri = store_uri()
    local = uri.startswith("sqlite:///")
    folder = Path(uri.removeprefix("sqlite:///")).parent / "artifacts" if local else None
    return client.create_experiment(name, artifact_location=folder.as_uri() if folder else None)
