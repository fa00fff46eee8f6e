"""What a scene is made of: people, cameras, ways, light, and how the pictures arrive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from toolkit.errors import ConfigError

Ways = Literal["across", "towards", "stand", "mixed"]
"""How people move: across the view, towards the camera, standing about, or some of each."""

Place = Literal["hall", "street", "room"]
"""What is behind them."""

Codec = Literal["none", "h264"]
"""As it was composed, or through the codec that cameras use."""

Through = Literal["file", "rtsp"]
"""How pictures come to whoever looks: from their film, or from a server as from a camera on the network."""

_MOST_PIXELS = 3840 * 2160


@dataclass(frozen=True)
class SceneConfig:
    """One scene: who walks through it, and how its cameras see that. The same settings make the same scene.

    Attributes:
        persons: how many different people there are; they come again and again.
        cameras: how many cameras look; all see the same people, each on a way and from a distance of its own.
        camera_delay_s: by how much later each camera sees somebody than the one before.
        seconds: how long the scene is.
        frames_per_s: of each camera.
        width: of the picture, in pixels; even.
        height: of the picture, in pixels; even.
        seed: of all chance.
        place: see :data:`Place`.
        backgrounds: folder of pictures of your own to take instead, one for each camera in turn.
        faces: a pack of labelled faces, by path or name; None draws faces, whose labels say how they were
            drawn and nothing about people.
        split: of the pack; None takes all of it.
        ways: see :data:`Ways`.
        speed_m_per_s: how fast people walk.
        face_px: height of the faces, from the farthest to the nearest.
        entrances_per_s: how many people come into the view, on average.
        crowding: share of people who walk close beside the one before, at most four in a row; 0..1.
        occlusion: share of the view that pillars hide; 0..0.8.
        turning_deg: how far heads turn to either side.
        light: brightness; 1 is day.
        light_swing: by how much the light rises and falls; 0..1.
        night: noise of the sensor, in grey levels; with it goes the colour.
        exposure_s: how long the shutter is open: who moves is smeared.
        codec: see :data:`Codec`.
        crf: how coarse H.264 is: 18 looks like the original, 35 is a poor camera.
        jitter_s: mean delay of a frame on its way, beside the least one.
        gap_s: how long the way is blocked from time to time; what was held up then arrives at once.
        gap_every_s: how often.
        through: see :data:`Through`; jitter and gaps are those of a film.

    Raises:
        ConfigError: a value is out of its range; the text tells it.
    """

    persons: int = 6
    cameras: int = 1
    camera_delay_s: float = 1.5
    seconds: float = 20.0
    frames_per_s: float = 15.0
    width: int = 1280
    height: int = 720
    seed: int = 0
    place: Place = "hall"
    backgrounds: Path | None = None
    faces: Path | None = None
    split: str | None = None
    ways: Ways = "mixed"
    speed_m_per_s: float = 1.0
    face_px: tuple[float, float] = (40.0, 110.0)
    entrances_per_s: float = 1.5
    crowding: float = 0.0
    occlusion: float = 0.0
    turning_deg: float = 15.0
    light: float = 1.0
    light_swing: float = 0.0
    night: float = 0.0
    exposure_s: float = 0.0
    codec: Codec = "h264"
    crf: int = 23
    jitter_s: float = 0.0
    gap_s: float = 0.0
    gap_every_s: float = 5.0
    through: Through = "file"

    def __post_init__(self) -> None:
        # An address writes one number where faces have one size.
        sizes = self.face_px if isinstance(self.face_px, tuple | list) else (self.face_px, self.face_px)
        object.__setattr__(self, "face_px", tuple(map(float, sizes)))
        for name, least, most in _RANGES:
            value = getattr(self, name)
            if not least <= value <= most:
                raise ConfigError(f"{name} must be {least:g} to {most:g}, got {value:g}")
        for name, kind in (("place", Place), ("ways", Ways), ("codec", Codec), ("through", Through)):
            if getattr(self, name) not in get_args(kind):
                raise ConfigError(
                    f"{name} must be one of {', '.join(get_args(kind))}, got {getattr(self, name)!r}"
                )
        if self.seed < 0:
            raise ConfigError(f"seed must be at least 0, got {self.seed}")
        self._check_sizes()
        if self.through == "rtsp" and (self.codec == "none" or self.jitter_s or self.gap_s):
            raise ConfigError("through rtsp goes H.264 as it comes: leave codec=none, jitter_s and gap_s out")

    def _check_sizes(self) -> None:
        if self.width % 2 or self.height % 2 or self.width * self.height > _MOST_PIXELS:
            raise ConfigError(
                f"width and height must be even and at most 3840 x 2160, got {self.width} x {self.height}"
            )
        smallest, largest = self.face_px
        if not 8 <= smallest <= largest <= self.height:
            raise ConfigError(
                f"face_px goes from 8 or more up to the picture's height ({self.height}), got "
                f"{smallest:g} to {largest:g}"
            )

    @property
    def frames(self) -> int:
        """How many frames each camera has."""
        return max(1, round(self.seconds * self.frames_per_s))

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height


_RANGES = (
    ("persons", 0, 10_000),
    ("cameras", 1, 256),
    ("camera_delay_s", 0, 60),
    ("seconds", 0.1, 3600),
    ("frames_per_s", 1, 120),
    ("width", 64, 7680),
    ("height", 64, 4320),
    ("speed_m_per_s", 0.05, 20),
    ("entrances_per_s", 0.01, 100),
    ("crowding", 0, 1),
    ("occlusion", 0, 0.8),
    ("turning_deg", 0, 60),
    ("light", 0.05, 3),
    ("light_swing", 0, 1),
    ("night", 0, 60),
    ("exposure_s", 0, 0.5),
    ("crf", 0, 51),
    ("jitter_s", 0, 5),
    ("gap_s", 0, 30),
    ("gap_every_s", 0.1, 3600),
)
