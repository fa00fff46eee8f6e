"""What happened in a live run, in words: cameras lost and back, settings changed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["lost", "back", "over", "changed", "refused"]

# A run of days with a camera that comes and goes keeps its newest ones.
_MOST_EVENTS = 1000

_KIND_OF_STATE: dict[str, Kind] = {
    "stalled": "lost",
    "retrying": "lost",
    "failed": "lost",
    "live": "back",
    "ended": "over",
}


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        time_s: seconds since the run's start.
        kind: "lost", "back" and "over" are said of a camera; "changed" of a setting or the set of cameras;
            "refused" of a change that could not be made.
        text: the rest, in words.
    """

    time_s: float
    kind: Kind
    text: str


class EventLog:
    """Events in order of time, found by comparing snapshots of a run, so that no frame waits for it."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=_MOST_EVENTS)
        self._cameras: dict[str, tuple[str, int]] = {}
        self._lock = threading.Lock()

    def note(self, kind: Kind, text: str, time_s: float) -> None:
        """Somebody tells of an event."""
        with self._lock:
            self._events.append(Event(round(time_s, 1), kind, text))

    def look(self, statistics: Mapping[str, Any], time_s: float) -> None:
        """Note what became of the cameras since the last look.

        Args:
            statistics: see :meth:`LivePipeline.statistics`.
            time_s: seconds since the run's start.
        """
        for camera, values in statistics["cameras"].items():
            state, reconnects = values["state"], values["reconnects"]
            before, reconnects_before = self._cameras.get(camera, ("live", 0))
            self._cameras[camera] = state, reconnects
            kind, was_lost = _KIND_OF_STATE.get(state), _KIND_OF_STATE.get(before) == "lost"
            if state == before == "live" and reconnects > reconnects_before:
                self.note("back", f"{camera} was away for a moment", time_s)
            elif state != before and kind is not None and (kind != "back" or was_lost):
                reason = values["reason"]
                self.note(kind, f"{camera}: {reason}" if reason else camera, time_s)

    def events(self) -> list[Event]:
        """All that are kept, the oldest first."""
        with self._lock:
            return list(self._events)

    def rows(self) -> list[dict[str, Any]]:
        """The same as plain values, for a table."""
        return [asdict(event) for event in self.events()]
