"""Films that play cameras: H.264 as it lies in an MP4 file."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

RTP_CLOCK_HZ = 90_000
PAYLOAD_TYPE = 96
_IDR_SLICE = 5


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


def is_key_picture(units: list[bytes]) -> bool:
    """Whether a decoder can begin with this picture: it has a slice of an IDR picture (H.264, table 7-1)."""
    return any(unit[0] & 0x1F == _IDR_SLICE for unit in units)


def _nal_units(packet: bytes) -> Iterator[bytes]:
    """Split what MP4 stores: each unit behind its length in four bytes."""
    at = 0
    while at < len(packet):
        (size,) = struct.unpack_from("!I", packet, at)
        yield packet[at + 4 : at + 4 + size]
        at += 4 + size
