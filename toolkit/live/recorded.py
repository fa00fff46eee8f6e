"""Recorded pictures: a video file or a folder, at full speed or as if a camera showed it now."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

import av
import numpy as np

from toolkit.errors import SourceError
from toolkit.live.codec import VideoDecoder, open_container
from toolkit.live.reading import InterruptibleSource, Picture, SourceHealth
from toolkit.pictures import decoded
from toolkit.records import Pixels

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

# Pictures in a folder carry no time; the rate most European video has.
FOLDER_FPS = 25.0

# A hiccup shorter than that is decoded through; a machine too slow for the pace falls no further behind.
_MOST_BEHIND_S = 1.0

WaitFor = Callable[[float], float]
"""Waits until a picture of this media time is due, and says by how many seconds it is late."""


class Reel(Protocol):
    """Something recorded that can be shown from its start, more than once.

    ``show`` calls ``wait_for(media_time_s)`` before it decodes, and again before it hands a picture over.
    After a whole showing ``duration_s`` is known. ``stale_pictures`` were let go undecoded, because they were
    late.
    """

    fps: float | None
    size_wh: tuple[int, int]
    duration_s: float
    corrupt_packets: int
    stale_pictures: int

    def show(self, wait_for: WaitFor) -> Iterator[tuple[float, np.ndarray | Pixels]]:
        """Pairs of media time in seconds, which starts at 0 and grows, and picture."""


class VideoReel:
    """A video file or animated GIF.

    Args:
        path: the file.
        low_latency: decode each picture on its own, in time, rather than several at once.
        decode_threads: FFmpeg's threads; None takes as many as there are cores.

    Raises:
        SourceError: the file cannot be opened, has no video in it, or none that can be decoded.

    Attributes:
        corrupt_packets: damaged packets met so far.
    """

    def __init__(self, path: Path, *, low_latency: bool, decode_threads: int | None = None) -> None:
        self._path = path
        self._low_latency = low_latency
        self._decode_threads = decode_threads
        self._is_catching_up = False
        self.corrupt_packets = 0
        self.stale_pictures = 0
        self.duration_s = 0.0
        with open_container(str(path)) as container:
            decoder = VideoDecoder(container, low_latency=True)
            # The first picture, because only it tells whether the film was shot upright, or can be decoded.
            first = next((f for packet in decoder.packets() for f in decoder.decode(packet)), None)
            if first is None:
                raise SourceError(f"no picture of {path} can be decoded; check that it plays elsewhere")
            height, width = decoder.to_bgr(first).shape[:2]
            self.fps, self.size_wh = decoder.fps, (width, height)

    def show(self, wait_for: WaitFor) -> Iterator[tuple[float, np.ndarray | Pixels]]:
        """See :class:`Reel`."""
        corrupt_before, media_time_s, duration_s = self.corrupt_packets, 0.0, 0.0
        # A showing begins with a key frame, whatever the one before it ended with.
        self._is_catching_up, stale_until_s = False, 0.0
        with open_container(str(self._path)) as container:
            decoder = VideoDecoder(container, low_latency=self._low_latency, threads=self._decode_threads)
            for packet in decoder.packets():
                due_s = decoder.packet_time_s(packet)
                if due_s is not None and self._is_stale(packet, wait_for(due_s)):
                    # What nobody sees lasts as long as if it were seen.
                    stale_until_s = max(stale_until_s, decoder.packet_end_s(packet))
                    continue
                frames = decoder.decode(packet)
                self.corrupt_packets = corrupt_before + decoder.corrupt_packets
                for frame in frames:
                    stamp_s = decoder.frame_time_s(frame)
                    # A stamp that is missing or steps back would mislead whoever paces by it.
                    if stamp_s is None or (duration_s and stamp_s <= media_time_s):
                        stamp_s = media_time_s + duration_s
                    media_time_s = stamp_s
                    duration_s = decoder.frame_duration_s(frame)
                    wait_for(media_time_s)
                    yield media_time_s, decoder.to_pixels(frame)
        self.duration_s = max(media_time_s + duration_s, stale_until_s)

    def _is_stale(self, packet: av.Packet, late_s: float) -> bool:
        """Whether to let this packet go: everything is late, up to the next key frame that is not."""
        if late_s > _MOST_BEHIND_S:
            self._is_catching_up = True
        elif packet.is_keyframe:
            self._is_catching_up = False
        self.stale_pictures += self._is_catching_up
        return self._is_catching_up


class FolderReel:
    """Pictures of a folder in natural order: ``2.png`` comes before ``10.png``; or one picture.

    Raises:
        SourceError: there is no picture, or the first one cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._paths = [path] if path.is_file() else _pictures_in(path)
        if not self._paths:
            endings = ", ".join(sorted(PICTURE_SUFFIXES))
            raise SourceError(f"no picture in the folder {path}; expected files ending in {endings}")
        height, width = _read_picture(self._paths[0]).shape[:2]
        self.size_wh = (width, height)
        self.fps: float | None = FOLDER_FPS
        self.duration_s = len(self._paths) / FOLDER_FPS
        self.corrupt_packets = 0
        self.stale_pictures = 0

    def show(self, wait_for: WaitFor) -> Iterator[tuple[float, np.ndarray | Pixels]]:
        """See :class:`Reel`.

        Raises:
            SourceError: a picture cannot be read; the text names its file.
        """
        for number, path in enumerate(self._paths):
            media_time_s = number / FOLDER_FPS
            if wait_for(media_time_s) > _MOST_BEHIND_S:
                self.stale_pictures += 1
                continue
            yield media_time_s, _read_picture(path)


class RecordedSource(InterruptibleSource):
    """Shows a reel: as fast as it is read, or at its own pace as a camera would.

    At its own pace a frame's ``captured_at`` is the moment it fell due. A reader that comes late gets the
    frame it missed with that old stamp, so its lateness shows as latency; of what is more than a second late
    nothing is decoded any more, up to the next key frame that is not, and it counts as stale.

    Args:
        camera: name that the frames carry.
        address: what the user called this source.
        reel: what to show.
        realtime: keep the reel's pace; the first ``read`` starts it.
        loop: start over at the end; media time and frame numbers go on growing.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        camera: str,
        address: str,
        reel: Reel,
        *,
        realtime: bool = False,
        loop: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(camera, address)
        self.is_live = realtime
        self.fps = reel.fps
        self._reel = reel
        self._loop = loop
        self._clock = clock
        self._started_at: float | None = None
        self._pictures = self._show()

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the pictures in pixels."""
        return self._reel.size_wh

    @property
    def corrupt_packets(self) -> int:
        """Damaged packets met so far; what could not be decoded of them was left out."""
        return self._reel.corrupt_packets

    def health(self) -> SourceHealth:
        """See :class:`SourceHealth`."""
        return SourceHealth(self.corrupt_packets, self._reel.stale_pictures)

    def _next_picture(self) -> Picture | None:
        asked_at = self._clock()
        if self._started_at is None:
            self._started_at = asked_at
        try:
            shown = next(self._pictures, None)
        except av.FFmpegError as error:
            raise SourceError(
                f"{self.address} cannot be read on: {error}; check the disk it is on"
            ) from error
        if shown is None:
            return None
        media_time_s, pixels = shown
        return Picture(self._started_at + media_time_s if self.is_live else asked_at, media_time_s, pixels)

    def _show(self) -> Generator[tuple[float, np.ndarray | Pixels], None, None]:
        shown_before_s = 0.0
        while True:
            for media_time_s, pixels in self._reel.show(partial(self._wait_for, shown_before_s)):
                yield shown_before_s + media_time_s, pixels
            if not self._loop:
                return
            shown_before_s += self._reel.duration_s

    def _wait_for(self, shown_before_s: float, media_time_s: float) -> float:
        """See :data:`WaitFor`."""
        if not self.is_live or self._started_at is None:
            return 0.0
        due_at = self._started_at + shown_before_s + media_time_s
        while (left_s := due_at - self._clock()) > 0 and not self._closing.is_set():
            self._closing.wait(left_s)
        return max(0.0, -left_s)

    def _release(self) -> None:
        self._pictures.close()


def _pictures_in(folder: Path) -> list[Path]:
    pictures = (path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    return sorted(pictures, key=lambda path: _natural_order(path.name))


def _natural_order(name: str) -> list[tuple[int, str]]:
    """Numbers by their value, the rest by its letters."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in parts]


def _read_picture(path: Path) -> np.ndarray:
    # Bytes first: imread() cannot open every file name on Windows.
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}; repair or remove it") from error
    image = decoded(data)
    if image is None:
        raise SourceError(f"{path} is not a picture that can be read; repair or remove it")
    return image
