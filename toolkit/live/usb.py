"""Cameras on this machine: USB and built in, by their number."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2

from toolkit.errors import SourceError
from toolkit.live.reading import InterruptibleSource, Picture


class UsbSource(InterruptibleSource):
    """A camera that OpenCV reads by number; its frames are stamped when the driver handed them over.

    Args:
        camera: name that the frames carry.
        capture: an open ``cv2.VideoCapture``; this source releases it.
        address: what the user called this source.
        clock: monotonic seconds.
    """

    is_live = True

    def __init__(
        self,
        camera: str,
        capture: cv2.VideoCapture,
        address: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(camera, address)
        self._capture = capture
        self._clock = clock
        # Drivers that do not know their rate say 0.
        self.fps = capture.get(cv2.CAP_PROP_FPS) or None

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the pictures in pixels."""
        width, height = (self._capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        return int(width), int(height)

    def _next_picture(self) -> Picture | None:
        if not self._capture.grab():
            return None
        captured_at = self._clock()
        is_read, image = self._capture.retrieve()
        return Picture(captured_at, None, image) if is_read else None

    def _release(self) -> None:
        self._capture.release()


def open_usb_capture(number: int, read_timeout_s: float) -> cv2.VideoCapture:
    """Open camera ``number`` of this machine.

    Raises:
        SourceError: there is none, or it is in use.
    """
    # Asked first: OpenCV tries every driver it knows, and complains of each on the terminal.
    if sys.platform == "linux" and not Path(f"/dev/video{number}").exists():
        present = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none at all"
        raise SourceError(f"no camera {number} here: expected /dev/video{number}, there is {present}")
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        capture = cv2.VideoCapture(number)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not capture.isOpened():
        raise SourceError(f"camera {number} cannot be opened; plug it in, or end the program that uses it")
    # Drivers that cannot do this ignore it.
    capture.set(cv2.CAP_PROP_READ_TIMEOUT_MSEC, read_timeout_s * 1000)
    return capture
