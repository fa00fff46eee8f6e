"""What watching a live run costs it: CPU seconds a frame with and without a dashboard, in turns.

    python experiments/cost_of_watching.py --cameras 4 --rounds 6 --seconds 5

The demo's cameras play in a loop, as fast as the machine goes, so that every core is wanted by the run: what
the dashboard takes, the run lacks. All of it happens in a Jupyter kernel, which sends what is drawn as
it does to a browser. One run; in every second slice of time its screen is drawn: pictures, tables, plots.
CPU time is that of the kernel's process, which the system counts whoever else uses the machine. With
``--realtime`` cameras keep their own pace and cores are left over: pictures come at their full rate, and slow
nobody.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

from toolkit.demo import demo_cameras
from toolkit.experiment import load_experiment
from toolkit.live_run import LiveRun
from toolkit.notebook.audience import Audience
from toolkit.notebook.panel import Panel
from toolkit.notebook.screen import Screen
from toolkit.notebook.shown_run import DashboardConfig
from toolkit.notebook.trends import WatchedResults


def measure(cameras: int, rounds: int, seconds: float, is_realtime: bool) -> dict[str, Any]:
    """Slices of one run, unwatched and watched by turns; the order turns round each time."""
    sources = list(demo_cameras().items())
    named = {f"{name}-{n}": source for n in range(cameras) for name, source in [sources[n % len(sources)]]}
    camera = {"loop": True, "realtime": is_realtime}
    experiment = load_experiment(settings={"name": "watching", "live": {"cameras": named, "camera": camera}})
    results, config = WatchedResults(), DashboardConfig()
    run = LiveRun(experiment, Path(tempfile.mkdtemp()), listeners=(results,))
    run.start()
    assert experiment.live is not None
    panel = Panel(experiment.live, config.width_px, Audience(None).widget)
    screen = Screen(run, results, panel, config.width_px, config.pictures_per_s)
    pictures: list[int] = []
    panel.wall_image.observe(lambda change: pictures.append(len(change["new"])), "value")
    # The first seconds load what is loaded late.
    _slice(run, screen, 5.0)
    pictures.clear()
    slices: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    for number in range(rounds):
        for is_watched in (False, True) if number % 2 else (True, False):
            slices[is_watched].append(_slice(run, screen if is_watched else None, seconds))
    run.finish()
    unwatched, watched = slices[False], slices[True]
    drawing_s = sum(each["drawing_cpu_s"] for each in watched)
    return {
        "cameras": cameras,
        "rounds": rounds,
        "pictures_per_s": round(len(pictures) / sum(each["seconds"] for each in watched), 2),
        "picture_kb": round(statistics.mean(pictures) / 1000, 1) if pictures else None,
        "cpu_ms_per_frame": {"unwatched": _cpu_ms(unwatched), "watched": _cpu_ms(watched)},
        "frames_per_s": {"unwatched": _rate(unwatched), "watched": _rate(watched)},
        "drawing_share_of_the_process": round(drawing_s / sum(each["cpu_s"] for each in watched), 5),
        "drawing_share_of_a_core": round(drawing_s / sum(each["seconds"] for each in watched), 5),
    }


def in_a_kernel(call: str, timeout_s: float) -> Any:
    """What a call of this module gives in a Jupyter kernel, with an MLflow store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        # What a kernel says when it starts is no result.
        manager, client = start_new_kernel(stderr=subprocess.DEVNULL)
        try:
            found = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})"
            code = f"{found}\nfrom {Path(__file__).stem} import measure\ncost = {call}"
            reply = client.execute(code, user_expressions={"cost": "cost"}, reply=True, timeout=timeout_s)
            if reply["content"]["status"] != "ok":
                raise SystemExit("\n".join(reply["content"]["traceback"]))
            return ast.literal_eval(reply["content"]["user_expressions"]["cost"]["data"]["text/plain"])
        finally:
            client.stop_channels()
            manager.shutdown_kernel()


def _slice(run: LiveRun, screen: Screen | None, seconds: float) -> dict[str, float]:
    """So many seconds of the run."""
    frames, cpu_s, began, drawing_s = _frames(run), time.process_time(), time.monotonic(), 0.0
    while (passed_s := time.monotonic() - began) < seconds:
        rest_s = 0.25
        if screen is not None:
            before_s = time.thread_time()
            rest_s = screen.draw()
            drawing_s += time.thread_time() - before_s
        run.wait(min(rest_s, seconds - passed_s))
    return {
        "seconds": time.monotonic() - began,
        "frames": _frames(run) - frames,
        "cpu_s": time.process_time() - cpu_s,
        "drawing_cpu_s": drawing_s,
    }


def _frames(run: LiveRun) -> int:
    return sum(values["analysed"] for values in run.statistics()["cameras"].values())


def _cpu_ms(slices: list[dict[str, float]]) -> float:
    total_s = sum(each["cpu_s"] for each in slices)
    return round(1000 * total_s / max(1.0, sum(each["frames"] for each in slices)), 3)


def _rate(slices: list[dict[str, float]]) -> float:
    return round(sum(each["frames"] for each in slices) / sum(each["seconds"] for each in slices), 1)


def main() -> None:
    """Print the cost, and write it where ``--json`` asks for it."""
    parser = argparse.ArgumentParser(description="What watching a live run costs it.")
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=6, help="pairs of slices")
    parser.add_argument("--seconds", type=float, default=5.0, help="of a slice")
    parser.add_argument("--realtime", action="store_true", help="cameras keep their own pace")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    cost = in_a_kernel(
        f"measure({asked.cameras}, {asked.rounds}, {asked.seconds}, {asked.realtime})",
        timeout_s=300 + 3 * asked.rounds * asked.seconds,
    )
    print(json.dumps(cost, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(cost, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
