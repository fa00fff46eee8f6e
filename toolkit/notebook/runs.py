"""Live runs as a notebook asks for them, and as pandas frames afterwards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from toolkit.demo import demo_cameras
from toolkit.experiment import Experiment, load_experiment
from toolkit.tracking import store_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

_COUNTS = ("read", "analysed", "skipped", "failed", "in_flight")


def live_experiment() -> Experiment:
    """The experiment that ``TOOLKIT_EXPERIMENT`` names; where it is not set, the demo's cameras in a loop.

    Raises:
        ConfigError: the file cannot be read, or a key or value in it is not right.
    """
    if os.environ.get("TOOLKIT_EXPERIMENT"):
        return load_experiment()
    return load_experiment(
        settings={"name": "notebook", "live": {"cameras": demo_cameras(), "camera": {"loop": True}}}
    )


def camera_table(statistics: Mapping[str, Any], now: bool = False) -> pd.DataFrame:
    """One row a camera: its state, where its frames went, its rate, its latency.

    Args:
        statistics: see :meth:`LivePipeline.statistics`.
        now: the rate of the last seconds, not that of the whole run.

    Returns:
        Index: the camera; columns ``state, read, analysed, skipped, failed, in flight, frames/s, p99 ms,
        persons``; missing where nothing was measured.
    """
    rows = {
        name: {"state": values["state"]}
        | {count.replace("_", " "): values[count] for count in _COUNTS}
        | {
            "frames/s": values["frames_per_s_now" if now else "frames_per_s"],
            "p99 ms": values["latency_ms"]["p99"],
            "persons": values["persons"],
        }
        for name, values in statistics["cameras"].items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns="camera")


def rates_of_run(run_id: str) -> pd.DataFrame:
    """Frames a second of each camera over time, as MLflow has recorded them.

    Returns:
        Columns ``time_s, camera, frames_per_s``, a row a second and camera.
    """
    client = _client()
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
    """
    client = _client()
    experiment = client.get_experiment_by_name("live")
    if experiment is None:
        return pd.DataFrame(columns=["run_id", "status"])
    columns = ("live/fps", "live/latency_p50_ms", "live/latency_p99_ms", "live/persons")
    rows = [
        {"run": run.info.run_name, "run_id": run.info.run_id, "status": run.info.status}
        | {name: run.data.metrics.get(name) for name in columns}
        for run in client.search_runs([experiment.experiment_id], max_results=count)
    ]
    return pd.DataFrame(rows).set_index("run").rename_axis(index=None, columns="run")


def _client() -> MlflowClient:
    # Late: it takes seconds, and the dashboard has loaded it when a run is there to be read.
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=store_uri())
