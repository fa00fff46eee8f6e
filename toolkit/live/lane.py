"""One camera's lane of the street, and a frame on its way along it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolkit.live.camera import Camera
from toolkit.live.track import FaceTracker
from toolkit.records import Frame, Part, Track
from toolkit.stats import LatencyMeter, RateMeter


@dataclass(eq=False)
class Lane:
    """What belongs to one camera.

    Attributes:
        is_looked_at: one of its mailbox's frames is with a worker; the next has to wait, or the tracker would
            see them in the wrong order.
        in_hand: frames that were taken and have no result yet.
        jobs: these after they were looked at, oldest first: results come out in this order.
        last_index: number of the frame that was looked at last.
        unsearched: frames that are still to pass without a search for faces.
    """

    camera: Camera
    tracker: FaceTracker
    rate: RateMeter = field(default_factory=RateMeter)
    latency: LatencyMeter = field(default_factory=LatencyMeter)
    analysis_error: BaseException | None = None
    is_looked_at: bool = False
    in_hand: int = 0
    jobs: deque[Job] = field(default_factory=deque)
    last_index: int = -1
    unsearched: int = 0


@dataclass(eq=False)
class Job:
    """A frame that was looked at: what was found in it, and what the model is asked.

    Attributes:
        lane: of its camera.
        frame: the frame.
        crops: pictures (H, W, 3), uint8, BGR, for the model.
        tracks: the persons in the frame.
        asked: those of them that the crops show, one for one; none where the crop is the whole frame.
        bodies: so many of the crops, the last ones, show bodies and not faces.
        looked_at: ``time.monotonic()`` seconds at the end of that.
        is_patient: nobody waits for its answers, and further frames can come meanwhile.
        answers: one prediction for each crop, once the model was called.
        error: what failed, if anything did.
        is_done: nothing more is waited for.
    """

    lane: Lane
    frame: Frame
    crops: Sequence[np.ndarray] = ()
    tracks: Sequence[Track] = ()
    asked: Sequence[Track] = ()
    bodies: int = 0
    looked_at: float = 0.0
    is_patient: bool = False
    answers: Sequence[Any] = ()
    error: BaseException | None = None
    is_done: bool = False

    @property
    def parts(self) -> list[Part]:
        """What each of the crops shows."""
        faces = len(self.crops) - self.bodies
        return ["face" if number < faces else "body" for number in range(len(self.crops))]
