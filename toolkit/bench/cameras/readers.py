"""Ours, the limit, and what comes with OpenCV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from toolkit.bench.cameras.contender import CameraReader, ThreadedReader
from toolkit.live.camera_config import CameraConfig
from toolkit.live.camera_pool import CameraPool
from toolkit.live.source import open_source


class Ours(CameraReader):
    """CameraPool with a callback: books, back-off, rates and all."""

    def __init__(self) -> None:
        self._pool = CameraPool(CameraConfig(loop=True))

    def start(self, addresses: Sequence[str]) -> None:
        for number, address in enumerate(addresses):
            self._pool.add_camera(str(number), address, _nothing)

    def counts(self) -> list[int]:
        return [told["analysed"] for told in self._pool.get_statistics().values()]

    def stop(self) -> None:
        self._pool.stop_all()

    def first_picture(self, address: str) -> np.ndarray:
        source = open_source(address)
        frame = source.read()
        source.close()
        if frame is None:
            raise RuntimeError(f"{address} has no picture")
        return frame.image


class PyAvAlone(ThreadedReader):
    """PyAV in a loop, tuned as ours is and without the rest: no books, no time-outs, no coming back."""

    def pictures(self, address: str) -> Iterator[np.ndarray]:
        is_rtsp = address.startswith("rtsp")
        options = {"rtsp_transport": "tcp", "probesize": "32", "fpsprobesize": "0"} if is_rtsp else {}
        with av.open(address, options=options) as container:
            container.streams.video[0].codec_context.thread_count = 1
            convert = VideoReformatter().reformat
            for frame in container.decode(video=0):
                yield convert(frame, format="bgr24", threads=1).to_ndarray()


class OpenCvThreads(ThreadedReader):
    """``cv2.VideoCapture`` with its defaults."""

    def pictures(self, address: str) -> Iterator[np.ndarray]:
        capture = cv2.VideoCapture(address)
        try:
            while (read := capture.read())[0]:
                yield read[1]
        finally:
            capture.release()


def _nothing(camera_id: str, image: np.ndarray) -> None:
    """The consumer: the picture is there."""
