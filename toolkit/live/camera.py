"""One camera: a thread that reads it, keeps its books, and finds it again when it is lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from toolkit.addresses import without_password
from toolkit.errors import AccessRefused, SourceError, text_of
from toolkit.live.backoff import Backoff
from toolkit.live.camera_config import CameraConfig
from toolkit.live.camera_state import CameraState, StateLog
from toolkit.live.intake import Intake, Way
from toolkit.live.mailbox import MailRoom
from toolkit.live.reading import SourceHealth
from toolkit.live.source import Address, Source, is_live_address, open_source
from toolkit.live.turns import Turns
from toolkit.records import Frame
from toolkit.stats import StageTimes

logger = logging.getLogger(__name__)

OpenSource = Callable[..., Source]


class Camera:
    """Opens and reads one source in its own thread into a mailbox.

    A network or USB camera that is lost is looked for with exponential back-off and jitter until it is back
    or the camera is stopped; a recording ends. Every frame read stands in ``ledger``; whoever takes one from
    ``mailbox`` settles it there.

    Args:
        camera_id: the camera's name.
        address: what :func:`open_source` takes.
        config: see :class:`CameraConfig`.
        room: where its mailbox hangs beside those of other cameras, so that one thread can wait for all.
        opener: stands in for :func:`open_source`.
        stages: where the CPU time of each picture that is read counts, as "decode".
        turns: shared by the cameras of a street, see :class:`Intake`.
    """

    def __init__(
        self,
        camera_id: str,
        address: Address,
        config: CameraConfig | None = None,
        room: MailRoom[Frame] | None = None,
        opener: OpenSource = open_source,
        stages: StageTimes | None = None,
        turns: Turns | None = None,
    ) -> None:
        self.camera_id = camera_id
        self.address = without_password(str(address))
        self.config = config or CameraConfig()
        self._intake = Intake(
            self.config.waiting_frames,
            room,
            stages or StageTimes(),
            turns or Turns(1),
            on_drop=self._skip,
        )
        self.ledger = self._intake.ledger
        self.mailbox = self._intake.mailbox
        self.error: Exception | None = None
        self.reconnects = 0
        self._raw_address = address
        # A camera that is away may be back later; a file is there or not.
        self._may_come_back = is_live_address(address)
        self._opener = opener
        self._states = StateLog(camera_id)
        self._backoff = Backoff(self.config.retry_first_s, self.config.retry_most_s)
        self._source: Source | None = None
        self._corrupt_before = 0
        self._is_stopping = threading.Event()
        self._is_decided = threading.Event()
        self._opening_error: Exception | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def go(self, way: Way) -> None:
        """Before it begins: if this is a recording, its frames go this way, and not into the mailbox."""
        self._intake.go(way)

    def start(self) -> None:
        """Open the source and begin to read; one that may be waited for is opened in the background.

        Raises:
            SourceError: the source cannot be opened and ``config.retry`` does not allow to wait for it.
        """
        self.begin()
        self.wait_until_opened()

    def begin(self) -> None:
        """Begin to open the source, and do not wait for it; so that many can be opened at once."""
        # Who stops it in this very moment waits until there is a thread to join.
        with self._lock:
            if self._thread is not None:
                return
            self._states.move(CameraState.CONNECTING)
            # Until it has been seen, only its address tells that its frames go stale.
            self.mailbox.newest_wins = self._may_come_back
            self._thread = threading.Thread(target=self._run, name=f"camera-{self.camera_id}", daemon=True)
            self._thread.start()

    def wait_until_opened(self) -> None:
        """Wait until the source is open; not for one that may be waited for, nor for one that is stopped.

        Raises:
            SourceError: it cannot be opened.
        """
        if self.config.retry and self._may_come_back:
            return
        self._is_decided.wait()
        if self._opening_error is not None:
            raise self._opening_error

    def ask_to_stop(self) -> None:
        """Begin to stop without waiting; frames nobody took count as skipped."""
        self._is_stopping.set()
        self.mailbox.close(drop_waiting=True)
        with self._lock:
            source = self._source
        if source is not None:
            source.close()

    def wait_until_ended(self, timeout_s: float) -> None:
        """Wait for the end of the reading thread, if it was started; it is not asked to end."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Stop reading; may be called twice, early, or never started.

        Returns:
            False when a stuck driver holds the thread beyond ``timeout_s``.
        """
        self.ask_to_stop()
        with self._lock:
            thread = self._thread
            if thread is None and not self._states.is_final:
                self._states.move(CameraState.STOPPED)
        if thread is not None:
            thread.join(timeout_s)
            if thread.is_alive():
                logger.error("camera %s still reads %.1f s after stop", self.camera_id, timeout_s)
                return False
        return True

    @property
    def state(self) -> CameraState:
        """What the camera is doing now."""
        state = self._states.state
        is_stalled = state is CameraState.LIVE and self._silent_s() > self.config.stall_after_s
        return CameraState.STALLED if is_stalled else state

    @property
    def reason(self) -> str:
        """Why the camera is in its state, in words; "" where there is no more to say."""
        if self.state is CameraState.STALLED:
            return f"no picture for {self._silent_s():.1f} s"
        return self._states.reason

    @property
    def is_alive(self) -> bool:
        """Whether the reading thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def get_statistics(self) -> dict[str, Any]:
        """State, books, rate and health as plain values.

        ``behind_ms`` is by how much the newest picture came later than the quickest one did, by the source's
        own clock, and ``clock_drift_ppm`` how much faster than ours that clock runs.
        """
        counts = self.ledger.counts()
        source, health = self._source, self._health()
        return {
            "address": self.address,
            "state": self.state.value,
            "reason": self.reason,
            "state_s": round(self._states.seconds, 1),
            "error": None if self.error is None else text_of(self.error),
            "read": counts.read,
            "analysed": counts.analysed,
            "skipped": counts.skipped,
            "failed": counts.failed,
            "in_flight": counts.in_flight,
            "read_per_s": round(self._intake.per_s, 2),
            "reconnects": self.reconnects,
            "longest_gap_s": round(self._intake.longest_gap_s, 3),
            "corrupt_packets": self._corrupt_before + health.corrupt_packets,
            "behind_ms": round(health.behind_s * 1000, 1),
            "clock_drift_ppm": None if health.clock_drift_ppm is None else round(health.clock_drift_ppm, 1),
            "size_wh": source.size_wh if source is not None else None,
        }

    def _run(self) -> None:
        try:
            is_open = self._first_opening()
            while is_open and self._read_to_the_end():
                is_open = self._reconnect()
        except Exception as error:
            # The outermost loop of the thread: whatever a driver raises is kept, not lost.
            logger.exception("camera %s failed", self.camera_id)
            self._fail(error)
        finally:
            self._detach()
            if self._is_stopping.is_set() and not self._states.is_final:
                self._states.move(CameraState.STOPPED)
            self.mailbox.close()
            self._is_decided.set()

    def _first_opening(self) -> bool:
        """Open the source; False when it cannot be and is not waited for, or the camera was stopped."""
        try:
            self._attach(self._open())
            return True
        except SourceError as error:
            if not (self.config.retry and self._may_come_back):
                self._fail(error)
                return False
            logger.warning("camera %s is not there yet: %s", self.camera_id, error)
            self._lose(error)
        return self._reconnect()

    def _read_to_the_end(self) -> bool:
        """Read until the source has no more; True when it is worth looking for it again."""
        lost: SourceError | None = None
        try:
            while not self._is_stopping.is_set() and self._read_some():
                pass
        except SourceError as error:
            lost = error
        self._detach()
        if self._is_stopping.is_set():
            return False
        if self._may_come_back:
            self._backoff.was_live(self._states.seconds)
            self._lose(lost or SourceError(f"{self.address} closed the stream"))
            logger.warning("camera %s is lost, will look for it again: %s", self.camera_id, self.error)
            return True
        if lost is not None:
            logger.error("camera %s failed: %s", self.camera_id, lost)
            self._fail(lost)
        else:
            self._states.move(CameraState.ENDED, "the recording is over")
        return False

    def _read_some(self) -> bool:
        # No longer-lived name than this one holds the source, so that a lost one is freed while it is away.
        source = self._source
        return source is not None and self._intake.read_some(source)

    def _reconnect(self) -> bool:
        """Look for the camera until it is there; False when it was stopped before that."""
        while not self._is_stopping.wait(self._backoff.next_pause_s()):
            try:
                source = self._open()
            except SourceError as error:
                logger.info("camera %s is still away: %s", self.camera_id, error)
                self._lose(error)
            else:
                self.reconnects += 1
                self.error = None
                self._attach(source)
                return True
        return False

    def _open(self) -> Source:
        return self._opener(
            self._raw_address,
            camera=self.camera_id,
            realtime=self.config.realtime,
            loop=self.config.loop,
            open_timeout_s=self.config.open_timeout_s,
            read_timeout_s=self.config.read_timeout_s,
            transport=self.config.transport,
        )

    def _attach(self, source: Source) -> None:
        with self._lock:
            self._source = source
        self._intake.begin(source)
        self._states.move(CameraState.LIVE)
        self._is_decided.set()
        logger.info("camera %s reads %s", self.camera_id, self.address)
        if self._is_stopping.is_set():
            source.close()

    def _detach(self) -> None:
        with self._lock:
            source, self._source = self._source, None
        if source is not None:
            self._intake.end(source)
            self._corrupt_before += source.health().corrupt_packets
            source.close()

    def _lose(self, error: SourceError) -> None:
        self.error = _without_frames(error)
        if isinstance(error, AccessRefused):
            self._backoff.refused()
        self._states.move(CameraState.RETRYING, str(error))

    def _fail(self, error: Exception) -> None:
        self.error = error
        if not self._is_decided.is_set():
            self._opening_error = error
        self._states.move(CameraState.FAILED, text_of(error) or repr(error))

    def _skip(self, frame: Frame) -> None:
        self.ledger.settle(frame.index, "skipped", "stopped" if self._is_stopping.is_set() else "replaced")

    def _silent_s(self) -> float:
        """How long nothing has come from an open camera; 0 for a recording, which may be waiting itself."""
        if not self._may_come_back:
            return 0.0
        last, since = self._intake.last_read_at, self._states.since
        return time.monotonic() - (since if last is None else max(last, since))

    def _health(self) -> SourceHealth:
        source = self._source
        return SourceHealth() if source is None else source.health()


def _without_frames(error: SourceError) -> SourceError:
    """The error and what caused it, without the call stacks.

    These hold the lost source with its decoder, and themselves: it would stay until Python's collector of
    such circles comes by, which is seldom.
    """
    link: BaseException | None = error
    while link is not None:
        link.with_traceback(None)
        link = link.__cause__ or link.__context__
    return error
