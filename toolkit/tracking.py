"""MLflow, in one place: a run is written by a thread of its own, so nobody waits for it."""

from __future__ import annotations

import json
import logging
import os
import platform
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.addresses import without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

DEFAULT_STORE = Path("runs")
"""Folder of the local store: ``mlflow.db`` (SQLite) and ``artifacts``."""


def store_uri() -> str:
    """Address of the MLflow store: ``MLFLOW_TRACKING_URI``, else the SQLite file in ``runs``."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{DEFAULT_STORE.resolve() / 'mlflow.db'}"


def prepare_store() -> None:
    """Load MLflow and create the store where there is none: several seconds that no measurement should hold.

    A store that does not answer is left for :class:`RunRecord` to report.
    """
    try:
        _client().search_experiments(max_results=1)
    except Exception as error:  # noqa: BLE001 - a store can fail in any way; the run it records must go on
        logger.info("the MLflow store is not ready: %s", without_password(str(error)))


class RunRecord:
    """One MLflow run.

    Calls return at once; a thread does the work in order. A store that fails is named once in the log, and
    the run it belongs to goes on: what could not be written lies in a file beside the store, line by line.

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
        self._work: queue.SimpleQueue[tuple[str, Callable[[MlflowClient, str], None] | None]] = (
            queue.SimpleQueue()
        )
        self._unsent: list[str] = []
        self._thread = threading.Thread(
            target=self._write, args=(experiment, run_name, flatten(params), dict(tags or {})), name="mlflow"
        )
        self._thread.daemon = True
        self._thread.start()

    def log_metrics(self, values: Mapping[str, float | None], step: int = 0) -> None:
        """Write numbers by name; None is left out."""
        at_ms = int(time.time() * 1000)
        numbers = {name: float(value) for name, value in values.items() if value is not None}

        def write(client: MlflowClient, run_id: str) -> None:
            from mlflow.entities import Metric

            client.log_batch(run_id, metrics=[Metric(n, v, at_ms, step) for n, v in numbers.items()])

        if numbers:
            self._work.put((json.dumps({"step": step, "at_ms": at_ms, "metrics": numbers}), write))

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

    def close(self, status: str = "FINISHED", timeout_s: float = 120.0) -> str | None:
        """Write what is left, end the run, and give its id; None when the store could not be reached."""
        self._work.put((f"status {status}", lambda client, run: client.set_terminated(run, status)))
        self._work.put(("end", None))
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.error("MLflow is still writing %.0f s after the end of the run", timeout_s)
        return self.run_id

    def _write(
        self, experiment: str, run_name: str, params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> None:
        client = None
        try:
            client, self.run_id = _start_run(experiment, run_name, params, tags)
        except Exception as error:  # noqa: BLE001 - a store can fail in any way; the run it records must go on
            self._lose("the start of the run", error)
        while True:
            what, write = self._work.get()
            if write is None:
                break
            try:
                if client is not None and self.run_id is not None:
                    write(client, self.run_id)
                else:
                    self._unsent.append(what)
            except Exception as error:  # noqa: BLE001 - as above
                self._lose(what, error)
        self._save_unsent(run_name)

    def _lose(self, what: str, error: Exception) -> None:
        self._unsent.append(what)
        if self.error is None:
            logger.error(
                "MLflow store %s does not take the data of this run, which goes on without it: %s",
                without_password(store_uri()),
                without_password(str(error)),
            )
        self.error = error

    def _save_unsent(self, run_name: str) -> None:
        if not self._unsent:
            return
        path = DEFAULT_STORE / f"unsent-{run_name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(self._unsent) + "\n", encoding="utf-8")
        logger.error("what MLflow did not take lies in %s", path)


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


def machine() -> dict[str, str]:
    """What the figures of a run were measured on, as tags."""
    return {
        "machine.cpu": _cpu_name(),
        "machine.cores": str(os.cpu_count()),
        "machine.system": f"{platform.system()} {platform.machine()}",
        "machine.python": platform.python_version(),
        "git.revision": _git_revision(),
    }


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
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
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


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git_revision() -> str:
    """Revision of this package's checkout, with ``-dirty`` if it was changed; "unknown" outside of one."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
