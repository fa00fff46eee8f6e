"""Videos for tests in which every picture says which one it is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_BITS = 8


def numbered_picture(number: int, size_wh: tuple[int, int] = (640, 360)) -> np.ndarray:
    """A grey picture (H, W, 3), uint8, BGR, ``number`` (0..255) in black and white blocks along the top."""
    width, height = size_wh
    image = np.full((height, width, 3), 90, dtype=np.uint8)
    image[height // 2 :, number * 7 % width :] = (40, 160, 200)
    for bit in range(_BITS):
        block = slice(bit * width // _BITS, (bit + 1) * width // _BITS)
        image[: height // 4, block] = 255 if number >> bit & 1 else 0
    return image


def number_in(image: np.ndarray) -> int:
    """The number that :func:`numbered_picture` wrote, read back from a picture that was compressed."""
    height, width = image.shape[:2]
    centres = [(2 * bit + 1) * width // (2 * _BITS) for bit in range(_BITS)]
    return sum(int(image[height // 8, x].mean() > 127) << bit for bit, x in enumerate(centres))


def write_clip(path: Path, frames: int = 30, fps: int = 15, size_wh: tuple[int, int] = (640, 360)) -> Path:
    """Write numbered pictures as H.264 in MP4, a key frame every half second and none that looks ahead."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, fps)
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(fps // 2)}
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number, size_wh), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
