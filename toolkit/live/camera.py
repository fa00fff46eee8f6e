"""One camera: a thread that reads it, keeps its books, and finds it again when it is lost."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from toolkit.addresses import without_password
from toolkit.errors import ConfigError, SourceError, ToolkitError
from toolkit.live.mailbox import Mailbox
from toolkit.live.source import NETWORK_SCHEMES, Source, open_source
from toolkit.records import Frame
from toolkit.stats import FrameLedger, RateMeter

logger = logging.getLogger(__name__)

Address = str | int | Path
OpenSource = Callable[..., Source]


class CameraState(Enum):
    """What a camera is doing."""

    NEW = "new"
    LIVE = "live"
    RETRYING = "retrying"
    ENDED = "ended"
    FAILED = "failed"
    STOPPED = "stopped"


_MOVES = {
    CameraState.NEW: {CameraState.LIVE, CameraState.RETRYING, CameraState.FAILED, CameraState.STOPPED},
    CameraState.LIVE: {CameraState.RETRYING, CameraState.ENDED, CameraState.FAILED, CameraState.STOPPED},
    CameraState.RETRYING: {CameraState.LIVE, CameraState.FAILED, CameraState.STOPPED},
    CameraState.ENDED: set(),
    CameraState.FAILED: set(),
    CameraState.STOPPED: set(),
}


@dataclass(frozen=True)
class CameraConfig:
    """How a camera is read.

    Attributes:
        realtime: play a recording at its own pace, as if it were a camera.
        loop: start a recording over when it ends.
        retry: keep a network or USB camera that cannot be opened at the start, and try again.
        open_timeout_s: longest wait for a connection.
        read_timeout_s: longest wait for the next picture of a live camera.
        retry_first_s: pause before the first attempt to reconnect; doubles with each failure.
        retry_most_s: longest pause between two attempts.
        waiting_frames: frames of a recording that may wait; of a live camera only the newest does.
    """

    realtime: bool = False
    loop: bool = False
    retry: bool = False
    open_timeout_s: float = 5.0
    read_timeout_s: float = 5.0
    retry_first_s: float = 0.5
    retry_most_s: float = 15.0
    waiting_frames: int = 4

    def __post_init__(self) -> None:
        for name in ("open_timeout_s", "read_timeout_s", "retry_first_s", "retry_most_s", "waiting_frames"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be more than 0, got {getattr(self, name)!r}")


class Camera:
    """Reads one source in its own thread into a mailbox.

    A network or USB camera that is lost is looked for with exponential back-off and jitter until it is back
    or the camera is stopped; a recording ends. Every frame read stands in ``ledger``; whoever takes one from
    ``mailbox`` settles it there.

    Args:
        camera_id: the camera's name.
        address: what :func:`open_source` takes.
        config: see :class:`CameraConfig`.
        changed: condition shared with other cameras, so that one thread can wait for all of them.
        opener: stands in for :func:`open_source`.
    """

    def __init__(
        self,
        camera_id: str,
        address: Address,
        config: CameraConfig | None = None,
        changed: threading.Condition | None = None,
        opener: OpenSource = open_source,
    ) -> None:
        self.camera_id = camera_id
        self.address = without_password(str(address))
        self.config = config or CameraConfig()
        self.ledger = FrameLedger()
        self.mailbox: Mailbox[Frame] = Mailbox(
            self.config.waiting_frames, on_drop=self._skip, changed=changed
        )
        self.error: ToolkitError | Exception | None = None
        self.reconnects = 0
        self.latest: Frame | None = None
        self._raw_address = address
        self._opener = opener
        self._state = CameraState.NEW
        self._reading = RateMeter()
        self._next_index = 0
        self._source: Source | None = None
        self._is_stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the source and begin to read.

        Raises:
            SourceError: the source cannot be opened and ``config.retry`` does not allow to wait for it.
        """
        if self._thread is not None:
            return
        try:
            source = self._open()
        except SourceError as error:
            self.error = error
            if not (self.config.retry and is_live_address(self._raw_address)):
                self._move(CameraState.FAILED)
                self.mailbox.close()
                raise
            logger.warning("camera %s is not there yet: %s", self.camera_id, error)
            self._move(CameraState.RETRYING)
            # Until the camera has been seen, only its address tells that its frames go stale.
            self.mailbox.newest_wins = True
        else:
            self._attach(source)
        self._thread = threading.Thread(target=self._run, name=f"camera-{self.camera_id}", daemon=True)
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Begin to stop without waiting; frames nobody took count as skipped."""
        self._is_stopping.set()
        self.mailbox.close(drop_waiting=True)
        with self._lock:
            source = self._source
        if source is not None:
            source.close()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Stop reading; may be called twice, early, or never started.

        Returns:
            False when a stuck driver holds the thread beyond ``timeout_s``.
        """
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                logger.error("camera %s still reads %.1f s after stop", self.camera_id, timeout_s)
                return False
        if _MOVES[self._state]:
            self._move(CameraState.STOPPED)
        return True

    @property
    def state(self) -> CameraState:
        """What the camera is doing now."""
        return self._state

    @property
    def is_alive(self) -> bool:
        """Whether the reading thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def get_statistics(self) -> dict[str, Any]:
        """State, books and rate as plain values."""
        counts = self.ledger.counts()
        source = self._source
        return {
            "address": self.address,
            "state": self._state.value,
            "error": None if self.error is None else str(self.error),
            "read": counts.read,
            "analysed": counts.analysed,
            "skipped": counts.skipped,
            "failed": counts.failed,
            "in_flight": counts.in_flight,
            "read_per_s": round(self._reading.per_s, 2),
            "reconnects": self.reconnects,
            "size_wh": source.size_wh if source is not None else None,
        }

    def _run(self) -> None:
        try:
            while not self._is_stopping.is_set():
                source = self._source or self._reconnect()
                if source is None or not self._read_to_the_end(source):
                    break
        except Exception as error:
            # The outermost loop of the thread: whatever a driver raises is kept, not lost.
            logger.exception("camera %s failed", self.camera_id)
            self.error = error
            self._move(CameraState.FAILED)
        finally:
            self._detach()
            if self._is_stopping.is_set() and _MOVES[self._state]:
                self._move(CameraState.STOPPED)
            self.mailbox.close()

    def _read_to_the_end(self, source: Source) -> bool:
        """Read until the source has no more; True when it is worth looking for it again."""
        lost: SourceError | None = None
        try:
            while not self._is_stopping.is_set() and (frame := source.read()) is not None:
                self._deliver(frame)
        except SourceError as error:
            lost = error
        self._detach()
        if self._is_stopping.is_set():
            return False
        if is_live_address(self._raw_address):
            self.error = lost or SourceError(f"{self.address} closed the stream")
            logger.warning("camera %s is lost, will look for it again: %s", self.camera_id, self.error)
            self._move(CameraState.RETRYING)
            return True
        self.error = lost
        if lost is not None:
            logger.error("camera %s failed: %s", self.camera_id, lost)
        self._move(CameraState.ENDED if lost is None else CameraState.FAILED)
        return False

    def _deliver(self, frame: Frame) -> None:
        # A source counts from 0 each time it is opened; the camera's own count goes on.
        if frame.index != self._next_index:
            frame = replace(frame, index=self._next_index)
        self._next_index += 1
        self.ledger.read(frame.index)
        self._reading.tick()
        self.latest = frame
        self.mailbox.put(frame)

    def _reconnect(self) -> Source | None:
        """Look for the camera until it is there; None when it was stopped before that."""
        pause_s = self.config.retry_first_s
        # Jitter, or all cameras of a switch that restarts come back in the same instant.
        while not self._is_stopping.wait(pause_s * random.uniform(0.75, 1.25)):
            try:
                source = self._open()
            except SourceError as error:
                self.error = error
                logger.info("camera %s is still away: %s", self.camera_id, error)
                pause_s = min(pause_s * 2, self.config.retry_most_s)
            else:
                self.reconnects += 1
                self.error = None
                self._attach(source)
                return source
        return None

    def _open(self) -> Source:
        return self._opener(
            self._raw_address,
            camera=self.camera_id,
            realtime=self.config.realtime,
            loop=self.config.loop,
            open_timeout_s=self.config.open_timeout_s,
            read_timeout_s=self.config.read_timeout_s,
        )

    def _attach(self, source: Source) -> None:
        with self._lock:
            self._source = source
        self.mailbox.newest_wins = source.is_live
        self._move(CameraState.LIVE)
        logger.info("camera %s reads %s", self.camera_id, self.address)
        if self._is_stopping.is_set():
            source.close()

    def _detach(self) -> None:
        with self._lock:
            source, self._source = self._source, None
        if source is not None:
            source.close()

    def _skip(self, frame: Frame) -> None:
        self.ledger.settle(frame.index, "skipped")

    def _move(self, to: CameraState) -> None:
        if to not in _MOVES[self._state]:
            raise RuntimeError(
                f"camera {self.camera_id} cannot go from {self._state.value!r} to {to.value!r}"
            )
        self._state = to


def check_recordings(addresses: Iterable[Address]) -> None:
    """Open and close every file and folder among the addresses; cameras are left alone.

    Raises:
        SourceError: one cannot be opened.
    """
    for address in addresses:
        if not is_live_address(address):
            open_source(address).close()


def is_live_address(address: Address) -> bool:
    """Whether the address names a camera that may be away now and back later: on the network, or USB."""
    text = str(address)
    scheme, is_url, _ = text.partition("://")
    return scheme.lower() in NETWORK_SCHEMES if is_url else text.isdigit() or text.startswith("/dev/video")
