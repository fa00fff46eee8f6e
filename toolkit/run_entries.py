"""What a run says to MLflow, as plain data: written at once, or kept in a file and written later."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.mlflow_store import experiment_id

if TYPE_CHECKING:
    from mlflow import MlflowClient

Entry = dict[str, Any]
"""One thing to write: its ``kind`` (``start``, ``metrics``, or a writer below) and its values, as JSON.

An entry may be written twice, when an answer of the store is lost: the second time changes nothing.
"""

_MOST_IN_A_BATCH = 1000
"""MLflow refuses more metrics in one call."""

_LONGEST_PARAM = 6000


def start_entry(experiment: str, name: str, tags: Mapping[str, str]) -> Entry:
    """The first entry of a run, from which :func:`start_run` makes it."""
    return {"kind": "start", "experiment": experiment, "name": name, "tags": dict(tags)}


def params_entry(params: Mapping[str, Any]) -> Entry:
    """The settings of a run; not part of its start, because a run whose settings are refused is still one."""
    texts = {key: str(value)[:_LONGEST_PARAM] for key, value in params.items()}
    return {"kind": "params", "params": texts}


def start_run(client: MlflowClient, entry: Entry) -> str:
    """Make the run of a start entry; its id."""
    run = client.create_run(
        experiment_id(client, entry["experiment"]),
        start_time=entry.get("at_ms"),
        tags=entry["tags"],
        run_name=entry["name"],
    )
    return run.info.run_id


def write_piece(client: MlflowClient, run_id: str, piece: Sequence[Entry]) -> None:
    """Write a piece, as :func:`first_piece` cuts them, to a run."""
    if piece[0]["kind"] == "metrics":
        _write_metrics(client, run_id, piece)
    else:
        [entry] = piece
        _WRITERS[entry["kind"]](client, run_id, entry)


def first_piece(entries: Sequence[Entry]) -> Sequence[Entry]:
    """What is written in one call: all metrics up to the next other entry, or that entry alone."""
    others = (number for number, entry in enumerate(entries) if entry["kind"] != "metrics")
    return entries[: max(1, next(others, len(entries)))]


def _write_metrics(client: MlflowClient, run_id: str, entries: Sequence[Entry]) -> None:
    from mlflow.entities import Metric

    metrics = [
        Metric(name, value, entry["at_ms"], entry["step"])
        for entry in entries
        for name, value in entry["metrics"].items()
    ]
    for first in range(0, len(metrics), _MOST_IN_A_BATCH):
        client.log_batch(run_id, metrics=metrics[first : first + _MOST_IN_A_BATCH])


def _write_params(client: MlflowClient, run_id: str, entry: Entry) -> None:
    """All in one call; where one is refused, each alone, so that it takes no other with it."""
    from mlflow.entities import Param
    from mlflow.exceptions import MlflowException

    params = [Param(*item) for item in entry["params"].items()]
    try:
        client.log_batch(run_id, params=params)
    except MlflowException as error:
        # Of any other kind it is the store that fails, which may hold each further call for seconds.
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        for param in params:
            with contextlib.suppress(MlflowException):
                client.log_batch(run_id, params=[param])
        raise


def _write_text(client: MlflowClient, run_id: str, entry: Entry) -> None:
    client.log_text(run_id, entry["text"], entry["artifact"])


def _write_file(client: MlflowClient, run_id: str, entry: Entry) -> None:
    client.log_artifact(run_id, entry["path"], entry["folder"])


def _write_table(client: MlflowClient, run_id: str, entry: Entry) -> None:
    """As ``MlflowClient.log_table``, which would append a second time, and reads the artifacts before."""
    client.log_text(run_id, json.dumps(entry["table"]), entry["artifact"])
    known = client.get_run(run_id).data.tags.get("mlflow.loggedArtifacts", "[]")
    told = {"path": entry["artifact"], "type": "table"}
    if told not in (tables := json.loads(known)):
        client.set_tag(run_id, "mlflow.loggedArtifacts", json.dumps([*tables, told]))


def _write_dataset(client: MlflowClient, run_id: str, entry: Entry) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    # MLflow keeps 36 characters of a digest.
    dataset = Dataset(entry["name"], entry["sha256"][:36], "local", json.dumps({"uri": entry["source"]}))
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", entry["context"])])])


def _write_model(client: MlflowClient, run_id: str, entry: Entry) -> None:
    """A version of the registered model; aliases ``newest`` and, if no other scored more, ``best``."""
    from mlflow.exceptions import MlflowException

    name, score = entry["name"], entry["score"]
    with contextlib.suppress(MlflowException):  # it is there already
        client.create_registered_model(name)
    versions = client.search_model_versions(f"name='{name}'")
    version = next((known for known in versions if known.run_id == run_id), None)
    if version is None:
        source = f"{client.get_run(run_id).info.artifact_uri}/{entry['folder']}"
        tags = {} if score is None else {"score": repr(score)}
        version = client.create_model_version(name, source, run_id, tags=tags)
    client.set_registered_model_alias(name, "newest", version.version)
    others = [float(known.tags["score"]) for known in versions if "score" in known.tags]
    if score is not None and score >= max(others, default=score):
        client.set_registered_model_alias(name, "best", version.version)


def _write_status(client: MlflowClient, run_id: str, entry: Entry) -> None:
    client.set_terminated(run_id, entry["status"], end_time=entry["at_ms"])


_WRITERS: dict[str, Callable[[MlflowClient, str, Entry], None]] = {
    "params": _write_params,
    "text": _write_text,
    "file": _write_file,
    "table": _write_table,
    "dataset": _write_dataset,
    "model": _write_model,
    "status": _write_status,
}


def parsed(line: str) -> Entry:
    """The entry of one line of a file.

    Raises:
        ValueError: it is not one.
    """
    entry = json.loads(line)
    if not isinstance(entry, dict) or entry.get("kind") not in {"start", "metrics", *_WRITERS}:
        raise ValueError(f"not an entry of a run: {line[:80]!r}")
    return entry


def copied_into(folder: Path, entries: Sequence[Entry]) -> list[Entry]:
    """The entries, the files they speak of copied: what lay in a temporary folder is soon gone."""
    # More of the same run may lie there from before.
    first = 1 + max((int(there.name) for there in folder.glob("*")), default=-1)
    kept = []
    for number, entry in enumerate(entries, first):
        path = Path(entry["path"]) if entry["kind"] == "file" else None
        if path is not None and path.exists():
            target = (folder / str(number) / path.name).resolve()
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if path.is_dir() else shutil.copy)(path, target)
            entry = entry | {"path": str(target)}
        kept.append(entry)
    return kept
