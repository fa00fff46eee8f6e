"""Where frames come onto the street: so many at a time, the cameras in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from toolkit.live.lane import Job, Lane
from toolkit.live.mailbox import Mailbox, MailRoom
from toolkit.live.pipeline_config import PipelineConfig
from toolkit.records import Frame


class Gate:
    """Lets frames onto the street while it can hold them, and knows when all have left it.

    Those of live cameras lie in mailboxes, from which workers :meth:`take` them. Those of recordings come by
    a :class:`WayIn`.

    Args:
        config: see :class:`PipelineConfig`.

    Attributes:
        room: for the cameras' mailboxes; its lock is held while the gate's books change.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self.room: MailRoom[Frame] = MailRoom()
        self._config = config
        self._lane_of: dict[Mailbox[Frame], Lane] = {}
        # Of recordings, and of live cameras: the former would take all places, as they never wait.
        self._in_hand = {False: 0, True: 0}

    @property
    def in_hand(self) -> int:
        """Frames on the street."""
        return sum(self._in_hand.values())

    def change(self, config: PipelineConfig) -> None:
        """Other settings from now on."""
        with self.room.lock:
            self._config = config
            # More frames may be in hand now.
            self.room.tell_all()

    def add(self, lane: Lane) -> None:
        """Serve one more camera."""
        self._lane_of[lane.camera.mailbox] = lane
        self.room.add(lane.camera.mailbox)

    def remove(self, lane: Lane) -> None:
        """Serve it no longer."""
        with self.room.lock:
            self.room.remove(lane.camera.mailbox)
            self._lane_of.pop(lane.camera.mailbox, None)

    def close(self) -> None:
        """Let the workers go."""
        self.room.close()

    def take(self) -> tuple[Lane, Frame] | None:
        """Wait for a frame that may be looked at; None when the gate is closed."""
        with self.room.lock:
            taken = self.room.take(self._may_take)
            if taken is None:
                return None
            lane = self._lane_of[taken[0]]
            lane.is_looked_at = True
            self._count(lane, 1)
            return lane, taken[1]

    def has_room(self, is_live: bool = False) -> bool:
        """Whether the street can hold one more frame of a recording, or of a live camera."""
        return self._in_hand[is_live] < self._config.frames_in_hand

    def bring(self, lane: Lane) -> None:
        """A frame of a recording comes onto the street."""
        with self.room.lock:
            self._count(lane, 1)

    def looked_at(self, job: Job) -> None:
        """A frame that came through the gate was looked at; its camera may send the next one."""
        lane = job.lane
        with self.room.lock:
            lane.jobs.append(job)
            lane.is_looked_at = False
            # Of a recording, unless the street is full and can only go on with an answer.
            job.is_patient = self.has_room() and not lane.camera.mailbox.newest_wins
            if len(lane.camera.mailbox):
                self.room.arrived.notify()

    def settle(
        self,
        lane: Lane,
        frame: Frame,
        fate: Literal["analysed", "skipped", "failed"],
        cause: str | None = None,
    ) -> None:
        """A frame leaves the street."""
        lane.camera.ledger.settle(frame.index, fate, cause)
        with self.room.lock:
            self._count(lane, -1)
            self.room.arrived.notify()
            self.room.freed.notify()
            # Only then may somebody be waiting for it.
            if lane.camera.mailbox.is_closed:
                self.room.changed.notify_all()

    def _count(self, lane: Lane, frames: int) -> None:
        lane.in_hand += frames
        self._in_hand[lane.camera.mailbox.newest_wins] += frames

    def _may_take(self, box: Mailbox[Frame]) -> bool:
        lane = self._lane_of[box]
        most = self._config.live_frames_in_hand if box.newest_wins else self._config.frames_in_hand
        return not lane.is_looked_at and lane.in_hand < most and self.has_room(box.newest_wins)


class WayIn:
    """The way onto the street for a recording: its frames are looked at by the thread that read them.

    There a picture still lies in the core's cache, and no other thread has to be woken for it.

    Args:
        gate: is told of every frame.
        lane: of the recording.
        look: looks at a frame and hands it on.
    """

    def __init__(self, gate: Gate, lane: Lane, look: Callable[[Lane, Frame], None]) -> None:
        self._gate = gate
        self._lane = lane
        self._look = look

    @property
    def has_room(self) -> bool:
        """Whether the next frame may come."""
        return self._gate.has_room() and not self._lane.camera.mailbox.is_closed

    def wait_for_room(self) -> None:
        """Wait until the next frame may come, or the camera was stopped."""
        room, box = self._gate.room, self._lane.camera.mailbox
        with room.lock:
            room.freed.wait_for(lambda: self._gate.has_room() or box.is_closed)

    def put(self, frame: Frame) -> None:
        """Let a frame come."""
        self._gate.bring(self._lane)
        self._look(self._lane, frame)
