"""What recording a live run costs beside the run: CPU seconds of everything that watches, and of all.

    python experiments/cost_of_recording.py --seconds 30

The demo's cameras play in a loop, recorded in an MLflow store of their own (SQLite). CPU time is that of
threads, which the system counts whoever else uses the machine: of the thread that writes to MLflow, and of
the caller while it gathers the statistics, beside that of the whole process during the run.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from pathlib import Path

import psutil

from toolkit.demo import demo_cameras
from toolkit.experiment import load_experiment
from toolkit.live_run import LiveRun


def thread_cpu_s(name: str) -> float:
    """CPU seconds of the threads of that name so far."""
    wanted = {thread.native_id for thread in threading.enumerate() if thread.name == name}
    return sum(t.user_time + t.system_time for t in psutil.Process().threads() if t.id in wanted)


def measure(seconds: float) -> dict[str, float]:
    """Run for that long; shares are of the CPU time of the whole process in that time."""
    experiment = load_experiment(
        settings={"name": "cost", "live": {"cameras": demo_cameras(), "camera": {"loop": True}}}
    )
    run = LiveRun(experiment, Path(tempfile.mkdtemp()))
    run.start()
    # The first seconds create tables and prepare statements.
    run.wait(5.0)
    process_s, writing_s, gathering_s = time.process_time(), thread_cpu_s("mlflow"), 0.0
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        before_s = time.thread_time()
        run.wait(0.25)
        gathering_s += time.thread_time() - before_s
    passed_s = time.monotonic() - began
    process_s, writing_s = time.process_time() - process_s, thread_cpu_s("mlflow") - writing_s
    run.finish()
    return {
        "seconds": round(passed_s, 2),
        "process_cpu_s": round(process_s, 3),
        "writing_cpu_s": round(writing_s, 3),
        "gathering_cpu_s": round(gathering_s, 3),
        "share_of_the_run": round((writing_s + gathering_s) / process_s, 5),
        "share_of_a_core": round((writing_s + gathering_s) / passed_s, 5),
    }


def main() -> None:
    """Print the cost, and write it where ``--json`` asks for it."""
    parser = argparse.ArgumentParser(description="What recording a live run costs beside the run.")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        cost = measure(asked.seconds)
    print(json.dumps(cost, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(cost, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
