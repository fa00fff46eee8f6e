"""A film of what a street camera shows, made on the spot."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def write_street(
    path: Path, seconds: float = 10.0, fps: int = 25, size_wh: tuple[int, int] = (1280, 720)
) -> Path:
    """Write a film of what a street camera shows: a still, textured scene with things that move, and noise.

    It costs a decoder what a camera's picture does: about 4 Mbit/s at 720p, a key frame each second, no
    frame that looks ahead.
    """
    width, height = size_wh
    random = np.random.default_rng(7)
    coarse = random.integers(40, 200, (height // 20 + 1, width // 20 + 1, 3), dtype=np.uint8)
    scene = coarse.repeat(20, axis=0).repeat(20, axis=1)[:height, :width]
    grain = random.integers(0, 6, (height + 64, width, 3), dtype=np.uint8)
    tall, wide = height // 4, width // 16
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 4_000_000 * width * height // (1280 * 720)
        stream.options = {"preset": "veryfast", "tune": "zerolatency", "g": str(fps)}
        for number in range(round(seconds * fps)):
            image = scene + grain[number * 7 % 64 :][:height]
            for thing in range(6):
                left = (number * (3 + thing) + thing * width // 6) % (width - wide)
                top = height // 3 + thing * height // 36
                image[top : top + tall, left : left + wide] = scene[:tall, wide * thing :][::-1, :wide]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path
