"""The wall: the newest picture of every camera, as one JPEG."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from toolkit.live.listeners import LatestResults
from toolkit.live.picture import annotate, encode_jpeg, mosaic
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
            self._tile_px = self._width_px // max(1, math.ceil(math.sqrt(len(self.cameras))))
            self._tiles: dict[str, tuple[FrameResult, bool, np.ndarray]] = {}

    def results(self) -> dict[str, FrameResult | None]:
        """Camera to what its tile shows, or would show if it were drawn now."""
        return {camera: self._latest.get(camera) for camera in self.cameras}

    def jpeg(self, states: Mapping[str, str], blur_faces: bool = True) -> bytes:
        """The wall as it is now; ``states`` tells which cameras are not live, so that none seems to be."""
        with self._drawing:
            tiles = [
                (_title(camera, states.get(camera, "live")), self._tile(camera, blur_faces))
                for camera in self.cameras
            ]
            return encode_jpeg(mosaic(tiles, self._width_px), quality=75)

    def jpeg_if_new(self, states: Mapping[str, str], blur_faces: bool = True) -> bytes | None:
        """The wall as it is now; None when it would look as it did at the last call."""
        now = self.results(), dict(states), blur_faces
        if now == self._shown:
            return None
        self._shown = now
        return self.jpeg(states, blur_faces)

    def _tile(self, camera: str, blur_faces: bool) -> np.ndarray | None:
        """A slow camera among fast ones is drawn when it has news, not each time."""
        result = self._latest.get(camera)
        if result is None:
            return None
        kept = self._tiles.get(camera)
        if kept is None or kept[0] is not result or kept[1] != blur_faces:
            kept = self._tiles[camera] = (result, blur_faces, self._draw(result, blur_faces, self._tile_px))
        return kept[2]


def _title(camera: str, state: str) -> str:
    return camera if state == "live" else f"{camera}: {state}"
