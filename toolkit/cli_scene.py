"""The command ``toolkit scene``: made scenes whose truth is known, as files or as cameras."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from toolkit.terminal import NEW_FOLDER, err, json_option, new_folder, out, write_json
from toolkit.words import counted

if TYPE_CHECKING:
    from toolkit.data.scenes import SceneFiles


@click.group()
def scene() -> None:
    """Made scenes: labelled faces walk past cameras, and who is to be seen is known at every instant.

    A scene is a camera like any other wherever a camera is asked for:

    \b
      toolkit live -c hall=scene:hall
      toolkit live -c a='scene:street?cameras=2&camera=1' -c b='scene:street?cameras=2&camera=2'

    toolkit scene list names the scenes and their settings.
    """


@scene.command("list")
@json_option
def list_scenes(json_path: Path | None) -> None:
    """The scenes that there are, and the settings each of them has."""
    import dataclasses

    from toolkit.data.scenes import SceneConfig, parse_scene
    from toolkit.data.scenes.address import SCENES

    plain = {field.name: field.default for field in dataclasses.fields(SceneConfig)}
    table = Table(title="scene:NAME?SETTING=VALUE&...", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("setting", no_wrap=True)
    for name in SCENES:
        table.add_column(name)
    values = {name: dataclasses.asdict(parse_scene(f"scene:{name}").config) for name in SCENES}
    for setting in plain:
        table.add_row(setting, *(_said(values[name][setting]) for name in SCENES))
    out.print(table)
    out.print("What each setting is for: pydoc toolkit.data.scenes.SceneConfig", highlight=False)
    write_json(json_path, {name: {k: _plain(v) for k, v in row.items()} for name, row in values.items()})


@scene.command(short_help="Write a scene as films, with its truth; or serve it.")
@click.argument("address", metavar="SCENE")
@click.option("--out", "out_dir", type=NEW_FOLDER, help="Folder for the films, the truth and the picture.")
@click.option(
    "--rtsp",
    "port",
    type=click.IntRange(0, 65535),
    help="Then serve its cameras on this port of 127.0.0.1, until Ctrl-C; 0 takes a free one.",
)
@json_option
def preview(address: str, out_dir: Path | None, port: int | None, json_path: Path | None) -> None:
    """Write a scene: a film for each camera, truth.json, and a picture of all with the true boxes.

    \b
      toolkit scene preview hall --out runs/hall
      toolkit scene preview 'street?persons=12&cameras=3&night=10&seconds=30' --rtsp 8554
    """
    from toolkit.data.scenes import make_scene, parse_scene
    from toolkit.data.scenes.address import SCHEME

    # People may leave out what this command knows anyway.
    named = address if address.startswith(f"{SCHEME}:") else f"{SCHEME}:{address}"
    config = parse_scene(named).config
    folder = out_dir or new_folder("scenes")
    with composing() as on_progress:
        files = make_scene(config).write(folder, on_progress)
    picture = _save_sheet(files)
    films = [files.film(camera) for camera in range(1, config.cameras + 1)]
    for path in (*films, folder / "truth.json", picture):
        out.print(str(path), highlight=False, markup=False, soft_wrap=True)
    faces = [len(f) for n in range(1, config.cameras + 1) for f in files.truth(n).faces]
    out.print(
        f"{counted(config.cameras, 'camera')}, {counted(config.frames, 'frame')} each, "
        f"{sum(faces) / len(faces):.1f} faces a frame",
        highlight=False,
    )
    about: dict[str, Any] = {"films": [str(film) for film in films], "truth": str(folder / "truth.json")}
    about |= {"picture": str(picture), "frames": config.frames, "faces_per_frame": sum(faces) / len(faces)}
    write_json(json_path, about)
    if port is not None:
        _serve(films, port)


def _save_sheet(files: SceneFiles) -> Path:
    import cv2

    from toolkit.data.scenes.contact_sheet import contact_sheet

    path = files.folder / "contact-sheet.jpg"
    path.write_bytes(cv2.imencode(".jpg", contact_sheet(files))[1].tobytes())
    return path


def _serve(films: list[Path], port: int) -> None:
    """Show the films as cameras until Ctrl-C."""
    from toolkit.errors import ConfigError, SourceError
    from toolkit.rtsp.server import RtspServer

    if any(film.suffix != ".mp4" for film in films):
        raise ConfigError("a scene without a codec cannot be sent; leave codec=none out")
    try:
        server = RtspServer({film.stem: film for film in films}, port=port, live_since=time.monotonic())
    except OSError as error:
        raise SourceError(
            f"port {port} of 127.0.0.1 cannot be had: {error}; --rtsp 0 takes a free one"
        ) from error
    with server:
        for film in films:
            out.print(server.url(film.stem), highlight=False, soft_wrap=True)
        err.print("serving until Ctrl-C", highlight=False)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            err.print("stopped", highlight=False)


@contextmanager
def composing() -> Iterator[Callable[[int, int], None]]:
    """A bar for the frames of a scene that is being composed; shown with the first one."""
    columns = (TextColumn("composing the scene"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("frames", total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return "-".join(f"{end:g}" for end in value)
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
