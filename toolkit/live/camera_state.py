"""What a camera is doing, since when, and why."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum


class CameraState(Enum):
    """What a camera is doing.

    A camera is ``STALLED`` when it is open and silent: nobody moves it there, it is read off the clock.
    """

    NEW = "new"
    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    RETRYING = "retrying"
    ENDED = "ended"
    FAILED = "failed"
    STOPPED = "stopped"


_MOVES = {
    CameraState.NEW: {CameraState.CONNECTING, CameraState.STOPPED},
    CameraState.CONNECTING: {
        CameraState.LIVE,
        CameraState.RETRYING,
        CameraState.FAILED,
        CameraState.STOPPED,
    },
    CameraState.LIVE: {CameraState.RETRYING, CameraState.ENDED, CameraState.FAILED, CameraState.STOPPED},
    CameraState.RETRYING: {CameraState.LIVE, CameraState.RETRYING, CameraState.FAILED, CameraState.STOPPED},
    CameraState.ENDED: set(),
    CameraState.FAILED: set(),
    CameraState.STOPPED: set(),
}


class StateLog:
    """The state of one camera, moved along one table.

    Args:
        camera_id: for messages.
        clock: monotonic seconds.

    Attributes:
        state: the state now.
        reason: why it is in it; "" where the state says it all.
        since: clock seconds at which it came into it.
    """

    def __init__(self, camera_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._camera_id = camera_id
        self._clock = clock
        self.state = CameraState.NEW
        self.reason = ""
        self.since = clock()

    def move(self, to: CameraState, reason: str = "") -> None:
        """Go to another state.

        Raises:
            RuntimeError: there is no way from this state to that one.
        """
        if to not in _MOVES[self.state]:
            raise RuntimeError(
                f"camera {self._camera_id} cannot go from {self.state.value!r} to {to.value!r}"
            )
        if to is not self.state:
            self.since = self._clock()
        self.reason, self.state = reason, to

    @property
    def is_final(self) -> bool:
        """Whether it stays as it is for ever."""
        return not _MOVES[self.state]

    @property
    def seconds(self) -> float:
        """How long it has been in this state."""
        return self._clock() - self.since
