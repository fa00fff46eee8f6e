"""Scenes as files: a film for each camera, and who is to be seen in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import numpy as np

from toolkit.data.scenes.arrival import arrival_delays_s
from toolkit.data.scenes.config import SceneConfig
from toolkit.errors import ConfigError
from toolkit.truth import Truth, load_truths

# Pictures without a codec: 2.8 MB each at 720p.
_MOST_RAW_BYTES = 4_000_000_000

TRUTH_FILE = "truth.json"

Progress = Callable[[int, int], None]
"""``on_progress(done, total)``, in frames of all cameras; from any thread."""


@dataclass(frozen=True)
class SceneFiles:
    """A scene that was written: one film per camera, and who is to be seen in it.

    Attributes:
        folder: where they lie.
        config: of the scene.
    """

    folder: Path
    config: SceneConfig

    def film(self, camera: int = 1) -> Path:
        """H.264 in MP4; or, of ``codec: none``, (F, H, W, 3) uint8 BGR as NumPy's file.

        Raises:
            ConfigError: the scene has no such camera.
        """
        return self.folder / f"{_checked_name(self.config, camera)}{_ENDINGS[self.config.codec]}"

    def truth(self, camera: int = 1) -> Truth:
        """Who is to be seen by a camera.

        Raises:
            ConfigError: the scene has no such camera.
        """
        return self._truths[_checked_name(self.config, camera)]

    def delays_s(self, camera: int = 1) -> np.ndarray:
        """See :func:`arrival_delays_s`."""
        return arrival_delays_s(self.config, camera)

    @cached_property
    def _truths(self) -> dict[str, Truth]:
        return load_truths(self.folder / TRUTH_FILE)


_ENDINGS = {"h264": ".mp4", "none": ".npy"}


def write_film(path: Path, images: Iterable[np.ndarray], config: SceneConfig) -> None:
    """Write the pictures (H, W, 3) uint8 BGR of one camera, in the codec the scene asks for.

    Raises:
        ConfigError: without a codec, the scene's pictures would take more than 4 GB.
    """
    if config.codec == "h264":
        encode_h264(path, images, config.size_wh, config.frames_per_s, config.crf)
        return
    raw_bytes = config.frames * config.cameras * config.width * config.height * 3
    if raw_bytes > _MOST_RAW_BYTES:
        raise ConfigError(
            f"without a codec the scene would take {raw_bytes / 1e9:.1f} GB, and 4 are allowed; "
            "make it shorter or smaller, or take codec: h264"
        )
    shape = (config.frames, config.height, config.width, 3)
    raw = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    for index, image in enumerate(images):
        raw[index] = image
    raw.flush()


def encode_h264(
    path: Path,
    images: Iterable[np.ndarray],
    size_wh: tuple[int, int],
    frames_per_s: float,
    crf: int = 23,
) -> None:
    """Write pictures (H, W, 3) uint8 BGR as H.264 in MP4, as a camera does.

    A key frame each second, and none that looks ahead: such a film can be sent as it lies there.
    """
    rate = Fraction(frames_per_s).limit_denominator(1001)
    # PyAV, because OpenCV's wheels cannot write H.264.
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        key_every = str(max(1, round(frames_per_s)))
        stream.options = {"preset": "veryfast", "tune": "zerolatency", "crf": str(crf), "g": key_every}
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())


def _checked_name(config: SceneConfig, camera: int) -> str:
    if not 1 <= camera <= config.cameras:
        raise ConfigError(
            f"the scene has the cameras 1 to {config.cameras}, got camera {camera}; cameras=N makes more"
        )
    return f"camera-{camera}"
