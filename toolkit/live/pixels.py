"""A decoded picture, as it was filmed and in the sizes and parts that somebody wants to see."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cache

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from toolkit.crops import square_regions
from toolkit.records import BoxXyxy, Crop, Frame, Pixels, Region

# What kr and kb are in each of FFmpeg's AVColorSpace numbers; a film that names none is taken to be BT.601,
# as swscale takes it.
_BT601 = (0.299, 0.114)
_LUMA_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
_FULL_RANGE = 2

# What can be looked at in parts, and the same with colour at every pixel.
_PLANAR = {"yuv420p": "yuv444p", "yuvj420p": "yuvj444p"}


class ArrayPixels:
    """A picture that is there already: (H, W, 3), uint8, BGR."""

    def __init__(self, image: np.ndarray) -> None:
        self._image = image
        self.size_wh = (image.shape[1], image.shape[0])

    def image(self) -> np.ndarray:
        """See :class:`Pixels`."""
        return self._image

    def shrunk(self, size_wh: tuple[int, int]) -> np.ndarray:
        """See :class:`Pixels`."""
        return _resized(self._image, size_wh)

    def region(self, box_xyxy: Region) -> np.ndarray:
        """See :class:`Pixels`; a view, not a copy."""
        left, top, right, bottom = box_xyxy
        return self._image[top:bottom, left:right]


class Converter:
    """FFmpeg's swscale; any thread may ask.

    It keeps its tables as long as it makes the same of the same: one for all frames of a film, and for each
    thing that is made of them.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._converting = threading.Lock()

    def __call__(
        self, frame: av.VideoFrame, pixel_format: str, size_wh: tuple[int, int] | None = None
    ) -> av.VideoFrame:
        """The frame in another format and size; where it shrinks, each pixel is the mean of an area."""
        width, height = size_wh or (frame.width, frame.height)
        with self._converting:
            # One thread: by default swscale starts as many for each picture as there are cores.
            return self._reformatter.reformat(
                frame, width, height, pixel_format, interpolation="AREA", threads=1
            )


class YuvPixels:
    """A picture as the decoder left it, 1.5 bytes a pixel; only what is looked at is converted.

    Of a 1080p frame a detector wants 640 pixels across and the model a face or two: making those costs a
    quarter of converting the whole. The planes are the decoder's own memory, not a copy; they are held as
    long as this is. Any thread may ask.

    Args:
        frame: 4:2:0, 8 bits, the way up it was filmed (:func:`is_planar`).
        to_bgr: makes the whole picture of it; called at most once.
        shrink: shared by the frames of a film.

    Source: the matrices of ITU-R BT.601, BT.709 and BT.2020; chroma is repeated, not interpolated, as
        swscale does it.
    """

    def __init__(
        self,
        frame: av.VideoFrame,
        to_bgr: Callable[[av.VideoFrame], np.ndarray],
        shrink: Converter | None = None,
    ) -> None:
        self.size_wh = (frame.width, frame.height)
        self._frame = frame
        self._to_bgr = to_bgr
        self._shrink = shrink or Converter()
        self._image: np.ndarray | None = None
        self._small: np.ndarray | None = None
        self._making = threading.Lock()
        is_full = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
        self._matrix = _yuv_to_bgr(int(frame.colorspace), is_full)

    def image(self) -> np.ndarray:
        """See :class:`Pixels`."""
        with self._making:
            if self._image is None:
                self._image = self._to_bgr(self._frame)
            return self._image

    def shrunk(self, size_wh: tuple[int, int]) -> np.ndarray:
        """See :class:`Pixels`; the last one is kept, and smaller ones are made of it."""
        small = self._small
        if small is not None and small.shape[1] > size_wh[0] and small.shape[0] > size_wh[1]:
            return _resized(small, size_wh)
        if small is None or small.shape[1::-1] != size_wh:
            scaled = self._shrink(self._frame, _PLANAR[self._frame.format.name], size_wh)
            self._small = small = self._mixed(*_planes(scaled, (size_wh,) * 3))
        return small

    def region(self, box_xyxy: Region) -> np.ndarray:
        """See :class:`Pixels`; within a grey level or two of the same part of :meth:`image`."""
        left, top, right, bottom = box_xyxy
        rows, columns = slice(top // 2, (bottom + 1) // 2), slice(left // 2, (right + 1) // 2)
        size_wh = (2 * (columns.stop - columns.start), 2 * (rows.stop - rows.start))
        inside = slice(top % 2, top % 2 + bottom - top), slice(left % 2, left % 2 + right - left)
        width, height = self.size_wh
        half = ((width + 1) // 2, (height + 1) // 2)
        luma, *chroma = _planes(self._frame, (self.size_wh, half, half))
        blue, red = (
            cv2.resize(plane[rows, columns], size_wh, interpolation=cv2.INTER_NEAREST)[inside]
            for plane in chroma
        )
        return self._mixed(luma[top:bottom, left:right], blue, red)

    def _mixed(self, luma: np.ndarray, blue: np.ndarray, red: np.ndarray) -> np.ndarray:
        return cv2.transform(cv2.merge((luma, blue, red)), self._matrix)


def is_planar(frame: av.VideoFrame) -> bool:
    """Whether :class:`YuvPixels` can take this frame; others are converted as a whole."""
    return frame.format.name in _PLANAR and frame.rotation == 0


def pixels_of(frame: Frame) -> Pixels:
    """The frame's pixels, whichever way it came by them."""
    return ArrayPixels(frame.pixels) if isinstance(frame.pixels, np.ndarray) else frame.pixels


def look_at(pixels: Pixels, longest_side_px: int | None) -> tuple[np.ndarray, float]:
    """The picture with its longest side at most ``longest_side_px``, and the scale that was applied.

    Returns:
        (H, W, 3), uint8, BGR, and a factor of at most 1; the picture itself where it is small enough, or the
        side is None.
    """
    width, height = pixels.size_wh
    if longest_side_px is None or max(width, height) <= longest_side_px:
        return pixels.image(), 1.0
    scale = longest_side_px / max(width, height)
    return pixels.shrunk((max(1, round(width * scale)), max(1, round(height * scale)))), scale


def cut_faces(frame: Frame, boxes_xyxy: np.ndarray, margin: float) -> list[Crop]:
    """As :func:`toolkit.crops.cut_crops`, without converting more of the frame than the faces."""
    pixels = pixels_of(frame)
    regions = square_regions(pixels.size_wh, boxes_xyxy, margin)
    return [Crop(index, region, pixels.region(region)) for index, region in regions]


def cut_bodies(frame: Frame, boxes_xyxy: Sequence[BoxXyxy]) -> list[Crop]:
    """Each box as it is, clipped to the frame: models of whole figures learn from tight boxes."""
    pixels = pixels_of(frame)
    width, height = pixels.size_wh
    crops = []
    for index, (left, top, right, bottom) in enumerate(boxes_xyxy):
        region = max(0, round(left)), max(0, round(top)), min(width, round(right)), min(height, round(bottom))
        if region[2] > region[0] and region[3] > region[1]:
            crops.append(Crop(index, region, pixels.region(region)))
    return crops


def _planes(frame: av.VideoFrame, sizes_wh: Sequence[tuple[int, int]]) -> tuple[np.ndarray, ...]:
    """Views of the frame's own memory, without what pads its lines."""
    return tuple(
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:rows, :columns]  # type: ignore[call-overload]
        for plane, (columns, rows) in zip(frame.planes, sizes_wh, strict=True)
    )


def _resized(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Halved while it can be, then drawn to size: little aliasing, at a fraction of INTER_AREA's cost."""
    width, height = size_wh
    while image.shape[1] >= 2 * width and image.shape[0] >= 2 * height:
        # Exactly halfway between pixels, linear interpolation is the mean of four.
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2))
    return image if image.shape[1::-1] == size_wh else cv2.resize(image, size_wh)


@cache
def _yuv_to_bgr(colour_space: int, is_full_range: bool) -> np.ndarray:
    """(3, 4): what takes (luma, blue difference, red difference, 1) to (blue, green, red)."""
    red, blue = _LUMA_WEIGHTS.get(colour_space, _BT601)
    green = 1.0 - red - blue
    luma_gain, chroma_gain, black = (1.0, 1.0, 0.0) if is_full_range else (255 / 219, 255 / 224, 16.0)
    gains = np.array(
        [
            [luma_gain, 2 * (1 - blue) * chroma_gain, 0.0],
            [
                luma_gain,
                -2 * blue * (1 - blue) / green * chroma_gain,
                -2 * red * (1 - red) / green * chroma_gain,
            ],
            [luma_gain, 0.0, 2 * (1 - red) * chroma_gain],
        ]
    )
    return np.hstack([gains, gains @ [[-black], [-128.0], [-128.0]]]).astype(np.float32)
