"""The wall: the newest picture of every camera, as one JPEG."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from toolkit.live.listeners import LatestResults
from toolkit.live.picture import annotate, encode_jpeg
from toolkit.notebook.mosaic import Mosaic
from toolkit.records import FrameResult

Draw = Callable[[FrameResult, bool, int], np.ndarray]
"""A result, whether faces are blurred, and the width in pixels, to a picture (H, W, 3) uint8 BGR."""


class Wall:
    """Draws what is new since the last time, and nothing when nothing is.

    One picture for all cameras: a browser that shows 16 pictures of their own falls behind, and nothing
    tells the sender. Any thread may draw it.

    Args:
        cameras: in the order of their tiles.
        latest: told of every result.
        width_px: of the whole wall.
        draw: makes the picture of a tile.
    """

    def __init__(
        self, cameras: Iterable[str], latest: LatestResults, width_px: int, draw: Draw = annotate
    ) -> None:
        self._latest = latest
        self._width_px = width_px
        self._draw = draw
        self._drawing = threading.Lock()
        self._shown: object = None
        self.cameras: list[str] = []
        self.show(cameras)

    def show(self, cameras: Iterable[str]) -> None:
        """Show these cameras from now on."""
        with self._drawing:
            self.cameras = list(cameras)
            self._mosaic = Mosaic(len(self.cameras), self._width_px)
            self._tiles: dict[str, tuple[FrameResult | None, str, bool]] = {}

    def results(self) -> dict[str, FrameResult | None]:
        """Camera to what its tile shows, or would show if it were drawn now."""
        return {camera: self._latest.get(camera) for camera in self.cameras}

    def jpeg(self, states: Mapping[str, str], blur_faces: bool = True) -> bytes:
        """The wall as it is now; ``states`` tells which cameras are not live, so that none seems to be."""
        with self._drawing:
            for number, camera in enumerate(self.cameras):
                self._draw_tile(number, camera, _title(camera, states.get(camera, "live")), blur_faces)
            return encode_jpeg(self._mosaic.image, quality=75)

    def jpeg_if_new(self, states: Mapping[str, str], blur_faces: bool = True) -> bytes | None:
        """The wall as it is now; None when it would look as it did at the last call."""
        now = self.results(), dict(states), blur_faces
        if now == self._shown:
            return None
        self._shown = now
        return self.jpeg(states, blur_faces)

    def _draw_tile(self, number: int, camera: str, title: str, blur_faces: bool) -> None:
        """A slow camera among fast ones is drawn when it has news, not each time."""
        result = self._latest.get(camera)
        now = (result, title, blur_faces)
        if self._tiles.get(camera) == now:
            return
        self._tiles[camera] = now
        if result is None:
            self._mosaic.put(number, title, None)
        else:
            width_px = self._mosaic.width_that_fits(result.frame.size_wh)
            self._mosaic.put(number, title, self._draw(result, blur_faces, width_px))


def _title(camera: str, state: str) -> str:
    return camera if state == "live" else f"{camera}: {state}"
