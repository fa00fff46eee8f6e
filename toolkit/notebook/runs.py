"""Live runs as a notebook asks for them, and as pandas frames afterwards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pandas as pd

from toolkit.demo import demo_cameras
from toolkit.errors import StoreUnavailable
from toolkit.experiment import Experiment, notebook_experiment
from toolkit.mlflow_store import reading_store
from toolkit.words import counted

_COUNTS = ("read", "analysed", "skipped", "failed", "in_flight")


def live_experiment() -> Experiment:
    """The experiment that ``TOOLKIT_EXPERIMENT`` names; where it is not set, the demo's cameras in a loop.

    Raises:
        ConfigError: the file cannot be read, or a key or value in it is not right.
    """
    if os.environ.get("TOOLKIT_EXPERIMENT"):
        return notebook_experiment({})
    return notebook_experiment(
        {"name": "notebook", "live": {"cameras": demo_cameras(), "camera": {"loop": True}}}
    )


def camera_table(statistics: Mapping[str, Any], now: bool = False) -> pd.DataFrame:
    """One row a camera: its state, where its frames went, its rate, its latency.

    Args:
        statistics: see :meth:`LivePipeline.statistics`.
        now: the rate of the last seconds, not that of the whole run.

    Returns:
        Index: the camera; columns ``state, read, analysed, skipped, failed, in flight, frames/s, p99 ms,
        persons, remarks``; missing where nothing was measured. The remarks say why a camera is not live, and
        why frames were skipped or failed.
    """
    rows = {
        name: {"state": values["state"]}
        | {count.replace("_", " "): values[count] for count in _COUNTS}
        | {
            "frames/s": values["frames_per_s_now" if now else "frames_per_s"],
            "p99 ms": values["latency_ms"]["p99"],
            "persons": values["persons"],
            "remarks": _remarks(values),
        }
        for name, values in statistics["cameras"].items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns="camera")


def stage_table(statistics: Mapping[str, Any]) -> pd.DataFrame:
    """One row a stage of a frame's way: how often, and how long.

    Returns:
        Index: the stage; columns ``times, mean ms, p50 ms, p95 ms, p99 ms``.
    """
    columns = {
        "count": "times",
        "mean_ms": "mean ms",
        "p50_ms": "p50 ms",
        "p95_ms": "p95 ms",
        "p99_ms": "p99 ms",
    }
    rows = [[row[key] for key in columns] for row in statistics["stages"].values()]
    table = pd.DataFrame(rows, index=list(statistics["stages"]), columns=list(columns.values()))
    return table.rename_axis(columns="stage")


def place_table(statistics: Mapping[str, Any]) -> pd.DataFrame:
    """One row a zone or line: who is inside, and who went where.

    Returns:
        Index: camera, kind and name, such as ``door, zone till``; columns ``inside, entered, left, persons``
        of zones, ``to left, to right`` of lines; missing where it makes no sense.
    """
    rows = {
        f"{camera}, {kind.removesuffix('s')} {name}": {
            key.replace("_", " "): count for key, count in counts.items()
        }
        for camera, values in statistics["cameras"].items()
        for kind in ("zones", "lines")
        for name, counts in values[kind].items()
    }
    columns = ["inside", "entered", "left", "persons", "to left", "to right"]
    table = pd.DataFrame(list(rows.values()), index=list(rows), columns=columns)
    # Most runs have no places; the type costs more than all other tables.
    return (table.astype("Int64") if rows else table).rename_axis(columns="place")


def machine_line(statistics: Mapping[str, Any]) -> str:
    """Cores, memory, GPU, what waits between the stages, and what tracking saved, in one line."""
    used, queues = statistics["resources"], statistics["queues"]
    saved = statistics["looks"]["saved_fraction"]
    parts = [f"{used['cpu_cores_used']:.1f} of {used['cpu_cores']} cores", f"{used['memory_mb']:.0f} MB"]
    parts += [f"{gpu['name']} {gpu['busy_fraction']:.0%} busy" for gpu in used["gpus"]]
    parts += [f"waiting: {counted(queues['mailboxes'], 'frame')} and {counted(queues['crops'], 'face')}"]
    parts += [f"batches of {statistics['batches']['mean_batch_size']:.1f}"]
    return ", ".join(parts) + ("" if saved is None else f"; {saved:.0%} of the faces needed no new analysis")


def _remarks(values: Mapping[str, Any]) -> str:
    why = [values["reason"]] if values["state"] != "live" and values["reason"] else []
    return "; ".join(why + [f"{count} {cause}" for cause, count in values["causes"].items()])


def rates_of_run(run_id: str | None) -> pd.DataFrame:
    """Frames a second of each camera over time, as MLflow has recorded them.

    Args:
        run_id: None is that of a run which MLflow did not take.

    Returns:
        Columns ``time_s, camera, frames_per_s``, a row a second and camera.

    Raises:
        StoreUnavailable: the store cannot be read, or has no such run.
    """
    if run_id is None:
        raise StoreUnavailable("this run is not in MLflow, which did not take it: toolkit runs send sends it")
    with reading_store() as client:
        names = client.get_run(run_id).data.metrics
        cameras = [n.split("/")[1] for n in names if n.startswith("live/") and n.endswith("/fps_now")]
        rows = [
            {"time_s": point.step, "camera": camera, "frames_per_s": point.value}
            for camera in cameras
            for point in client.get_metric_history(run_id, f"live/{camera}/fps_now")
        ]
    return pd.DataFrame(rows, columns=["time_s", "camera", "frames_per_s"])


def newest_runs(count: int = 5) -> pd.DataFrame:
    """The newest live runs of the store, newest first.

    Returns:
        Index: the run's name; columns ``run_id, status`` and the figures a run is judged by.

    Raises:
        StoreUnavailable: there is no store yet, or it cannot be read; the text says what to do.
    """
    with reading_store() as client:
        experiment = client.get_experiment_by_name("live")
        ids = [] if experiment is None else [experiment.experiment_id]
        # MLflow refuses to look for none.
        found = client.search_runs(ids, max_results=count) if ids and count > 0 else []
    figures = ("live/fps", "live/latency_p50_ms", "live/latency_p99_ms", "live/persons")
    rows = [
        (run.info.run_name, run.info.run_id, run.info.status, *map(run.data.metrics.get, figures))
        for run in found
    ]
    frame = pd.DataFrame(rows, columns=["run", "run_id", "status", *figures])
    return frame.set_index("run").rename_axis(index=None, columns="run")
