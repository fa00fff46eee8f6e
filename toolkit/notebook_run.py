"""A notebook in batch: executed without a browser, kept as HTML, and recorded as one MLflow run."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import logging
import math
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from toolkit.errors import ConfigError, StoreUnavailable, ToolkitError, did_you_mean
from toolkit.experiment import OVERRIDES, check_keys, load_experiment, overrides_of
from toolkit.mlflow_store import asking_store, store_uri
from toolkit.tracking import PARENT_RUN, RunRecord, run_name

if TYPE_CHECKING:
    from nbformat import NotebookNode

_logger = logging.getLogger(__name__)

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
"""Those that come with a checkout."""

_ASKS_FOR_SETTINGS = re.compile(r"\b(live_experiment|notebook_experiment|load_experiment)\b")
_START_TIMEOUT_S = 60.0
_RUN_ID_TIMEOUT_S = 60.0

OnCell = Callable[[int, int], None]
"""Called with the number of code cells done, and of all."""


@dataclass(frozen=True)
class NotebookReport:
    """What a notebook in batch leaves.

    Attributes:
        notebook: its path.
        settings: what was laid over its experiment, as ``key=value``.
        status: ``FINISHED``, ``FAILED`` (a cell raised) or ``KILLED`` (Ctrl-C).
        error: of the cell that raised, in one line.
        html: the page; beside it lie the executed notebook of the same name, and ``kernel.log``.
        mlflow_run_id: of the run that has both.
    """

    notebook: Path
    settings: tuple[str, ...]
    status: str
    error: str | None
    html: Path
    mlflow_run_id: str | None


def find_notebook(name: str) -> Path:
    """The notebook of a path, a number (``05``) or a part of its name.

    Raises:
        ConfigError: there is none, or several fit.
    """
    if (path := Path(name)).suffix == ".ipynb" and path.is_file():
        return path
    known = known_notebooks()
    if not known:
        raise ConfigError(f"no notebook {name!r}: there is no such file, and no folder notebooks here")
    fits = [path for path in known if path.stem.startswith(name)] or [p for p in known if name in p.stem]
    if len(fits) != 1:
        tail = (
            f"fits {', '.join(p.stem for p in fits)}" if fits else did_you_mean(name, [p.stem for p in known])
        )
        raise ConfigError(f"no single notebook {name!r}; {tail}")
    return fits[0]


def known_notebooks() -> list[Path]:
    """The notebooks of ``notebooks/`` here, else of the checkout."""
    here = sorted(Path("notebooks").glob("*.ipynb"))
    return here or sorted(NOTEBOOKS.glob("*.ipynb"))


def title_of(path: Path) -> str:
    """The first heading of a notebook."""
    for cell in _read(path).cells:
        if found := re.search(r"(?m)^# (.+)$", cell.source):
            return found[1]
    return path.stem


def grid_points(grid: Sequence[str]) -> list[tuple[str, ...]]:
    """All combinations of ``key=[v1, v2]``, each as ``key=value`` texts, the last key varying quickest.

    Raises:
        ConfigError: one is not written so.
    """
    axes = []
    for axis in grid:
        key, equals, text = axis.partition("=")
        try:
            values = yaml.safe_load(text) if equals and key else None
        except yaml.YAMLError as error:
            raise ConfigError(f"{axis!r}: the values are not YAML, such as [1, 2]") from error
        if not isinstance(values, list) or not values:
            raise ConfigError(f"a grid is written key=[value, value], got {axis!r}")
        axes.append([f"{key}={_in_one_line(value)}" for value in values])
    return list(itertools.product(*axes))


def _in_one_line(value: Any) -> str:
    """A value as YAML, however long it is."""
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf).removesuffix("...\n").rstrip("\n")
    # YAML breaks lines where a text does, JSON does not.
    return json.dumps(value, default=str) if "\n" in text else text


def check_settings(path: Path, experiment: Path | None, settings: Sequence[str]) -> None:
    """Check what a notebook is to be given, before its kernel starts, which takes seconds.

    Raises:
        ConfigError: it takes no settings and is given some, or they are not right.
        ToolkitError: it is not a notebook.
    """
    if experiment is not None:
        load_experiment(experiment, settings)
    check_keys(settings)
    code = "\n".join(cell.source for cell in _read(path).cells if cell.cell_type == "code")
    if (settings or experiment) and not _ASKS_FOR_SETTINGS.search(code):
        raise ConfigError(
            f"{path.name} takes no settings: a notebook asks for them with "
            "toolkit.experiment.notebook_experiment()"
        )


def run_notebook(
    path: Path,
    out_dir: Path,
    experiment: Path | None = None,
    settings: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    on_cell: OnCell = lambda done, total: None,
) -> NotebookReport:
    """Execute a notebook with its kernel in ``out_dir``, and record it.

    Runs that its cells make are nested in this one, and their newest metrics are noted in this one too, so
    that notebooks of a sweep can be compared. Ctrl-C ends the kernel and keeps what there is.

    Args:
        path: the notebook, which is not changed.
        out_dir: for the page, the executed notebook, and what its cells write.
        experiment: YAML that the notebook reads through ``TOOLKIT_EXPERIMENT``.
        settings: ``key=value``, laid over its experiment through ``TOOLKIT_OVERRIDES``.
        tags: of the run.
        on_cell: called after each code cell.

    Raises:
        ConfigError: it takes no settings and is given some, or they are not right.
        ToolkitError: it is not a notebook, or what executes it is not installed.
    """
    check_settings(path, experiment, settings)
    notebook = _read(path)
    for name in ("nbclient", "nbconvert"):
        # Told now, and not when the work is done.
        _needed(name)
    out_dir.mkdir(parents=True, exist_ok=True)
    params = {"notebook": path.stem, "experiment": experiment, **overrides_of(settings)}
    record = RunRecord("notebook", run_name(path.stem), params, {"kind": "notebook", **(tags or {})})
    environment = {"MLFLOW_TRACKING_URI": store_uri(), OVERRIDES: "\n".join(settings)}
    if experiment is not None:
        environment["TOOLKIT_EXPERIMENT"] = str(experiment.resolve())
    error, status = None, "FAILED"
    try:
        parent = record.wait_for_id(_RUN_ID_TIMEOUT_S)
        if parent is None:
            _logger.warning("the notebook has no MLflow run yet: those of its cells are recorded beside it")
        environment[PARENT_RUN] = parent or ""
        error = _execute(notebook, out_dir, environment, on_cell)
        status = "FINISHED" if error is None else "FAILED"
    except KeyboardInterrupt:
        status = "KILLED"
    finally:
        try:
            html = _save(notebook, out_dir / f"{path.stem}.html")
            for kept in (html, html.with_suffix(".ipynb")):
                record.log_file(kept)
            if record.run_id is not None:
                record.log_metrics(_metrics_of_nested(record.run_id))
        except BaseException as broken:
            # A second Ctrl-C, while the page is written, ends the run as the first one does.
            status = "KILLED" if isinstance(broken, KeyboardInterrupt) else "FAILED"
            raise
        finally:
            run_id = record.close(status)
    return NotebookReport(path, tuple(settings), status, error, html, run_id)


def _read(path: Path) -> NotebookNode:
    nbformat = _needed("nbformat")
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except OSError as error:
        raise ToolkitError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, nbformat.ValidationError) as error:
        said = str(error).partition("\n")[0]
        raise ToolkitError(f"{path} is not a notebook: {said}") from error
    return notebook


def _execute(
    notebook: NotebookNode, folder: Path, environment: Mapping[str, str], on_cell: OnCell
) -> str | None:
    """Run all cells; the error of the first that raises, in one line."""
    nbclient = _needed("nbclient")
    total = sum(cell.cell_type == "code" for cell in notebook.cells)
    done = 0

    def count(cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        nonlocal done
        done += 1
        on_cell(done, total)

    on_cell(0, total)
    with ExitStack() as kept:
        sockets = kept.enter_context(tempfile.TemporaryDirectory(prefix="toolkit-kernel-"))
        client = nbclient.NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=None,
            startup_timeout=_START_TIMEOUT_S,
            resources={"metadata": {"path": str(folder)}},
            on_cell_executed=count,
        )
        client.create_kernel_manager()
        if os.name != "nt":
            # Sockets in a private folder: no port is opened.
            client.km.transport, client.km.ip = "ipc", str(Path(sockets) / "kernel")
        log = kept.enter_context((folder / "kernel.log").open("w", encoding="utf-8"))
        try:
            client.execute(env={**os.environ, **environment}, stderr=log)
        except nbclient.exceptions.CellExecutionError as error:
            return f"{error.ename}: {error.evalue}"
        except nbclient.exceptions.DeadKernelError:
            return "the kernel died"
        except (AssertionError, asyncio.CancelledError) as error:
            # At Ctrl-C nbclient ends the kernel and then misses it, or gives up waiting for its start.
            raise KeyboardInterrupt from error
        except RuntimeError as error:
            return str(error)
    return None


def _save(notebook: NotebookNode, html: Path) -> Path:
    """The page, and the executed notebook beside it."""
    nbformat, nbconvert = _needed("nbformat"), _needed("nbconvert")
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    html.write_text(page, encoding="utf-8")
    nbformat.write(notebook, html.with_suffix(".ipynb"))
    return html


def _metrics_of_nested(run_id: str) -> dict[str, float]:
    """The newest metrics of the runs that the cells have made, and of those nested in them."""
    metrics: dict[str, float] = {}
    with suppress(StoreUnavailable), asking_store() as client:
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        parents = [run_id]
        while parents:
            where = f"tags.`mlflow.parentRunId` = '{parents.pop()}'"
            for run in client.search_runs(ids, where, order_by=["attributes.start_time ASC"]):
                parents.append(run.info.run_id)
                metrics |= {n: value for n, value in run.data.metrics.items() if not n.startswith("system/")}
    return metrics


def _needed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ToolkitError(f"{name} is not installed: pip install 'toolkit[notebooks]'") from error
