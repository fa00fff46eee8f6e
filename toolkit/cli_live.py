"""The commands ``toolkit live`` and ``toolkit demo``."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.addresses import without_password
from toolkit.cli_live_view import live_display, print_report
from toolkit.cli_scene import composing
from toolkit.errors import ConfigError
from toolkit.schemes import opener_of
from toolkit.terminal import (
    NEW_FILE,
    NEW_FOLDER,
    check_checkpoint,
    doing,
    err,
    json_option,
    load,
    new_folder,
    out,
    write_json,
)

if TYPE_CHECKING:
    from toolkit.experiment import Experiment
    from toolkit.live_run import LiveReport

logger = logging.getLogger(__name__)

_METRICS_EVERY_S = 1.0

out_option = click.option("--out", "out_dir", type=NEW_FOLDER, help="Folder for what the run leaves.")


@click.command()
@click.argument("experiment_and_overrides", nargs=-1, metavar="[EXPERIMENT] [KEY=VALUE]...")
@click.option(
    "-c", "--camera", "cameras", multiple=True, metavar="NAME=SOURCE", help="A camera; may be repeated."
)
@click.option("--duration", "duration_s", type=float, metavar="SECONDS", help="Stop after this long.")
@click.option("--loop", is_flag=True, help="Start recordings over when they end.")
@click.option("--every-frame", is_flag=True, help="Analyse every frame of recordings, however long it takes.")
@click.option("--no-blur", is_flag=True, help="Leave faces recognisable in the sample pictures.")
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Serve the numbers to Prometheus on this port of 127.0.0.1; 0 takes a free one.",
)
@click.option(
    "--metrics-file", type=NEW_FILE, help="Write them here every second, for its textfile collector."
)
@click.option(
    "--record", type=NEW_FILE, help="Write each answer with its times here (.jsonl), for toolkit replay."
)
@out_option
@json_option
def live(
    experiment_and_overrides: tuple[str, ...],
    cameras: tuple[str, ...],
    duration_s: float | None,
    loop: bool,
    every_frame: bool,
    no_blur: bool,
    metrics_port: int | None,
    metrics_file: Path | None,
    record: Path | None,
    out_dir: Path | None,
    json_path: Path | None,
) -> None:
    """Run cameras live: find, label and follow people, and record the run in MLflow.

    SOURCE is a video file, a GIF, a folder of pictures, a USB number (0), an address (rtsp://, http://), or a
    made scene whose truth is known (scene:hall; toolkit scene list).
    Recordings are played at their own pace, as if they were cameras. Settings come from an EXPERIMENT (YAML),
    from KEY=VALUE such as live.pipeline.batch_size=16, and from the options. People are counted in zones and
    at lines:

    \b
      toolkit live --camera door=rtsp://door.example/1 --camera hall=hall.mp4
      toolkit live experiments/live-four-videos.yaml live.duration_s=60
      toolkit live -c door=0 'live.lines.door.gate={start: [0.5, 1], end: [0.5, 0]}'
    """
    given = {"realtime": False if every_frame else None, "loop": loop or None}
    settings: dict[str, Any] = {"camera": {key: value for key, value in given.items() if value is not None}}
    if cameras:
        settings["cameras"] = _named_sources(cameras)
    if duration_s is not None:
        settings["duration_s"] = duration_s
    if not (cameras or any("=" not in word for word in experiment_and_overrides)):
        raise ConfigError("which cameras? Give --camera NAME=SOURCE, once for each, or an experiment (YAML)")
    if record:
        from toolkit.evaluation.streaming.recorder import check_recording_name

        check_recording_name(record)
    experiment = load("live", "live", experiment_and_overrides, settings)
    with _metrics(metrics_port, metrics_file) as publish:
        _run_live(experiment, out_dir, json_path, not no_blur, publish, record)


@click.command()
@click.option("--duration", "duration_s", type=float, default=15.0, show_default=True, metavar="SECONDS")
@out_option
@json_option
def demo(duration_s: float, out_dir: Path | None, json_path: Path | None) -> None:
    """A live run on what this machine has.

    With TOOLKIT_DATA, which make demo sets to ../shared/data where that is, four real videos play as four
    cameras; without it, the public-domain portrait that comes with matplotlib moves across one, and drawn
    people walk past two.
    """
    from toolkit.demo import demo_cameras

    with doing("preparing the cameras"):
        cameras = demo_cameras()
    settings = {"cameras": cameras, "duration_s": duration_s, "camera": {"loop": True}}
    _run_live(load("demo", "live", (), settings), out_dir, json_path)


def _run_live(
    experiment: Experiment,
    out_dir: Path | None,
    json_path: Path | None,
    blur_faces: bool = True,
    publish: Callable[[dict[str, Any]], None] = lambda statistics: None,
    record: Path | None = None,
) -> None:
    from toolkit.live.source import check_recordings

    addresses = list(experiment.live.cameras.values()) if experiment.live else []
    # Before the seconds that torch takes to load: a wrong path is told at once.
    _prepare_scenes(addresses)
    check_recordings(addresses)
    if experiment.live:
        for checkpoint in filter(None, (experiment.live.checkpoint, experiment.live.body_checkpoint)):
            check_checkpoint(checkpoint)
    if out_dir is not None:
        # Not after the run, when what should lie in it would be lost.
        out_dir.mkdir(parents=True, exist_ok=True)
    with doing("loading detector and model"):
        from toolkit.live_run import run_live
        from toolkit.replay.run import run_recorded
    with live_display() as show:

        def on_progress(statistics: dict[str, Any], elapsed_s: float) -> None:
            publish(statistics)
            show(statistics, elapsed_s)

        settings: dict[str, Any] = {"on_progress": on_progress, "blur_faces": blur_faces}
        folder = out_dir or new_folder("live")
        if record:
            report = run_recorded(experiment, record, folder, **settings)
        else:
            report = run_live(experiment, folder, **settings)
    publish(report.statistics)
    print_report(report)
    write_json(json_path, report.statistics | (_scored(record, report) if record else {}))


def _scored(path: Path, report: LiveReport) -> dict[str, Any]:
    """What the recording is worth: nothing where nobody knows who was to be seen."""
    from toolkit.cli_replay import print_scores
    from toolkit.evaluation.streaming.recorder import load_recording
    from toolkit.replay.run import keep_scores, scores

    again = shlex.join(["toolkit", "replay", str(path)])
    out.print(f"recording: {path} ({again})", highlight=False, markup=False, soft_wrap=True)
    recording = load_recording(path)
    if not recording.truths:
        return {}
    result = scores(recording, recording.answers)
    print_scores(result)
    keep_scores(report.statistics["mlflow_run_id"], result)
    return {"streaming": result}


def _prepare_scenes(addresses: Sequence[str | int]) -> None:
    """Compose the scenes among the cameras now, behind a bar, and not while somebody waits for a picture."""
    if any(opener_of(str(address)) for address in addresses):
        from toolkit.scene_source import prepare_scenes

        with composing() as on_progress:
            prepare_scenes(addresses, on_progress)


@contextmanager
def _metrics(port: int | None, path: Path | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Gives what is to be called with each new statistics: they are served, written, or both."""
    from toolkit.live.watch import prometheus_text
    from toolkit.prometheus import MetricsServer, write_metrics

    newest: dict[str, Any] = {}
    written_at, is_told = 0.0, False

    def publish(statistics: dict[str, Any]) -> None:
        nonlocal newest, written_at, is_told
        newest = statistics
        is_last = "elapsed_s" in statistics
        if path is not None and (is_last or time.monotonic() - written_at >= _METRICS_EVERY_S):
            written_at = time.monotonic()
            try:
                write_metrics(path, prometheus_text(statistics))
            except OSError as error:
                if not is_told:
                    logger.error("metrics cannot be written to %s: %s; the run goes on", path, error.strerror)
                is_told = True

    if port is None:
        yield publish
        return
    with MetricsServer(lambda: prometheus_text(newest), port) as server:
        err.print(f"metrics: {server.url}", highlight=False)
        yield publish


def _named_sources(texts: Sequence[str]) -> dict[str, str]:
    sources: dict[str, str] = {}
    for text in texts:
        name, equals, source = text.partition("=")
        if not (name and equals and source):
            raise ConfigError(
                f"a camera is written NAME=SOURCE, such as door=rtsp://door.example/1, got {text!r}"
            )
        if name in sources:
            raise ConfigError(
                f"camera {name!r} is given twice: {without_password(sources[name])} and "
                f"{without_password(source)}; each needs a name of its own"
            )
        sources[name] = source
    return sources
