"""A sheet to paint people on, layer over layer, each with soft edges."""

from __future__ import annotations

import cv2
import numpy as np

from toolkit.data.scenes.compose import Cutout
from toolkit.records import BoxXyxy


class Canvas:
    """Transparent at first; what is painted later hides what was painted before.

    Args:
        width: in pixels.
        height: in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self._colours = np.zeros((height, width, 3), np.float32)
        self._cover = np.zeros((height, width), np.float32)

    def lay(self, colours: np.ndarray | tuple[float, ...], cover: np.ndarray) -> None:
        """Lay a colour, or a picture of its own size, over what is there, as far as ``cover`` (0..1) says."""
        columns, rows = _bounds(cover)
        weight = cover[rows, columns, None]
        layer = np.asarray(colours, np.float32)
        if layer.ndim == 3:
            layer = np.broadcast_to(layer, (*cover.shape, 3))[rows, columns]
        for sheet, paint in ((self._colours, layer * weight), (self._cover[..., None], weight)):
            part = sheet[rows, columns]
            part *= 1 - weight
            part += paint

    def ellipse(
        self,
        centre_xy: tuple[float, float],
        radii_xy: tuple[float, float],
        soft_px: float = 1.0,
        angles_deg: tuple[float, float] = (0.0, 360.0),
    ) -> np.ndarray:
        """(H, W), float32, 1 inside an ellipse, or the part of it between two angles, 0 outside."""
        mask = np.zeros_like(self._cover)
        # Sixteenths of a pixel, as OpenCV counts with shift=4.
        centre = (round(centre_xy[0] * 16), round(centre_xy[1] * 16))
        radii = (round(radii_xy[0] * 16), round(radii_xy[1] * 16))
        cv2.ellipse(mask, centre, radii, 0.0, *angles_deg, 1.0, cv2.FILLED, cv2.LINE_8, 4)
        return self._softened(mask, soft_px)

    def polygon(self, points_xy: list[tuple[float, float]], soft_px: float = 1.0) -> np.ndarray:
        """(H, W), float32, 1 inside a polygon, 0 outside."""
        mask = np.zeros_like(self._cover)
        cv2.fillPoly(mask, [np.rint(points_xy).astype(np.int32)], 1.0)
        return self._softened(mask, soft_px)

    def upper(self, height: int) -> Canvas:
        """Its upper part, to paint on as on a canvas of its own: what is painted there is painted here."""
        part = Canvas(self._cover.shape[1], 0)
        part._colours, part._cover = self._colours[:height], self._cover[:height]
        return part

    def cut_out(self, face_xyxy: BoxXyxy) -> Cutout:
        """What was painted, ready to be put into pictures."""
        bgra = np.dstack([self._colours, self._cover * 255.0])
        return Cutout(np.clip(np.rint(bgra), 0, 255).astype(np.uint8), face_xyxy)

    @staticmethod
    def _softened(mask: np.ndarray, soft_px: float) -> np.ndarray:
        return cv2.GaussianBlur(mask, (0, 0), soft_px) if soft_px > 0 else mask


def _bounds(cover: np.ndarray) -> tuple[slice, slice]:
    """Columns and rows outside which nothing is covered."""
    left, top, width, height = cv2.boundingRect((cover > 0).view(np.uint8))
    return slice(left, left + width), slice(top, top + height)
