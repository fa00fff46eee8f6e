"""What is really to be seen by a camera at every moment: who, where, how old, how well to be seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import DataError, ShapeError
from toolkit.records import BoxXyxy, Gender

_FORMAT = 1

# Media times pass through a container's ticks; the coarsest in use (MPEG's 90 kHz aside) is a millisecond.
_ROUNDING_S = 0.001


@dataclass(frozen=True, slots=True)
class TrueFace:
    """One face that a camera sees.

    Attributes:
        person: who it is, the same on every camera of a scene.
        box_xyxy: of the face, in pixels, clipped to the picture.
        gender: the data set's label; None where it has none.
        age_years: the middle of what the label allows; None where there is none.
        occluded: share of the face that something hides, the picture's edge included; 0..1.
        age_within_years: the label allows this much to both sides; 0 where it is exact.
        visit: which passage of this person through this camera's view, from 0. A tracker is not asked to
            know somebody again who had left, so (person, visit) is whom it should follow.
    """

    person: int
    box_xyxy: BoxXyxy
    gender: Gender | None = None
    age_years: float | None = None
    occluded: float = 0.0
    age_within_years: float = 0.0
    visit: int = 0


@dataclass(frozen=True, eq=False)
class Truth:
    """What one camera really sees, at the time of each of its frames.

    Attributes:
        camera: its name.
        size_wh: width and height of its picture in pixels.
        frame_times_s: (F,), float64, media time of each frame, growing from 0: seconds since the scene began.
        faces: for each frame, the faces in it; a face that is hidden altogether is not listed.
        is_looped: the scene begins again after its end, at media time ``duration_s``.

    Raises:
        ShapeError: there is not one entry of ``faces`` per frame, or the times do not grow from 0.
    """

    camera: str
    size_wh: tuple[int, int]
    frame_times_s: np.ndarray
    faces: tuple[tuple[TrueFace, ...], ...]
    is_looped: bool = False

    def __post_init__(self) -> None:
        times_s = self.frame_times_s
        if len(times_s) != len(self.faces) or not len(times_s):
            raise ShapeError(
                f"faces must have one entry per frame, got {len(self.faces)} for {len(times_s)} frames"
            )
        if times_s[0] != 0 or (np.diff(times_s) <= 0).any():
            raise ShapeError("frame_times_s must grow, and begin with 0")

    def __len__(self) -> int:
        return len(self.faces)

    @cached_property
    def duration_s(self) -> float:
        """Seconds from the first frame to the end of the last, shown as long as the one before."""
        times_s = self.frame_times_s
        return float(times_s[-1] + (times_s[-1] - times_s[-2] if len(times_s) > 1 else 0.0))

    @property
    def is_repeated(self) -> bool:
        """Whether it begins again after its end: a single picture has none."""
        return self.is_looped and self.duration_s > 0

    def index_at(self, time_s: float) -> int | None:
        """Number of the frame that is shown at a media time; None before the first and after the end."""
        if self.is_repeated and time_s >= 0:
            time_s = (time_s + _ROUNDING_S) % self.duration_s
        if not -_ROUNDING_S <= time_s < self.duration_s + _ROUNDING_S:
            return None
        return int(np.searchsorted(self.frame_times_s, time_s + _ROUNDING_S, side="right")) - 1

    def at(self, time_s: float) -> tuple[TrueFace, ...]:
        """The faces at a media time, in seconds since the scene began; nobody before it and after its end."""
        index = self.index_at(time_s)
        return () if index is None else self.faces[index]

    def looped(self) -> Truth:
        """The same, shown again and again."""
        return replace(self, is_looped=True)

    def visits(self) -> set[tuple[int, int]]:
        """All (person, visit) that are to be seen at some time."""
        return {(face.person, face.visit) for faces in self.faces for face in faces}


def save_truths(path: Path, truths: Mapping[str, Truth], about: Mapping[str, Any] | None = None) -> Path:
    """Write what all cameras of a scene see as one JSON file.

    Args:
        path: of the file; its folder is made if missing.
        truths: camera to its truth.
        about: plain values to keep beside it, such as the scene's settings.
    """
    values = {
        "format": _FORMAT,
        "about": dict(about or {}),
        "cameras": {name: _plain(truth) for name, truth in truths.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, separators=(",", ":")) + "\n", encoding="utf-8")
    return path


def load_truths(path: Path) -> dict[str, Truth]:
    """Read what :func:`save_truths` wrote.

    Raises:
        DataError: the file is missing, or is not such a file.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != _FORMAT:
            raise DataError(f"{path} has format {values['format']}, expected {_FORMAT}; write it again")
        return {name: _from_plain(name, plain) for name, plain in values["cameras"].items()}
    except FileNotFoundError as error:
        raise DataError(f"no such file: {path.absolute()}; check its spelling") from error
    except (KeyError, TypeError, IndexError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is not a file that tells what cameras see: {error!r}") from error


def _plain(truth: Truth) -> dict[str, Any]:
    """Labels once for each person, and per frame only what changes."""
    people: dict[int, list[Any]] = {}
    frames = []
    for faces in truth.faces:
        for face in faces:
            people[face.person] = [face.gender, face.age_years, face.age_within_years]
        frames.append([[f.person, f.visit, *f.box_xyxy, f.occluded] for f in faces])
    return {
        "size_wh": list(truth.size_wh),
        "is_looped": truth.is_looped,
        "frame_times_s": truth.frame_times_s.tolist(),
        "people": people,
        "faces": frames,
    }


def _from_plain(camera: str, plain: Mapping[str, Any]) -> Truth:
    people = {int(person): labels for person, labels in plain["people"].items()}

    def face(row: list[float]) -> TrueFace:
        person, visit, left, top, right, bottom, occluded = row
        gender, age_years, within_years = people[int(person)]
        box = (left, top, right, bottom)
        return TrueFace(int(person), box, gender, age_years, occluded, within_years, int(visit))

    width, height = plain["size_wh"]
    faces = tuple(tuple(face(row) for row in rows) for rows in plain["faces"])
    times_s = np.array(plain["frame_times_s"], np.float64)
    return Truth(camera, (width, height), times_s, faces, plain["is_looped"])
