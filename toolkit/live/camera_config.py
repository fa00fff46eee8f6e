"""How a camera is read: pace, patience, and what becomes of it when it is lost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral

from toolkit.errors import ConfigError
from toolkit.live.network import Transport


@dataclass(frozen=True)
class CameraConfig:
    """How a camera is read.

    Attributes:
        realtime: play a recording at its own pace, as if it were a camera.
        loop: start a recording over when it ends.
        retry: keep a network or USB camera that cannot be opened at the start, and try again.
        open_timeout_s: longest wait for a connection.
        read_timeout_s: longest wait for the next picture of a live camera; then it is looked for anew.
        stall_after_s: a live camera that is silent for so long is told to be stalled.
        retry_first_s: pause before the first attempt to reconnect; doubles with each failure.
        retry_most_s: longest pause between two attempts.
        waiting_frames: frames of a recording that may wait; of a live camera only the newest does.
        transport: how RTSP cameras send: "tcp", or "udp" for those that know nothing else.
    """

    realtime: bool = False
    loop: bool = False
    retry: bool = False
    open_timeout_s: float = 5.0
    read_timeout_s: float = 5.0
    stall_after_s: float = 2.0
    retry_first_s: float = 0.5
    retry_most_s: float = 15.0
    waiting_frames: int = 4
    transport: Transport = "tcp"

    def __post_init__(self) -> None:
        # Neither a socket nor a lock can be told to wait for ever.
        for name in ("open_timeout_s", "read_timeout_s", "retry_first_s", "retry_most_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be more than 0 and finite, got {getattr(self, name)!r}")
        if not self.stall_after_s > 0:
            raise ConfigError(f"stall_after_s must be more than 0, got {self.stall_after_s!r}")
        if not (isinstance(self.waiting_frames, Integral) and self.waiting_frames > 0):
            raise ConfigError(f"waiting_frames must be a whole number above 0, got {self.waiting_frames!r}")
        if self.transport not in ("tcp", "udp"):
            raise ConfigError(f"transport must be 'tcp' or 'udp', got {self.transport!r}")
