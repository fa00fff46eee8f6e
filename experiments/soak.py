"""Run the street for half an hour over cameras that die and come back, and see what grows.

    python experiments/soak.py --cameras 4 --minutes 30 --json soak.json --plot soak.png

The cameras are real RTSP servers, each in a process of its own. Every few seconds one of them is killed or
frozen, set to another picture size, or sends damaged packets, and is well again a few seconds later. The
detector is slower than the cameras together, so that the street is overloaded all the time: frames must be
skipped, and latency must not grow. Exits 1 when a bound is broken. When it is stopped for a while (SIGSTOP),
the gap is taken out and counted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from matplotlib.figure import Figure

from toolkit.bench.cameras.film import write_street
from toolkit.live.camera_config import CameraConfig
from toolkit.live.pipeline import LivePipeline, PipelineConfig
from toolkit.records import Detection, FrameResult, Prediction
from toolkit.rtsp.process import CameraProcess

FPS = 15
SMALL_WH, LARGE_WH = (480, 272), (640, 360)
SAMPLE_S = 1.0
GAP_S = 3.0
COME_BACK_S = 15.0
FATES = ("analysed", "skipped", "failed", "in_flight")

# What is counted a leak. Slopes are taken after the first fifth, when everything has been used once.
# Growth within the noise of a short run is none.
NOISE = {"rss_mb": 8.0, "threads": 1.0, "files": 3.0, "latency_p50_ms": 15.0}
BOUNDS_PER_HOUR = {"rss_mb": 30.0, "threads": 2.0, "files": 4.0, "latency_p50_ms": 30.0}


class SlowDetector:
    """Finds one face in every picture, takes its time, and looks at one picture at a time."""

    name = "slow"
    longest_side_px = LARGE_WH[0]

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # However many threads the street looks with, it is overloaded.
        self._looking = threading.Lock()

    def __call__(self, images: Sequence[Any]) -> list[list[Detection]]:
        with self._looking:
            time.sleep(self._seconds * len(images))
        return [[Detection((100.0, 60.0, 180.0, 160.0), 0.9)] for _ in images]


def predict(crops: Sequence[np.ndarray]) -> list[Prediction]:
    """The same answer for every face."""
    return [Prediction("female", 0.8, 30.0, 5.0) for _ in crops]


class Latencies:
    """Listens to the street: milliseconds from capture to result, since they were last taken."""

    def __init__(self) -> None:
        self._ms: list[float] = []
        self._lock = threading.Lock()

    def __call__(self, result: FrameResult) -> None:
        with self._lock:
            self._ms.append(result.latency_s * 1000)

    def take(self) -> list[float]:
        """What came since the last call."""
        with self._lock:
            taken, self._ms = self._ms, []
        return taken


class Ailments:
    """Makes one camera after another ill, each for a few seconds.

    Args:
        cameras: to be made ill.
        films: the film they begin with, and one of another size.
        every_s: about so long from one illness to the next; each lasts up to that long.
    """

    def __init__(self, cameras: Sequence[CameraProcess], films: tuple[Path, Path], every_s: float) -> None:
        self._every_s = every_s
        self._cameras = cameras
        self._films = films
        self._random = random.Random(11)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ailments", daemon=True)
        self.counts = {"killed": 0, "frozen": 0, "resized": 0, "damaged": 0}
        self.error: Exception | None = None

    def __enter__(self) -> Ailments:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._make_ill()
        except Exception as error:  # noqa: BLE001 - a run whose cameras are no longer made ill shows nothing
            self.error = error

    def _make_ill(self) -> None:
        while not self._stopping.wait(self._every_s * self._random.uniform(0.5, 1.5)):
            camera = self._random.choice(self._cameras)
            ailment = self._random.choice(list(self.counts))
            begin, end = self._ways(camera)[ailment]
            begin()
            self.counts[ailment] += 1
            # By default some freezes are shorter than the read timeout, and some longer.
            self._stopping.wait(self._every_s * self._random.uniform(0.1, 1.1))
            end()

    def _ways(self, camera: CameraProcess) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
        first, other = self._films
        return {
            "killed": (camera.kill, camera.start),
            "frozen": (camera.freeze, camera.thaw),
            "resized": (lambda: camera.show(other), lambda: camera.show(first)),
            "damaged": (lambda: camera.damage(0.2), lambda: camera.damage(0.0)),
        }


@dataclass(frozen=True)
class Sample:
    """The state of things after so many seconds of running, gaps taken out."""

    at_s: float
    rss_mb: float
    threads: float
    files: float
    latency_p50_ms: float | None
    latency_max_ms: float | None


class Soak:
    """Samples a running street once a second."""

    def __init__(self, pipeline: LivePipeline, latencies: Latencies) -> None:
        self._pipeline = pipeline
        self._latencies = latencies
        self._process = psutil.Process()
        self.samples: list[Sample] = []
        self.gaps_s: list[float] = []
        self.unbalanced = 0

    def run(self, seconds: float, ailments: Ailments, say: Callable[[str], None]) -> None:
        """Sample until the street has run for so long, nothing makes its cameras ill any more, or Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            self._run(seconds, ailments, say)

    def _run(self, seconds: float, ailments: Ailments, say: Callable[[str], None]) -> None:
        ran_s, last_at, said_at = 0.0, time.monotonic(), 0.0
        while ran_s < seconds and ailments.error is None:
            time.sleep(SAMPLE_S)
            now = time.monotonic()
            step_s, last_at = now - last_at, now
            taken = self._latencies.take()
            if step_s > GAP_S:
                # Whatever was on its way when all was stopped has waited for that.
                self.gaps_s.append(round(step_s, 1))
                continue
            ran_s += step_s
            self.samples.append(self._sample(ran_s, taken))
            if ran_s - said_at >= 60 or not said_at:
                said_at = ran_s
                say(f"{ran_s / 60:.1f} min: {self.samples[-1]}")

    def _sample(self, ran_s: float, latencies_ms: list[float]) -> Sample:
        cameras = self._pipeline.statistics()["cameras"].values()
        self.unbalanced += sum(told["read"] != sum(told[fate] for fate in FATES) for told in cameras)
        return Sample(
            at_s=ran_s,
            rss_mb=self._process.memory_info().rss / 1e6,
            threads=self._process.num_threads(),
            files=self._process.num_fds(),
            latency_p50_ms=float(np.median(latencies_ms)) if latencies_ms else None,
            latency_max_ms=max(latencies_ms, default=None),
        )


def slope_per_hour(samples: Sequence[Sample], name: str) -> float:
    """Growth of a figure by the hour, after the first fifth: the median slope between any two tenths.

    Source: Theil (1950), Sen (1968); one camera that comes or goes at the end of the run moves it little.
    """
    values = [(s.at_s / 3600, getattr(s, name)) for s in samples if getattr(s, name) is not None]
    tenths = np.array_split(np.array(values[len(values) // 5 :]), 10)
    points = [np.median(tenth, axis=0) for tenth in tenths if len(tenth)]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1 :]]
    return float(np.median(slopes)) if slopes else 0.0


def report(soak: Soak, statistics: dict[str, Any], counts: dict[str, int], are_back: bool) -> dict[str, Any]:
    """The figures of a run, and which bounds it broke."""
    samples = soak.samples
    slopes = {f"{name}_per_hour": round(slope_per_hour(samples, name), 2) for name in BOUNDS_PER_HOUR}
    latest = [s.latency_p50_ms for s in samples[-len(samples) // 5 :] if s.latency_p50_ms is not None]
    first = [s.latency_p50_ms for s in samples[: len(samples) // 5] if s.latency_p50_ms is not None]
    cameras = statistics["cameras"]
    lost = sum(told["read"] - sum(told[fate] for fate in FATES) for told in cameras.values())
    hours = samples[-1].at_s / 3600
    broken = [
        name
        for name, bound in BOUNDS_PER_HOUR.items()
        if slopes[f"{name}_per_hour"] * hours > max(bound * hours, NOISE[name])
    ]
    broken += ["books"] * bool(soak.unbalanced or lost)
    broken += [] if are_back else ["a camera stayed away"]
    return {
        "minutes": round(samples[-1].at_s / 60, 2),
        "gaps_s": soak.gaps_s,
        "slopes": slopes,
        "threads": [min(s.threads for s in samples), max(s.threads for s in samples)],
        "files": [min(s.files for s in samples), max(s.files for s in samples)],
        "rss_mb": [round(samples[len(samples) // 5].rss_mb, 1), round(samples[-1].rss_mb, 1)],
        "latency_p50_ms": {
            "first_fifth": round(np.median(first), 1),
            "last_fifth": round(np.median(latest), 1),
        },
        "latency_ms": statistics["latency_ms"],
        "ailments": counts,
        "reconnects": sum(told["reconnects"] for told in cameras.values()),
        "frames": {f: sum(told[f] for told in cameras.values()) for f in ("read", *FATES)},
        "unbalanced_samples": soak.unbalanced,
        "broken": broken,
    }


def all_are_back(pipeline: LivePipeline) -> bool:
    """Whether every camera is live again within a while after the last ailment."""
    deadline = time.monotonic() + COME_BACK_S
    while time.monotonic() < deadline:
        if all(told["state"] == "live" for told in pipeline.statistics()["cameras"].values()):
            return True
        time.sleep(0.1)
    return False


def draw(samples: Sequence[Sample], path: Path) -> None:
    """The samples over time, one figure below the other."""
    figure = Figure(figsize=(9, 9), layout="constrained")
    axes = figure.subplots(4, 1, sharex=True)
    minutes = [sample.at_s / 60 for sample in samples]
    titles = {
        "rss_mb": "memory (RSS), MB",
        "threads": "threads",
        "files": "open files",
        "latency_p50_ms": "capture to result, median of each second, ms",
    }
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        axis.plot(minutes, [getattr(sample, name) for sample in samples], linewidth=0.8)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("minutes")
    figure.savefig(path, dpi=110)


def soak(
    cameras: int, seconds: float, detect_ms: float, every_s: float, say: Callable[[str], None]
) -> tuple[Soak, dict]:
    """Run it; the samples and the report."""
    config = CameraConfig(retry=True, open_timeout_s=3.0, read_timeout_s=4.0, retry_most_s=4.0)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        films = tuple(
            write_street(folder / f"{width}.mp4", seconds=6, fps=FPS, size_wh=(width, height))
            for width, height in (SMALL_WH, LARGE_WH)
        )
        servers = [stack.enter_context(CameraProcess(films[0])) for _ in range(cameras)]
        latencies = Latencies()
        pipeline = LivePipeline(
            {f"cam{number}": server.url for number, server in enumerate(servers)},
            detect=SlowDetector(detect_ms / 1000),
            predict=predict,
            config=PipelineConfig(),
            camera_config=config,
            listeners=[latencies],
        )
        with pipeline:
            run = Soak(pipeline, latencies)
            with Ailments(servers, films, every_s) as ailments:
                run.run(seconds, ailments, say)
            if ailments.error is not None:
                raise ailments.error
            are_back = all_are_back(pipeline)
        return run, report(run, pipeline.statistics(), ailments.counts, are_back)


def main() -> int:
    """Soak, say what came out, and draw it; 1 when a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument(
        "--detect-ms", type=float, default=33.0, help="how long the detector takes for a frame"
    )
    parser.add_argument(
        "--every-s", type=float, default=8.0, help="about so long from one illness to the next"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    # That cameras are lost is what is wanted here.
    logging.getLogger("toolkit").addHandler(logging.NullHandler())

    def say(line: str) -> None:
        print(line, flush=True)

    run, result = soak(options.cameras, options.minutes * 60, options.detect_ms, options.every_s, say)
    say(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if options.plot:
        draw(run.samples, options.plot)
    return 1 if result["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
