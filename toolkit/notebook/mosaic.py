"""Pictures side by side in one that is kept: what has not changed is not drawn again."""

from __future__ import annotations

import math

import cv2
import numpy as np

from toolkit.live.picture import write

_DARK, _WHITE = 32, (255, 255, 255)


class Mosaic:
    """A near-square grid of 16:9 tiles.

    Args:
        tiles: how many.
        width_px: of the whole.

    Attributes:
        image: (H, W, 3), uint8, BGR; changed in place.
    """

    def __init__(self, tiles: int, width_px: int) -> None:
        self._columns = max(1, math.ceil(math.sqrt(tiles)))
        rows = max(1, math.ceil(tiles / self._columns))
        self._width_px = width_px // self._columns
        self._height_px = self._width_px * 9 // 16
        size = (rows * self._height_px, self._columns * self._width_px, 3)
        self.image = np.full(size, _DARK, dtype=np.uint8)

    def put(self, number: int, title: str, picture: np.ndarray | None) -> None:
        """Fill a tile: a picture (H, W, 3) uint8 BGR as large as fits, and its title; None leaves it dark."""
        top, left = number // self._columns * self._height_px, number % self._columns * self._width_px
        tile = self.image[top : top + self._height_px, left : left + self._width_px]
        fits = picture is not None and picture.shape == tile.shape
        if not fits:
            tile[:] = _DARK
        if picture is not None:
            _fit_into(tile, picture)
        write(tile, title, (6, 18), _WHITE)

    def width_that_fits(self, size_wh: tuple[int, int]) -> int:
        """How wide a picture of that size is in a tile, in pixels: made so, it need not be scaled again."""
        width, height = size_wh
        return max(1, min(self._width_px, self._height_px * width // height))


def _fit_into(tile: np.ndarray, picture: np.ndarray) -> None:
    """Put the picture into the middle of the tile, as large as fits."""
    (tile_h, tile_w), (height, width) = tile.shape[:2], picture.shape[:2]
    scale = min(tile_w / width, tile_h / height)
    if scale < 1 or (width < tile_w and height < tile_h):
        width, height = max(1, int(width * scale)), max(1, int(height * scale))
        smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        picture = cv2.resize(picture, (width, height), interpolation=smooth)
    left, top = (tile_w - width) // 2, (tile_h - height) // 2
    tile[top : top + height, left : left + width] = picture
