"""Scenes to film without a camera: clips that any machine can render for a first live run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import cos, pi, sin
from pathlib import Path

import av
import cv2
import numpy as np
from matplotlib.cbook import get_sample_data

from toolkit.errors import ConfigError, DataError

# Part of every file name: raise it when a scene changes, so that nobody is shown an old one.
_VERSION = 1


@dataclass(frozen=True)
class Scene:
    """One view and what moves in it.

    Attributes:
        name: name of the camera that shows it.
        size_wh: width and height in pixels.
        fps: pictures a second.
        picture_at: the picture (H, W, 3), uint8, BGR, at a phase from 0 to 1; 1 looks like 0, so that a
            loop shows no jump.
    """

    name: str
    size_wh: tuple[int, int]
    fps: int
    picture_at: Callable[[float], np.ndarray]


def render_demo_clips(folder: Path, seconds: float = 12.0) -> dict[str, Path]:
    """Render the demo's clips as H.264 in MP4, or find them where an earlier call has left them.

    ``portrait`` shows a real face: the public-domain portrait of Grace Hopper that comes with matplotlib,
    moved across the view. The ``generated`` clips show drawn ones: some detectors take them for faces, and
    what a model says of them means nothing.

    Args:
        folder: where the clips go; made if missing.
        seconds: length of each clip.

    Returns:
        Name of the scene to its file, in the order to show them.

    Raises:
        ConfigError: ``seconds`` is not positive.
        DataError: this matplotlib came without its sample data.
    """
    if seconds <= 0:
        raise ConfigError(f"seconds must be positive, got {seconds:g}")
    folder.mkdir(parents=True, exist_ok=True)
    clips = {}
    for scene in _demo_scenes():
        width, height = scene.size_wh
        path = folder / f"{scene.name}-v{_VERSION}-{width}x{height}-{scene.fps}fps-{seconds:g}s.mp4"
        if not path.exists():
            _write_whole(path, scene, max(1, round(seconds * scene.fps)))
        clips[scene.name] = path
    return clips


def _demo_scenes() -> list[Scene]:
    return [
        Scene("portrait", (1280, 720), 25, _portrait_scene((1280, 720))),
        Scene("generated-1", (960, 540), 15, _drawn_scene((960, 540), faces=3, seed=1)),
        Scene("generated-2", (640, 480), 10, _drawn_scene((640, 480), faces=2, seed=2)),
    ]


def _portrait_scene(size_wh: tuple[int, int]) -> Callable[[float], np.ndarray]:
    wall = _wall(size_wh, seed=0)
    portrait = _portrait()
    # Fades to the wall at its border, as a person does and a pasted picture does not.
    height, width = portrait.shape[:2]
    oval = np.zeros((height, width), dtype=np.float32)
    cv2.ellipse(oval, (width // 2, height // 2), (width * 42 // 100, height * 45 // 100), 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(oval, (0, 0), 15)

    def picture_at(phase: float) -> np.ndarray:
        scale = 0.75 + 0.2 * sin(2 * pi * phase)
        centre_xy = (0.5 + 0.28 * cos(2 * pi * phase), 0.5 + 0.06 * sin(4 * pi * phase))
        image = wall.copy()
        _blend(image, portrait, mask, scale, centre_xy)
        return image

    return picture_at


def _portrait() -> np.ndarray:
    try:
        path = get_sample_data("grace_hopper.jpg", asfileobj=False)
    except OSError as error:
        raise DataError("matplotlib came without its sample pictures; install it with pip") from error
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path} cannot be read; install matplotlib anew")
    return image


def _blend(
    image: np.ndarray, picture: np.ndarray, mask: np.ndarray, scale: float, centre_xy: tuple[float, float]
) -> None:
    """Lay ``picture`` over ``image`` in place, scaled, its centre at a share of width and height."""
    height, width = image.shape[:2]
    shift = (
        width * centre_xy[0] - scale * picture.shape[1] / 2,
        height * centre_xy[1] - scale * picture.shape[0] / 2,
    )
    to_view = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    over = cv2.warpAffine(
        picture, to_view, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    weight = cv2.warpAffine(mask, to_view, (width, height))[:, :, None]
    image[:] = (image + weight * (over.astype(np.float32) - image)).astype(np.uint8)


def _drawn_scene(size_wh: tuple[int, int], faces: int, seed: int) -> Callable[[float], np.ndarray]:
    wall = _wall(size_wh, seed)
    rng = np.random.default_rng(seed)
    starts, colours = rng.random(faces), rng.integers((90, 120, 170), (180, 200, 240), (faces, 3))

    def picture_at(phase: float) -> np.ndarray:
        image = wall.copy()
        for number, (start, colour) in enumerate(zip(starts, colours, strict=True)):
            angle = 2 * pi * (phase + start)
            x = size_wh[0] * ((number + 0.5) / faces + 0.1 * cos(angle))
            y = size_wh[1] * (0.5 + 0.15 * sin(angle))
            _draw_face(image, (int(x), int(y)), size_wh[1] // 7, colour.tolist())
        return image

    return picture_at


def _draw_face(image: np.ndarray, centre_xy: tuple[int, int], radius: int, colour: list[int]) -> None:
    x, y = centre_xy
    cv2.ellipse(image, (x, y), (radius * 4 // 5, radius), 0, 0, 360, colour, -1, cv2.LINE_AA)
    cv2.ellipse(
        image, (x, y - radius // 3), (radius * 4 // 5, radius * 3 // 4), 0, 180, 360, (40, 45, 60), -1
    )
    for side in (-1, 1):
        eye = (x + side * radius // 3, y - radius // 6)
        cv2.ellipse(image, eye, (radius // 6, radius // 10), 0, 0, 360, (245, 245, 245), -1, cv2.LINE_AA)
        cv2.circle(image, eye, radius // 12, (30, 30, 30), -1, cv2.LINE_AA)
    cv2.line(image, (x, y), (x, y + radius // 4), (70, 90, 130), 2, cv2.LINE_AA)
    cv2.ellipse(
        image, (x, y + radius // 2), (radius // 3, radius // 8), 0, 0, 180, (60, 60, 160), 3, cv2.LINE_AA
    )


def _wall(size_wh: tuple[int, int], seed: int) -> np.ndarray:
    """Soft blotches with grain: texture enough that neither encoder nor detector has it easy."""
    width, height = size_wh
    rng = np.random.default_rng(seed)
    blotches = cv2.resize(
        rng.integers(70, 150, (9, 16, 3)).astype(np.float32), size_wh, interpolation=cv2.INTER_CUBIC
    )
    grain = rng.normal(0, 6, (height, width, 1))
    return np.clip(blotches + grain, 0, 255).astype(np.uint8)


def _write_whole(path: Path, scene: Scene, pictures: int) -> None:
    """Write the clip under another name first: a file that carries its own name is always complete."""
    part = path.with_name(f"{path.stem}.{os.getpid()}.part.mp4")
    try:
        _encode(part, scene, (scene.picture_at(number / pictures) for number in range(pictures)))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _encode(path: Path, scene: Scene, images: Iterator[np.ndarray]) -> None:
    # PyAV, because OpenCV's wheels cannot write H.264.
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=scene.fps)
        stream.width, stream.height = scene.size_wh
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, scene.fps)
        stream.options = {"preset": "ultrafast", "crf": "23"}
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
