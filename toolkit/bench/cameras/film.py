"""Films that play cameras: H.264 as it lies in an MP4 file, made here or given by the user."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RTP_CLOCK_HZ = 90_000
PAYLOAD_TYPE = 96


@dataclass(frozen=True)
class Film:
    """The H.264 of a video file: ``(seconds, NAL units)`` per picture, and the sets a decoder needs first."""

    pictures: list[tuple[float, list[bytes]]]
    sps: bytes
    pps: bytes
    duration_s: float

    @classmethod
    def load(cls, path: Path) -> Film:
        """Read an MP4 file whose pictures are stored in the order they are shown."""
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            header = stream.codec_context.extradata or b""
            packets = [packet for packet in container.demux(stream) if packet.size]
            base = stream.time_base or Fraction(1)
            pictures = [(float((p.pts or 0) * base), list(_nal_units(bytes(p)))) for p in packets]
            duration_s = float((stream.duration or 0) * base)
        # ISO 14496-15, section 5.3.3: six bytes, then the two parameter sets behind their lengths.
        (sps_size,) = struct.unpack_from("!H", header, 6)
        (pps_size,) = struct.unpack_from("!H", header, 9 + sps_size)
        return cls(pictures, header[8 : 8 + sps_size], header[11 + sps_size :][:pps_size], duration_s)

    def description(self) -> str:
        """What a server says of the film (SDP)."""
        sets = ",".join(base64.b64encode(unit).decode() for unit in (self.sps, self.pps))
        lines = [
            "v=0",
            "o=- 0 0 IN IP4 127.0.0.1",
            "s=camera",
            "c=IN IP4 0.0.0.0",
            "t=0 0",
            f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
            f"a=rtpmap:{PAYLOAD_TYPE} H264/{RTP_CLOCK_HZ}",
            f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;sprop-parameter-sets={sets}",
            "a=control:video",
        ]
        return "\r\n".join([*lines, ""])


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


def _nal_units(packet: bytes) -> Iterator[bytes]:
    """Split what MP4 stores: each unit behind its length in four bytes."""
    at = 0
    while at < len(packet):
        (size,) = struct.unpack_from("!I", packet, at)
        yield packet[at + 4 : at + 4 + size]
        at += 4 + size
