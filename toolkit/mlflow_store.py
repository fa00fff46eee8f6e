"""The MLflow store: where it lies, how it is reached, and what is wrong with it, in words."""

from __future__ import annotations

import fcntl
import logging
import os
import shlex
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.addresses import without_password
from toolkit.errors import StoreUnavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

DEFAULT_STORE = Path("runs")
"""Folder of the local store: ``mlflow.db`` (SQLite) and ``artifacts``."""

_SQLITE = "sqlite:///"

_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""MLflow's own let a server that takes a connection and never answers hold a call for many minutes."""

# What a store says, in part, and what to do about it.
_CURES = {
    "out-of-date database schema": "it was written by an older MLflow: mlflow db upgrade {uri}, after a copy",
    "Can't locate revision": "it was written by a newer MLflow than this one: pip install --upgrade mlflow",
    "database is locked": "another program holds it; wait until that has written, or end it",
    "file is not a database": "the file is something else; name another one in MLFLOW_TRACKING_URI",
    "unable to open database file": "its folder cannot be written; name another one in MLFLOW_TRACKING_URI",
    "maintenance mode": "folders of files are no longer a store; use sqlite:///FOLDER/mlflow.db",
    "No module named": "{said}, the driver of that database: pip install it",
    "API request to": "no MLflow server answers there; start it, or unset MLFLOW_TRACKING_URI",
    "404": "what answers there is no MLflow server",
}


def store_uri() -> str:
    """Address of the MLflow store: ``MLFLOW_TRACKING_URI``, else the SQLite file in ``runs``."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}{DEFAULT_STORE.resolve() / 'mlflow.db'}"
    # Its path in full: artifacts are kept under no other, and a notebook's kernel works in another folder.
    return f"{_SQLITE}{Path.cwd() / uri.removeprefix(_SQLITE)}" if uri.startswith(_SQLITE) else uri


def shown_by() -> str:
    """How to look at the store, in words."""
    uri = store_uri()
    if local_file(uri) is None:
        return f"{without_password(uri)} shows it"
    # In a checkout, which is where its pages are started without a word more.
    if Path("run.py").is_file() and uri == f"{_SQLITE}{DEFAULT_STORE.resolve() / 'mlflow.db'}":
        return "make ui shows it"
    return f"{shlex.join(['mlflow', 'ui', '--backend-store-uri', uri])} shows it"


def local_file(uri: str) -> Path | None:
    """The file of a SQLite store; None for a server."""
    return Path(uri.removeprefix(_SQLITE).partition("?")[0]) if uri.startswith(_SQLITE) else None


def open_store() -> MlflowClient:
    """A client of the store, which is created where there is none."""
    # Read when MLflow is imported, so set before; telemetry would be the only thing that leaves the machine.
    for name, value in {"MLFLOW_DISABLE_TELEMETRY": "true", **_PATIENCE}.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    # Its news about tables it creates are not the user's.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = store_uri()
    path = local_file(uri)
    if path is None:
        return MlflowClient(tracking_uri=uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(path.parent):
        # Where no further file fits, MLflow says why.
        with suppress(OSError):
            _make_whole(path)
        return MlflowClient(tracking_uri=uri)


def _make_whole(path: Path) -> None:
    """Make a store beside its place, and put it there: MLflow cannot go on with one that was broken off."""
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    if path.exists():
        return
    # A new name each time: MLflow keeps the connections of each for good.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        new = Path(folder) / path.name
        SqlAlchemyStore(f"{_SQLITE}{new}", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH).engine.dispose()
        new.rename(path)


def prepare_store(timeout_s: float = 20.0) -> None:
    """Load MLflow and create the store where there is none: several seconds that no measurement should hold.

    A store that does not answer, or not within ``timeout_s``, is left for the record of the run to report.
    """

    def ask() -> None:
        try:
            open_store().search_experiments(max_results=1)
        except Exception as error:  # noqa: BLE001 - a store can fail in any way; the run it records must go on
            logger.info("the MLflow store is not ready: %s", without_password(str(error)))

    # In a thread of its own: an address that takes a connection and never answers would hold the start.
    asking = threading.Thread(target=ask, name="mlflow-prepare", daemon=True)
    asking.start()
    asking.join(timeout_s)
    if asking.is_alive():
        logger.warning("the MLflow store does not answer for %.0f s; the run begins without it", timeout_s)


@contextmanager
def asking_store() -> Iterator[MlflowClient]:
    """A client for somebody who waits for the answer: the store's many errors become one kind, in words.

    Raises:
        StoreUnavailable: the store cannot be read or written; the text names it, and says what to do.
    """
    try:
        yield open_store()
    except (StoreUnavailable, KeyboardInterrupt):
        raise
    except Exception as error:
        if not _is_of_the_store(error):
            raise
        raise StoreUnavailable(f"MLflow store {_shown_uri()}: {explained(error)}") from error


@contextmanager
def reading_store() -> Iterator[MlflowClient]:
    """As :func:`asking_store`, for somebody who only looks, and so makes no store.

    Raises:
        StoreUnavailable: there is no store yet, or it cannot be read; the text says what to do.
    """
    path = local_file(store_uri())
    if path is not None and not path.is_file():
        raise StoreUnavailable(
            f"no run is recorded yet: there is no {path}. Record one (toolkit demo), or name another store "
            "in MLFLOW_TRACKING_URI"
        )
    with asking_store() as client:
        yield client


def explained(error: Exception) -> str:
    """What went wrong with a store, and what to do, in one line without passwords."""
    said = str(error)
    cure = next((cure for words, cure in _CURES.items() if words in said), None)
    first = without_password(said).strip().partition("\n")[0][:200]
    return cure.format(uri=shlex.quote(_shown_uri()), said=first) if cure else first or type(error).__name__


def experiment_id(client: MlflowClient, name: str) -> str:
    """The experiment of that name, made where there is none: artifacts of a local store lie beside it."""
    known = client.get_experiment_by_name(name)
    if known is not None:
        return known.experiment_id
    path = local_file(store_uri())
    folder = (path.parent / "artifacts").as_uri() if path else None
    try:
        return client.create_experiment(name, artifact_location=folder)
    except Exception:
        # Another run that began at the same moment may have made it.
        known = client.get_experiment_by_name(name)
        if known is None:
            raise
        return known.experiment_id


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Held by one process at a time: two that create the same tables at once both fail."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems know no locks; there it is as likely as it was.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_of_the_store(error: Exception) -> bool:
    # MLflow lets errors of the libraries below it through; theirs are told by where they come from.
    # That of a database's driver is no class of its own; it is missing where it is not installed.
    return isinstance(error, OSError | ImportError) or type(error).__module__.partition(".")[0] in (
        "alembic",
        "mlflow",
        "requests",
        "sqlalchemy",
        "sqlite3",
        "urllib3",
    )


def _shown_uri() -> str:
    return without_password(store_uri())
