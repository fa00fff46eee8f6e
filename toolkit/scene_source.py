"""Scenes as cameras: what opens a ``scene:`` address, and what tells who is to be seen there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.scenes.address import is_scene, parse_scene
from toolkit.data.scenes.film import Progress, SceneFiles
from toolkit.data.scenes.kept import kept_scene
from toolkit.errors import ConfigError, DataError, SourceError
from toolkit.live.network import NetworkSource
from toolkit.live.reading import InterruptibleSource, Picture, SourceHealth
from toolkit.live.recorded import RecordedSource, Reel, VideoReel, WaitFor
from toolkit.records import Frame, Pixels
from toolkit.rtsp.process import CameraProcess
from toolkit.truth import Truth

# As of films: who is too slow for the pace falls no further behind.
_MOST_BEHIND_S = 1.0

_BEGINS_AFTER_S = 0.5


class SceneSource(RecordedSource):
    """One camera of a scene, played at the scene's own pace or as fast as it is read.

    A frame's ``media_time_s`` is the scene's time at which it was filmed, so ``truth.at(frame.media_time_s)``
    tells who is in it. Played at its own pace, its ``captured_at`` is the moment at which that time fell due,
    and not that of its arrival: what jitter and gaps held up is latency. So for every frame of a run
    ``captured_at - media_time_s`` is one number, :attr:`epoch_at`, and ``truth.at(now - epoch_at)`` tells who
    is in front of the camera now.

    Attributes:
        truth: who is to be seen, at every time.
        files: of the scene; all its cameras play from there, and nothing is composed any more.
    """

    def __init__(
        self,
        camera: str,
        address: str,
        files: SceneFiles,
        number: int,
        *,
        realtime: bool,
        loop: bool,
        decode_threads: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        path, way = files.film(number), _Way(files, number)
        reel: Reel
        if files.config.codec == "none":
            reel = _RawReel(path, way, files.config.frames_per_s)
        else:
            reel = _FilmReel(path, way, low_latency=realtime, decode_threads=decode_threads)
        super().__init__(camera, address, reel, realtime=realtime, loop=loop, clock=clock)
        self.files = files
        truth = files.truth(number)
        self.truth: Truth = truth.looped() if loop else truth

    @property
    def epoch_at(self) -> float | None:
        """Seconds on the clock at which the scene's time was 0; None before the first ``read``."""
        return self._started_at


class SentSceneSource(InterruptibleSource):
    """One camera of a scene through a real RTSP server in a process of its own: the network is in it as well.

    As of :class:`SceneSource`, ``captured_at - media_time_s`` is one number, :attr:`epoch_at`: what the way
    takes is latency.

    Attributes:
        truth: who is to be seen, at every time.
        files: of the scene.
        epoch_at: monotonic seconds at which the scene's time was 0.
    """

    is_live = True

    def __init__(self, camera: str, address: str, files: SceneFiles, number: int, *, loop: bool) -> None:
        super().__init__(camera, address)
        self.files = files
        truth = files.truth(number)
        self.truth: Truth = truth.looped() if loop else truth
        self.fps = files.config.frames_per_s
        self._ends_s = float("inf") if loop else truth.duration_s
        self._first: int | None = None
        self._server = CameraProcess(files.film(number))
        self._server.start()
        try:
            # So that who opens it at once sees it from the beginning.
            self.epoch_at = time.monotonic() + _BEGINS_AFTER_S
            self._server.begin(self.epoch_at)
            self._sent = NetworkSource(camera, self._server.url)
        except BaseException:
            self._server.kill()
            raise

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the pictures in pixels."""
        return self.files.config.size_wh

    def health(self) -> SourceHealth:
        """See :class:`SourceHealth`."""
        return self._sent.health()

    def close(self) -> None:
        """End a waiting ``read`` within a second, and end the server; may be called again."""
        self._sent.close()
        super().close()

    def _next_picture(self) -> Picture | None:
        frame = self._sent.read()
        if frame is None:
            return None
        media_time_s = self._filmed_s(frame)
        if media_time_s >= self._ends_s:
            return None
        return Picture(self.epoch_at + media_time_s, media_time_s, frame.pixels)

    def _filmed_s(self, frame: Frame) -> float:
        """The scene's time at which a picture was filmed, from its stamp, which counts from the second one.

        The first one has none. It is a key frame, of which there is one each second, and it came out when the
        second one did.
        """
        frames_per_s = self.files.config.frames_per_s
        if frame.media_time_s is None or self._first is None:
            key_every = max(1, round(frames_per_s))
            came = (frame.captured_at - self.epoch_at) * frames_per_s
            self._first = max(0, math.floor((came - 0.5) / key_every)) * key_every
            return self._first / frames_per_s
        return (self._first + 1 + round(frame.media_time_s * frames_per_s)) / frames_per_s

    def _release(self) -> None:
        self._sent.close()
        self._server.kill()


def open_scene(
    address: str,
    *,
    camera: str = "camera",
    realtime: bool = False,
    loop: bool = False,
    decode_threads: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> SceneSource | SentSceneSource:
    """Open one camera of a scene; one that was never played before is composed first, which takes seconds.

    Args:
        address: see :func:`toolkit.data.scenes.address.parse_scene`.
        camera: name that the frames carry.
        realtime: keep the scene's pace, as a camera does; one that is sent over RTSP knows no other.
        loop: begin again at its end.
        decode_threads: FFmpeg's threads; None takes as many as there are cores.
        clock: monotonic seconds.

    Raises:
        SourceError: there is no such scene, or it cannot be composed; the text says why.
    """
    try:
        config, number = parse_scene(address)
        files = kept_scene(config)
    except (ConfigError, DataError) as error:
        raise SourceError(str(error)) from error
    if config.through == "rtsp":
        return SentSceneSource(camera, address, files, number, loop=loop)
    settings: dict[str, Any] = {"realtime": realtime, "loop": loop, "clock": clock}
    return SceneSource(camera, address, files, number, decode_threads=decode_threads, **settings)


def prepare_scenes(
    addresses: Iterable[str | int | Path], on_progress: Progress = lambda done, total: None
) -> None:
    """Compose the scenes among these addresses that were never played before.

    Raises:
        ConfigError: there is no such scene or setting.
        DataError: faces or backgrounds cannot be read.
    """
    for config in dict.fromkeys(parse_scene(str(a)).config for a in addresses if is_scene(a)):
        kept_scene(config, on_progress)


def scene_truths(cameras: Mapping[str, str | int | Path], loop: bool = False) -> dict[str, Truth]:
    """Who is to be seen by those cameras of a run that are scenes, by the camera's name.

    Args:
        cameras: name to address.
        loop: whether they begin again at their end.

    Raises:
        ConfigError: there is no such scene or setting.
        DataError: faces or backgrounds cannot be read.
    """
    truths = {}
    for name, address in cameras.items():
        if is_scene(address):
            config, number = parse_scene(str(address))
            truth = kept_scene(config).truth(number)
            truths[name] = truth.looped() if loop else truth
    return truths


class _Way:
    """The way a frame takes from the camera: it is due when it arrives, not when it was filmed."""

    def __init__(self, files: SceneFiles, number: int) -> None:
        self._delays_s = files.delays_s(number).tolist()
        self._frames_per_s = files.config.frames_per_s

    def lengthen(self, wait_for: WaitFor) -> WaitFor:
        """Waits so much longer for each frame."""

        def wait_for_arrival(media_time_s: float) -> float:
            index = min(len(self._delays_s) - 1, round(media_time_s * self._frames_per_s))
            return wait_for(media_time_s + self._delays_s[index])

        return wait_for_arrival


class _FilmReel(VideoReel):
    """A scene's film."""

    def __init__(self, path: Path, way: _Way, *, low_latency: bool, decode_threads: int | None) -> None:
        super().__init__(path, low_latency=low_latency, decode_threads=decode_threads)
        self._way = way

    def show(self, wait_for: WaitFor) -> Iterator[tuple[float, np.ndarray | Pixels]]:
        """See :class:`toolkit.live.recorded.Reel`."""
        return super().show(self._way.lengthen(wait_for))


class _RawReel:
    """Pictures that no codec has touched, mapped from a file."""

    def __init__(self, path: Path, way: _Way, frames_per_s: float) -> None:
        self._images = np.load(path, mmap_mode="r")
        self._way = way
        self._frames_per_s = frames_per_s
        self.fps: float | None = frames_per_s
        self.size_wh = (self._images.shape[2], self._images.shape[1])
        self.duration_s = len(self._images) / frames_per_s
        self.corrupt_packets = 0
        self.stale_pictures = 0

    def show(self, wait_for: WaitFor) -> Iterator[tuple[float, np.ndarray | Pixels]]:
        """See :class:`toolkit.live.recorded.Reel`."""
        wait_for = self._way.lengthen(wait_for)
        for index, image in enumerate(self._images):
            media_time_s = index / self._frames_per_s
            if wait_for(media_time_s) > _MOST_BEHIND_S:
                self.stale_pictures += 1
                continue
            yield media_time_s, np.array(image)
