"""What a source delivers, booked and left where the next stage finds it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from toolkit.live.mailbox import Mailbox, MailRoom
from toolkit.live.source import Source
from toolkit.live.turns import Turns
from toolkit.records import Frame
from toolkit.stats import FrameLedger, RateMeter, StageTimes

_TURN_S = 0.12
"""So long is a turn, and always a whole frame: the cache is warm again after a part of the first one, and
whoever is next may have to wait for a core. Twice as long would do a little more, but of sixteen recordings
on two cores each would show nothing for two seconds at a time."""


class Way(Protocol):
    """Where the frames of a recording go: a mailbox, or straight to where they are looked at."""

    @property
    def has_room(self) -> bool:
        """Whether the next one may come."""

    def wait_for_room(self) -> None:
        """Wait until it may, or nobody takes any more."""

    def put(self, frame: Frame) -> None:
        """Let one come."""


class Intake:
    """Takes in the frames of one camera, from one source after the other.

    Every frame read stands in ``ledger``; whoever takes one from ``mailbox`` settles it there.

    Recordings are read in turns: each of many that are decoded at the same time would find its last picture
    gone from the core's cache whenever its thread goes on, and the threads would wait for each other in the
    interpreter ("Live" in ``docs/performance.md``). A live camera's turn would come too late; it has none.

    Args:
        waiting_frames: frames of a recording that may wait in the mailbox.
        room: where the mailbox hangs beside those of other cameras.
        stages: where the CPU time of each picture that is read counts, as "decode".
        turns: shared with other cameras.
        on_drop: told of every frame that nobody will take.

    Attributes:
        last_read_at: ``time.monotonic()`` seconds of the newest frame; None before the first.
        longest_gap_s: the longest time between two frames.
    """

    def __init__(
        self,
        waiting_frames: int,
        room: MailRoom[Frame] | None,
        stages: StageTimes,
        turns: Turns,
        on_drop: Callable[[Frame], None],
    ) -> None:
        self.ledger = FrameLedger()
        self.mailbox: Mailbox[Frame] = Mailbox(waiting_frames, on_drop=on_drop, room=room)
        self.last_read_at: float | None = None
        self.longest_gap_s = 0.0
        self._way: Way = self.mailbox
        self._stages = stages
        self._turns = turns
        self._rate = RateMeter()
        self._next_index = 0
        self._stale_booked = 0

    @property
    def per_s(self) -> float:
        """Frames a second of late."""
        return self._rate.per_s

    def go(self, way: Way) -> None:
        """From now on, the frames of a recording go this way, and not into the mailbox."""
        self._way = way

    def begin(self, source: Source) -> None:
        """From now on, frames come from this source."""
        self._stale_booked = 0
        self.mailbox.newest_wins = source.is_live

    def read_some(self, source: Source) -> bool:
        """Read the next frame, of a recording those of its turn; False when there are no more.

        Raises:
            SourceError: the source fell silent, or cannot be read on.
        """
        if source.is_live:
            return self._read_one(source)
        self._way.wait_for_room()
        with self._turns:
            return self._read_a_turn(source)

    def end(self, source: Source) -> None:
        """No more frames come from this source."""
        self._book_stale(source)

    def _read_a_turn(self, source: Source) -> bool:
        # Asking for CPU time calls the system, at whose end a thread may lose its core while it holds the
        # interpreter. So it is asked for once a turn, and shared out by the clock.
        began_at, cpu_began_s = time.monotonic(), time.thread_time()
        over_at = began_at + _TURN_S
        times_s: list[float] = []
        try:
            while self._way.has_room and (read_at := time.monotonic()) < over_at:
                frame = source.read()
                times_s.append(time.monotonic() - read_at)
                # Of what is read as fast as it goes nothing grows stale.
                if frame is None:
                    return False
                self._deliver(frame)
            return True
        finally:
            if times_s:
                busy = (time.thread_time() - cpu_began_s) / (time.monotonic() - began_at)
                self._stages.add_many("decode", [seconds * busy for seconds in times_s])

    def _read_one(self, source: Source) -> bool:
        # Waiting for the network or for a recording's pace is no work: the time of this thread's core counts.
        began_s = time.thread_time()
        frame = source.read()
        self._stages.add("decode", time.thread_time() - began_s)
        self._book_stale(source)
        if frame is not None:
            self._deliver(frame)
        return frame is not None

    def _deliver(self, frame: Frame) -> None:
        # A source counts from 0 each time it is opened; the camera's own count goes on.
        if frame.index != self._next_index:
            frame = replace(frame, index=self._next_index)
        self._next_index += 1
        self.ledger.read(frame.index)
        self._rate.tick()
        now = time.monotonic()
        if self.last_read_at is not None:
            self.longest_gap_s = max(self.longest_gap_s, now - self.last_read_at)
        self.last_read_at = now
        # A closed mailbox books what comes too late.
        way = self.mailbox if self.mailbox.newest_wins or self.mailbox.is_closed else self._way
        way.put(frame)

    def _book_stale(self, source: Source) -> None:
        """What the source let go undecoded was read, and nobody will see it."""
        stale = source.health().stale_pictures
        for _ in range(stale - self._stale_booked):
            self.ledger.read(self._next_index)
            self.ledger.settle(self._next_index, "skipped", "stale")
            self._next_index += 1
        self._stale_booked = stale
