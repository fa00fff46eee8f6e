"""Live runs and queues in a notebook: watched, steered, and read back as tables and figures."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.notebook.dashboard import LiveDashboard
    from toolkit.notebook.described import DescribedImage
    from toolkit.notebook.figures import (
        ages_by_camera,
        as_image,
        latency_by_camera,
        rates_over_time,
        time_by_stage,
    )
    from toolkit.notebook.queue_panel import QueuePanel, pool_table, queue_over_time, queue_table
    from toolkit.notebook.run_figures import camera_timeline, latency_over_time, throughput_against_accuracy
    from toolkit.notebook.runs import (
        camera_table,
        live_experiment,
        newest_runs,
        place_table,
        rates_of_run,
        stage_table,
    )
    from toolkit.notebook.shown_run import DashboardConfig
    from toolkit.notebook.training_panel import TrainingPanel

__all__ = [
    "DashboardConfig",
    "DescribedImage",
    "LiveDashboard",
    "QueuePanel",
    "TrainingPanel",
    "ages_by_camera",
    "as_image",
    "camera_table",
    "camera_timeline",
    "latency_by_camera",
    "latency_over_time",
    "live_experiment",
    "newest_runs",
    "place_table",
    "pool_table",
    "queue_over_time",
    "queue_table",
    "rates_of_run",
    "rates_over_time",
    "stage_table",
    "throughput_against_accuracy",
    "time_by_stage",
]

_HOMES = {
    "DashboardConfig": "shown_run",
    "DescribedImage": "described",
    "LiveDashboard": "dashboard",
    "QueuePanel": "queue_panel",
    "TrainingPanel": "training_panel",
    "ages_by_camera": "figures",
    "as_image": "figures",
    "camera_table": "runs",
    "camera_timeline": "run_figures",
    "latency_by_camera": "figures",
    "latency_over_time": "run_figures",
    "live_experiment": "runs",
    "newest_runs": "runs",
    "place_table": "runs",
    "pool_table": "queue_panel",
    "queue_over_time": "queue_panel",
    "queue_table": "queue_panel",
    "rates_of_run": "runs",
    "rates_over_time": "figures",
    "stage_table": "runs",
    "throughput_against_accuracy": "run_figures",
    "time_by_stage": "figures",
}


def __getattr__(name: str) -> Any:
    # Late, because the dashboard brings torch with it, and a figure needs none.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
