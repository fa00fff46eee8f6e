"""A tuning of this machine: candidates that share what they can, a record, and the YAML it ends in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from toolkit.capacity.config import TuneConfig
from toolkit.capacity.grid import Settings, changes, check_grid, nested
from toolkit.capacity.machines import Machines
from toolkit.capacity.run import RunCameras, parts_of
from toolkit.capacity.tune import Journal, MachineOf, OnRun, tune
from toolkit.experiment import Experiment, as_plain, as_yaml
from toolkit.tracking import RunRecord, prepare_store, run_name
from toolkit.whole_files import whole_file
from toolkit.words import counted

JOURNAL_FILE = "tuning.json"
YAML_FILE = "tuned.yaml"


def run_tune(
    experiment: Experiment,
    out_dir: Path,
    on_run: OnRun | None = None,
    load: Callable[[], MachineOf] | None = None,
) -> dict[str, Any]:
    """Tune this machine; see :func:`toolkit.capacity.tune.tune`.

    Every run is kept in ``out_dir`` when it is over: after Ctrl-C the next call with the same folder goes on.

    Args:
        experiment: its parts ``tune``, ``capacity`` and ``live``, whose settings are the defaults here.
        out_dir: for the runs and the YAML.
        on_run: see :data:`OnRun`.
        load: stands in for :class:`Machines`.

    Returns:
        What :func:`tune` returns, ``chosen`` None when it was ended by hand; ``runs``, ``yaml`` (path of the
        settings that were chosen, to be given to ``toolkit live``) and ``mlflow_run_id``.

    Raises:
        ConfigError: the grid has a setting that there is not, or ``out_dir`` holds another tuning.
    """
    live, capacity = parts_of(experiment)
    config = experiment.tune or TuneConfig()
    check_grid(live, config)
    asked = {"live": as_plain(live), "capacity": as_plain(capacity), "tune": as_plain(config)}
    # Read before the seconds that all else takes: a folder of another tuning is told at once.
    Journal(_none, out_dir / JOURNAL_FILE, asked)
    prepare_store()
    machine_of = (load or (lambda: Machines(live, capacity)))()
    journal = Journal(machine_of, out_dir / JOURNAL_FILE, asked, on_run)
    record = RunRecord("capacity", run_name(experiment.name), as_plain(experiment), {"kind": "tune"})
    record.log_text(as_yaml(experiment), "experiment.yaml")
    result: dict[str, Any] = {"chosen": None, "yaml": None}
    status = "FAILED"
    try:
        result |= tune(journal, changes(config, live), config, capacity)
        path = out_dir / YAML_FILE
        with whole_file(path) as part:
            part.write_text(tuned_yaml(result), encoding="utf-8")
        result["yaml"] = str(path)
        record.log_file(path)
        for name in ("tuned", "defaults"):
            record.log_metrics({f"capacity/{name}/cameras": result[name]["cameras"]})
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
    finally:
        if journal.rows:
            rows = [{**row, "failures": "; ".join(row["failures"])} for row in journal.rows]
            record.log_table(rows, "runs.json")
        result |= {"runs": len(journal.rows), "mlflow_run_id": record.close(status)}
    return result


def tuned_yaml(result: Mapping[str, Any]) -> str:
    """The settings that were chosen, as an experiment to which cameras are to be given."""
    said = f"{counted(result['tuned']['cameras'], 'camera')}; the defaults {result['defaults']['cameras']}"
    question = f"tuned for this machine ({result['chosen']} chosen: {said})"
    values = {"question": question, "live": nested(result["settings"])}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _none(settings: Settings) -> RunCameras:
    raise AssertionError("nothing is run yet")
