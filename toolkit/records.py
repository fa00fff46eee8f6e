"""What flows along the street: frames in, results out, plain fields only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

Gender = Literal["female", "male"]
"""Apparent gender: the binary label of the data set a model was trained on, nothing more."""

BoxXyxy = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the frame the box was found in."""


Part = Literal["face", "body"]
"""Of a person: what a box is around."""

Region = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels, within the picture."""


class Pixels(Protocol):
    """A picture of which only what somebody looks at is made.

    Attributes:
        size_wh: width and height in pixels.
    """

    size_wh: tuple[int, int]

    def image(self) -> np.ndarray:
        """The whole, (H, W, 3), uint8, BGR; made once and kept."""

    def shrunk(self, size_wh: tuple[int, int]) -> np.ndarray:
        """The whole in another size, (H, W, 3), uint8, BGR; proportions are the caller's business."""

    def region(self, box_xyxy: Region) -> np.ndarray:
        """A part of it in its own size, (H, W, 3), uint8, BGR."""


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One picture of one camera.

    Attributes:
        camera: name of the camera.
        index: number of the frame in its camera, from 0, counting every frame that was read.
        captured_at: ``time.monotonic()`` seconds at which the picture left the source.
        pixels: (H, W, 3), uint8, BGR, or what makes such pictures when they are asked for.
        media_time_s: the source's own time stamp in seconds, where it has one.
        is_live: it came when it came; of a recording as fast as it goes, it came when somebody read it.
    """

    camera: str
    index: int
    captured_at: float
    pixels: np.ndarray | Pixels
    media_time_s: float | None = None
    is_live: bool = True

    @property
    def taken_at_s(self) -> float:
        """When it was taken, on the clock of its camera: a recording as fast as it goes has its own."""
        return self.captured_at if self.is_live or self.media_time_s is None else self.media_time_s

    @property
    def image(self) -> np.ndarray:
        """The whole picture, (H, W, 3), uint8, BGR."""
        return self.pixels if isinstance(self.pixels, np.ndarray) else self.pixels.image()

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels; no picture is made for it."""
        if isinstance(self.pixels, np.ndarray):
            return self.pixels.shape[1], self.pixels.shape[0]
        return self.pixels.size_wh


@dataclass(frozen=True, slots=True)
class Detection:
    """One found face or body: where, and how sure the detector was (0..1)."""

    box_xyxy: BoxXyxy
    score: float
    part: Part = "face"


@dataclass(frozen=True, eq=False, slots=True)
class Crop:
    """One face cut from a frame.

    Attributes:
        index: which box of the frame this crop was cut for.
        box_xyxy: the region that was cut, border included, in pixels of the frame.
        image: (H, W, 3), uint8, BGR; of a picture that is there already, a view and not a copy.
    """

    index: int
    box_xyxy: Region
    image: np.ndarray


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one crop.

    Attributes:
        gender: the likelier of the two labels.
        gender_probability: probability of that label, 0.5..1.
        age_years: expectation of the age distribution over 0..100.
        age_spread_years: standard deviation of that distribution.
    """

    gender: Gender
    gender_probability: float
    age_years: float
    age_spread_years: float

    @property
    def female_probability(self) -> float:
        """Probability of the label "female", 0..1."""
        return self.gender_probability if self.gender == "female" else 1.0 - self.gender_probability


@dataclass(frozen=True, slots=True)
class Track:
    """One person followed over time on one camera.

    Attributes:
        track_id: number of the person on this camera, from 1; never used again in a run.
        box_xyxy: where the face is now, in pixels of the frame; of somebody seen only as a body, where the
            head should be.
        score: detector score of the newest detection, of the face where it is seen.
        seen: number of frames with a detection so far.
        label: the vote over all predictions of this person; None until the first one arrives.
        votes: number of predictions the label rests on.
        is_confirmed: seen often enough to count as a person and not as a flash of noise.
        is_predicted: not seen in this frame: the box is where the face should be.
        body_xyxy: where the body is now; None where no bodies are looked for, or this one is not seen.
        is_face_seen: False where only the body is.
        label_part: what the label was told from.
    """

    track_id: int
    box_xyxy: BoxXyxy
    score: float
    seen: int
    label: Prediction | None = None
    votes: int = 0
    is_confirmed: bool = True
    is_predicted: bool = False
    body_xyxy: BoxXyxy | None = None
    is_face_seen: bool = True
    label_part: Part = "face"


@dataclass(frozen=True, eq=False, slots=True)
class FrameResult:
    """All that is known of one analysed frame.

    Attributes:
        frame: the frame itself, picture included.
        tracks: the persons in it.
        finished_at: ``time.monotonic()`` seconds at which the result was complete.
        answer: what the model said of the frame as a whole, where no faces are looked for.
    """

    frame: Frame
    tracks: tuple[Track, ...] = field(default=())
    finished_at: float = 0.0
    answer: Any = None

    @property
    def latency_s(self) -> float:
        """Seconds from capture to result."""
        return self.finished_at - self.frame.captured_at
