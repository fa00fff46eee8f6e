"""The same labelled scene again and again, each time with something else broken for a few seconds.

    python experiments/fault_scenes.py experiments/fault-scenes.yaml --json out.json --figure out.png

Four cameras of one scene, each an RTSP server in a process of its own that shows what is on now, run through
one street. While nothing is broken, what is on the screens is held against the truth, second by second; then
the same seconds with a camera that dies, one that freezes, one that floods the street, and, with the model
behind a queue, with Redis killed. Told is how far gender accuracy falls below the whole run of the same
seconds, on the camera that is broken and on its neighbours, and how long after the end of the fault it is
back. Set TOOLKIT_DATA for real faces; drawn ones are found and followed alike, but what the model says of
them means little.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import redis
import yaml
from rich.console import Console
from rich.table import Table

from toolkit.data.scenes import SceneFiles, kept_scene, parse_scene
from toolkit.errors import ConfigError, ToolkitError
from toolkit.evaluation.streaming.align import align
from toolkit.evaluation.streaming.answers import Answer, shown
from toolkit.evaluation.streaming.scores import over_time
from toolkit.experiment import LiveConfig, build
from toolkit.live.camera_config import CameraConfig
from toolkit.live.inference import Predict
from toolkit.live.pipeline import LivePipeline
from toolkit.live_parts import make_detector, make_predictor
from toolkit.notebook.figures import COLOURS, empty_figure, legend_beside
from toolkit.records import FrameResult, Prediction
from toolkit.rtsp.process import CameraProcess
from toolkit.tracking import RunRecord
from toolkit.work.redis_server import RedisServer
from toolkit.work.task_queue import TaskQueue
from toolkit.work.worker_pool import WorkerPool

VICTIM = "camera-1"
BACK_WITHIN = 0.1
ANSWER_TIMEOUT_S = 3.0
FLOOD_FRAMES_PER_S = 90.0
WHO = ("victim", "neighbours")

Seconds = dict[str, list[dict[str, Any]]]
"""Rows of :func:`over_time`, of the camera that is broken and of its neighbours."""


@dataclass(frozen=True)
class FaultScenes:
    """What the experiment's YAML says.

    Attributes:
        question: in words.
        scene: address of the scene; all its cameras are run.
        seconds: of each run.
        from_s: before this, everything is still starting, and nothing counts.
        breaks_at_s: when the fault begins, in the scene's time.
        broken_s: how long it lasts.
        cases: which faults; none named takes all.
        detector: as of a live run.
        checkpoint: as of a live run.
    """

    scene: str
    question: str = ""
    seconds: float = 18.0
    from_s: float = 3.0
    breaks_at_s: float = 7.0
    broken_s: float = 4.0
    cases: tuple[str, ...] = ()
    detector: str = "auto"
    checkpoint: str = "shipped"

    def __post_init__(self) -> None:
        if not 0 <= self.from_s < self.breaks_at_s < self.breaks_at_s + self.broken_s < self.seconds:
            raise ConfigError("0 <= from_s < breaks_at_s < breaks_at_s + broken_s < seconds must hold")


@dataclass
class World:
    """What there is to break: the cameras by name, the street, the server behind the queue."""

    cameras: dict[str, CameraProcess]
    street: LivePipeline
    flood: CameraProcess | None = None
    server: RedisServer | None = None
    redis_url: str = ""


@dataclass(frozen=True)
class Case:
    """One fault: how it begins and ends, and whether the model lies behind a queue."""

    begin: Callable[[World], object] = lambda world: None
    end: Callable[[World], object] = lambda world: None
    is_queued: bool = False
    has_flood: bool = False


def kill_redis(world: World) -> None:
    """kill -9, and wait until it is gone."""
    with redis.Redis.from_url(world.redis_url) as client:
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
        with contextlib.suppress(redis.ConnectionError):
            while client.ping():
                time.sleep(0.01)


def start_redis(world: World) -> None:
    """Start it on its old data."""
    if world.server is not None:
        world.server.start()


def begin_flood(world: World) -> None:
    """One more camera, six times as fast as the others."""
    if world.flood is not None:
        world.street.add_camera("flood", world.flood.url)


CASES = {
    "nothing": Case(),
    "camera dies": Case(lambda w: w.cameras[VICTIM].kill(), lambda w: w.cameras[VICTIM].start()),
    "camera freezes": Case(lambda w: w.cameras[VICTIM].freeze(), lambda w: w.cameras[VICTIM].thaw()),
    "camera floods": Case(begin_flood, lambda w: w.street.remove_camera("flood"), has_flood=True),
    "nothing, queued": Case(is_queued=True),
    "Redis restarts": Case(kill_redis, start_redis, is_queued=True),
}


@dataclass
class Screens:
    """Listens to the street: what was shown, on the scene's clock.

    A camera that comes back begins its own time anew, but what it sends was filmed now: on loopback a packet
    is a millisecond on its way, so the moment it came tells which frame of the scene it is.
    """

    epoch_at: float
    frames_per_s: float
    answers: list[Answer] = field(default_factory=list)

    def __call__(self, result: FrameResult) -> None:
        frame = result.frame
        number = round((frame.captured_at - self.epoch_at) * self.frames_per_s)
        finished_s = result.finished_at - self.epoch_at
        self.answers.append(
            Answer(frame.camera, number / self.frames_per_s, finished_s, shown(result.tracks))
        )


@contextmanager
def behind_a_queue(predict: Predict) -> Iterator[tuple[Predict, RedisServer, str]]:
    """The model in workers behind a Redis of its own; a call without an answer raises: its frames fail."""

    def label(task: Mapping[str, Any]) -> list[list[Any]]:
        said = predict(task["crops"])
        return [[p.gender, p.gender_probability, p.age_years, p.age_spread_years] for p in said]

    server = RedisServer()
    url = server.start()
    try:
        with TaskQueue(url=url) as queue, WorkerPool(2, {"label": label}, queue) as pool:

            def ask(crops: Sequence[np.ndarray]) -> list[Prediction]:
                task = {"type": "label", "crops": [np.ascontiguousarray(crop) for crop in crops]}
                rows = pool.submit_task(task).result(timeout=ANSWER_TIMEOUT_S)
                return [Prediction(*row) for row in rows]

            yield ask, server, url
    finally:
        server.stop()


def run_case(case: Case, config: FaultScenes, files: SceneFiles, flood: Path, live: LiveConfig) -> Seconds:
    """Run the scene once with one fault, and score it second by second."""
    predict: Predict = make_predictor(live)
    with ExitStack() as stack:
        server, url = None, ""
        if case.is_queued:
            predict, server, url = stack.enter_context(behind_a_queue(predict))
        numbers = range(1, files.config.cameras + 1)
        cameras = {
            f"camera-{n}": stack.enter_context(CameraProcess(files.film(n), live_since=0.0)) for n in numbers
        }
        extra = stack.enter_context(CameraProcess(flood)) if case.has_flood else None
        # The scene begins when every camera is ready for it.
        epoch_at = time.monotonic() + 1.0
        for camera in cameras.values():
            camera.begin(epoch_at)
        screens = Screens(epoch_at, files.config.frames_per_s)
        settings = CameraConfig(realtime=True, retry=True, read_timeout_s=2.0, retry_most_s=2.0)
        urls = {name: camera.url for name, camera in cameras.items()}
        street = LivePipeline(urls, make_detector(live), predict, camera_config=settings, listeners=[screens])
        world = World(cameras, stack.enter_context(street), extra, server, url)
        _wait_until(epoch_at + config.breaks_at_s)
        case.begin(world)
        _wait_until(epoch_at + config.breaks_at_s + config.broken_s)
        case.end(world)
        _wait_until(epoch_at + config.seconds)
    window = (config.from_s, config.seconds)
    victim, *neighbours = (
        align(f"camera-{n}", files.truth(n).looped(), screens.answers, *window) for n in numbers
    )
    return {"victim": over_time([victim]), "neighbours": over_time(neighbours)}


def _wait_until(at: float) -> None:
    threading.Event().wait(max(0.0, at - time.monotonic()))


def fall_and_return(rows: Seconds, whole: Seconds, config: FaultScenes) -> dict[str, Any]:
    """How far gender accuracy fell below the same second of the whole run, and how soon it was back.

    It is back with the first second after the fault from which on it stays within :data:`BACK_WITHIN` of the
    whole run for two seconds; None where it never is.
    """
    ends_s = config.breaks_at_s + config.broken_s
    told: dict[str, Any] = {}
    for who in WHO:
        then = {row["time_s"]: row["gender_accuracy"] for row in whole[who]}
        pairs = [
            (row["time_s"], then[row["time_s"]] - row["gender_accuracy"])
            for row in rows[who]
            if None not in (row["gender_accuracy"], then.get(row["time_s"]))
        ]
        told[f"{who}_fall"] = max((loss for at, loss in pairs if at >= config.breaks_at_s), default=0.0)
        after = [(at, loss <= BACK_WITHIN) for at, loss in pairs if at >= ends_s]
        back = [at for (at, now), (_, next_) in pairwise(after) if now and next_]
        told[f"{who}_back_after_s"] = back[0] - ends_s if back else None
        stale = [r["staleness_ms"] for r in rows[who] if r["time_s"] >= config.breaks_at_s]
        told[f"{who}_stalest_ms"] = max((ms for ms in stale if ms is not None), default=None)
    return told


def draw(curves: Mapping[str, Seconds], config: FaultScenes, path: Path) -> None:
    """Gender accuracy of the victim, a line for each fault, over the seconds in which it is broken."""
    figure, axes = empty_figure(
        "A camera that fails, fault by fault", "seconds of the scene", "gender accuracy on its screen", 3.8
    )
    axes.axvspan(config.breaks_at_s, config.breaks_at_s + config.broken_s, color="#dddddd", label="broken")
    colours = iter(COLOURS * len(curves))
    for name, rows in sorted(curves.items(), key=lambda item: not item[0].startswith("nothing")):
        points = [(row["time_s"] + 0.5, row["gender_accuracy"]) for row in rows["victim"] if row["faces"]]
        # What it is held against lies wide and pale under the others, which follow it but for their fault.
        whole = {"color": "#bbbbbb", "linewidth": 5, "linestyle": "-" if name == "nothing" else ":"}
        style = whole if name.startswith("nothing") else {"color": next(colours)}
        axes.plot(*zip(*points, strict=True), label=name, **style)
    axes.set_ylim(0, 1)
    legend_beside(axes)
    figure.savefig(path)


def main() -> None:
    """Run the cases, print and keep what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", type=Path, nargs="?", default=Path("experiments/fault-scenes.yaml"))
    parser.add_argument("--case", action="append", choices=CASES, help="only this one; may be repeated")
    parser.add_argument("--json", type=Path, help="write the rows and the figures here")
    parser.add_argument("--figure", type=Path, help="draw the curves here")
    args = parser.parse_args()
    # What a broken camera says is expected here.
    logging.getLogger("toolkit").setLevel(logging.CRITICAL)
    console = Console()
    try:
        config = build(FaultScenes, yaml.safe_load(args.experiment.read_text()), str(args.experiment))
        config = replace(config, cases=tuple(args.case or config.cases or CASES))
        run_all(config, console, args.json, args.figure)
    except (ToolkitError, OSError) as error:
        raise SystemExit(f"error: {error}") from error


def run_all(config: FaultScenes, console: Console, json_path: Path | None, figure_path: Path | None) -> None:
    """All cases one after the other, each beside the whole run of its kind."""
    scene = parse_scene(config.scene).config
    if scene.faces is None and "TOOLKIT_DATA" in os.environ:
        scene = replace(scene, faces=Path("fairface_test_128"))
    with console.status("composing the scene"):
        files = kept_scene(scene)
        fast = replace(scene, cameras=1, seconds=5.0, frames_per_s=FLOOD_FRAMES_PER_S)
        flood = kept_scene(fast).film()
    live = LiveConfig(cameras={"scene": config.scene}, detector=config.detector, checkpoint=config.checkpoint)
    needed = {"nothing, queued" if CASES[name].is_queued else "nothing" for name in config.cases}
    curves: dict[str, Seconds] = {}
    for name in dict.fromkeys([*sorted(needed), *config.cases]):
        with console.status(f"{name}: {config.seconds:.0f} s"):
            curves[name] = run_case(CASES[name], config, files, flood, live)
    told = {
        name: fall_and_return(rows, curves["nothing, queued" if CASES[name].is_queued else "nothing"], config)
        for name, rows in curves.items()
    }
    console.print(_table(told))
    if figure_path is not None:
        draw(curves, config, figure_path)
    record = RunRecord("live", "fault-scenes", {"question": config.question, "scene": config.scene})
    for name, values in told.items():
        record.log_metrics(
            {f"faults/{name.replace(',', '').replace(' ', '-')}/{k}": v for k, v in values.items()}
        )
    seconds = [
        {"case": name, "who": who, **row} for name, rows in curves.items() for who in WHO for row in rows[who]
    ]
    record.log_table(seconds, "seconds.json")
    if figure_path is not None:
        record.log_file(figure_path)
    run_id = record.close()
    if json_path is not None:
        result = {"told": told, "seconds": curves, "mlflow_run_id": run_id}
        json_path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _table(told: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(
        title="gender accuracy: fall below the whole run of the same seconds, and until it was back"
    )
    table.add_column("broken")
    for who in WHO:
        for title in (who, "back after", "stalest, ms"):
            table.add_column(title, justify="right")
    for name, values in told.items():
        cells = []
        for who in WHO:
            back_s, stale_ms = values[f"{who}_back_after_s"], values[f"{who}_stalest_ms"]
            cells += [f"-{values[f'{who}_fall']:.2f}", "never" if back_s is None else f"{back_s:.0f} s"]
            cells.append("-" if stale_ms is None else f"{stale_ms:.0f}")
        table.add_row(name, *cells)
    return table


if __name__ == "__main__":
    main()
