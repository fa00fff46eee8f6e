"""Who takes part in ``toolkit bench camera``, and in what."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.bench.cameras.film import write_street
from toolkit.bench.config import CameraBenchConfig
from toolkit.bench.rounds import Case, Contender, check_names

_HERE = __package__

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("ours", "ours", f"{_HERE}.readers:Ours"),
        Contender("pyav", "limit", f"{_HERE}.readers:PyAvAlone"),
        Contender("opencv-threads", "peer", f"{_HERE}.readers:OpenCvThreads"),
        Contender("vidgear", "peer", f"{_HERE}.vidgear_peer:VidGear", ("vidgear",)),
    )
}

_FILES, _CAMERAS = 4, 8
_FILM_S = 10.0


@contextmanager
def camera_film(config: CameraBenchConfig) -> Iterator[Path]:
    """The film that all cameras show."""
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-film-") as folder:
        size_wh = (config.width, config.height)
        yield write_street(Path(folder) / "street.mp4", _FILM_S, config.fps, size_wh)


def camera_cases(config: CameraBenchConfig, film: Path) -> list[Case]:
    """The cases a bench asks for, with the contenders it asks for.

    Raises:
        ConfigError: there is no such case or contender.
    """
    picture = f"H.264 {config.width}x{config.height}"
    names = tuple(name for name in CONTENDERS if name in (config.contenders or CONTENDERS))
    settings = {"film": str(film), "seconds": config.seconds}
    cases = {
        case.name: case
        for case in (
            Case(
                f"files-{_FILES}",
                f"{_FILES} files of {picture} as fast as they go, all pictures as BGR, frames/s",
                f"{_HERE}.measure:files",
                {**settings, "cameras": _FILES},
                names,
                limit="pyav",
                unit="frames/s",
            ),
            Case(
                f"rtsp-{_CAMERAS}",
                f"{_CAMERAS} RTSP cameras, {picture} at {config.fps}/s, all pictures as BGR: CPU ms a frame",
                f"{_HERE}.measure:rtsp",
                {**settings, "cameras": _CAMERAS},
                names,
                limit="pyav",
                figure="cpu_ms_per_frame",
                less_is_better=True,
                unit="CPU ms/frame",
            ),
            Case(
                "open",
                f"an RTSP camera, {picture}: from asking to its first picture, ms",
                f"{_HERE}.measure:opening",
                {"film": str(film), "openings": config.openings},
                names,
                limit="pyav",
                figure="p50_ms",
                less_is_better=True,
            ),
        )
    }
    check_names("case", config.cases, cases)
    check_names("contender", config.contenders, CONTENDERS)
    return [case for name, case in cases.items() if name in (config.cases or cases)]
