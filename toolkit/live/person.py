"""One person who is followed: where face and body should be, and what was said of them."""

from __future__ import annotations

from typing import Protocol

from toolkit.live.bodies import head_of, place_in
from toolkit.live.looks import LookConfig, Looks
from toolkit.live.motion import Motion
from toolkit.live.vote import Vote
from toolkit.records import BoxXyxy, Detection, Part, Prediction, Track

_BODY_EXPECTED_S = 1.0
"""Longest time a body is expected where it was, while only the face is seen and goes on."""


class VoteConfig(Protocol):
    """The settings of :class:`Vote`."""

    @property
    def switch_margin(self) -> float:
        """See :class:`Vote`."""

    @property
    def switch_streak(self) -> int:
        """See :class:`Vote`."""


class Person:
    """A face, a body, or both, under one number.

    Args:
        track_id: the number.
        votes: how labels change.
        looks: when to analyse anew.

    Attributes:
        face: where it was and is going; None until it was seen.
        body: likewise.
        seen: number of frames with a detection.
        seen_at_s: time of the newest.
        looks: at the face, and at the body.
        votes: on what was said of the face, and of the body.
    """

    def __init__(self, track_id: int, votes: VoteConfig, looks: LookConfig) -> None:
        self.track_id = track_id
        self.face: Motion | None = None
        self.body: Motion | None = None
        self.seen = 0
        self.seen_at_s = 0.0
        self.looks: dict[Part, Looks] = {"face": Looks(looks), "body": Looks(looks)}
        self.votes: dict[Part, Vote] = {
            part: Vote(votes.switch_margin, votes.switch_streak) for part in ("face", "body")
        }
        self._score = 0.0
        self._face_in_body: BoxXyxy | None = None

    def see(self, face: Detection | None, body: Detection | None, at_s: float) -> None:
        """Somebody saw the face, the body, or both."""
        self.face = _moved(self.face, face, at_s)
        self.body = _moved(self.body, body, at_s)
        if face is not None and body is not None:
            self._face_in_body = place_in(body.box_xyxy, face.box_xyxy)
        self._score = next(found.score for found in (face, body) if found is not None)
        self.seen += 1
        self.seen_at_s = at_s

    def face_at(self, at_s: float) -> BoxXyxy | None:
        """Where the face should be; None when it was never seen.

        A body that goes on takes its face along.
        """
        if self.face is None:
            return None
        if self.body is None or self.is_face_seen:
            return self.face.box_at(at_s)
        return head_of(self.body.box_at(at_s), self._face_in_body)

    def body_at(self, at_s: float) -> BoxXyxy | None:
        """Where the body should be; None when it was never seen, or not for long."""
        if self.body is None or (at_s - self.body.at_s > _BODY_EXPECTED_S and not self.is_body_seen):
            return None
        return self.body.box_at(at_s)

    def take_over(self, other: Person) -> None:
        """The other number was of the same person: what was said, and was to be seen, is of this one now."""
        for part, looks in other.looks.items():
            if not self.votes[part].count:
                self.votes[part], self.looks[part] = other.votes[part], looks

    @property
    def is_face_seen(self) -> bool:
        """Whether the face was in the frame in which the person was seen last."""
        return self.face is not None and self.face.at_s == self.seen_at_s

    @property
    def is_body_seen(self) -> bool:
        """Likewise, of the body."""
        return self.body is not None and self.body.at_s == self.seen_at_s

    def track(self, at_s: float | None = None, is_confirmed: bool = True) -> Track:
        """The person where somebody saw them last; or where they should be at a time."""
        when_s = self.seen_at_s if at_s is None else at_s
        body_xyxy = self.body_at(when_s) if self.is_body_seen else None
        face_xyxy = self.face_at(when_s)
        label, votes, part = self.label()
        return Track(
            self.track_id,
            # One of the two was seen.
            face_xyxy or head_of(body_xyxy),  # type: ignore[arg-type]
            self._score,
            self.seen,
            label,
            votes,
            is_confirmed,
            at_s is not None,
            body_xyxy,
            self.is_face_seen,
            part,
        )

    def label(self) -> tuple[Prediction | None, int, Part]:
        """What the votes say, their number, and of what: of the body while there is none of the face."""
        part: Part = "body" if self.votes["body"].count and not self.votes["face"].count else "face"
        return self.votes[part].result(), self.votes[part].count, part


def _moved(motion: Motion | None, found: Detection | None, at_s: float) -> Motion | None:
    if found is None:
        return motion
    if motion is None:
        return Motion(found.box_xyxy, at_s)
    motion.see(found.box_xyxy, at_s)
    return motion
