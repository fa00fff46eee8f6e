"""What the cameras of a capacity run show: films that are there before anything is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.capacity.config import CapacityConfig
from toolkit.cores import usable_cores
from toolkit.data.scenes import kept_scene
from toolkit.errors import ConfigError
from toolkit.evaluation.streaming.answers import Answer
from toolkit.evaluation.streaming.unhurried import unhurried
from toolkit.live.detect import FaceDetector
from toolkit.live.inference import Predict
from toolkit.live.pipeline_config import PipelineConfig
from toolkit.live.source import open_source
from toolkit.records import Frame
from toolkit.truth import Truth

# A film goes on beyond the end of a run, however late its camera began.
_SPARE_S = 2.0


@dataclass(frozen=True)
class View:
    """One film.

    Attributes:
        name: what its cameras are called, before their number.
        path: of the film.
        truth: who is to be seen; None where nobody knows.
    """

    name: str
    path: Path
    truth: Truth | None = None


def views_of(
    config: CapacityConfig, on_frame: Callable[[int, int], None] = lambda done, total: None
) -> list[View]:
    """The films a search asks for; those of its scene are composed now, unless they are there already.

    Args:
        config: of the search.
        on_frame: called with the frames of the scene that are composed, and those there are.

    Raises:
        ConfigError: a video is not there.
        DataError: the scene's pack of faces cannot be read.
    """
    for video in config.videos:
        if not Path(video).expanduser().is_file():
            raise ConfigError(f"no such video: {Path(video).absolute()}; check capacity.videos")
    if config.videos:
        return [View(f"video-{n}", Path(v).expanduser()) for n, v in enumerate(config.videos, start=1)]
    scene = replace(config.scene, seconds=config.warm_up_s + config.seconds + _SPARE_S)
    files = kept_scene(scene, on_frame)
    return [View(f"view-{n}", files.film(n), files.truth(n)) for n in range(1, scene.cameras + 1)]


def offline_answers(
    views: Sequence[View],
    detect: FaceDetector,
    predict: Predict,
    config: PipelineConfig,
    predict_bodies: Predict | None = None,
) -> dict[str, list[Answer]]:
    """View to what the street says of it when it has all the time it needs; of views with a truth."""
    known = [view for view in views if view.truth is not None]

    def answers(view: View) -> list[Answer]:
        return list(unhurried(_frames(view), detect, predict, config, predict_bodies))

    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="offline") as pool:
        return {view.name: said for view, said in zip(known, pool.map(answers, known), strict=True)}


def _frames(view: View) -> Iterator[Frame]:
    source = open_source(view.path, view.name)
    try:
        while (frame := source.read()) is not None:
            yield frame
    finally:
        source.close()
