"""Follow each person from frame to frame under one number, with one label."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from toolkit.errors import ConfigError
from toolkit.live.looks import LookConfig
from toolkit.live.matching import match
from toolkit.live.person import Person
from toolkit.live.sightings import sightings
from toolkit.records import BoxXyxy, Detection, Part, Prediction, Track

# Faces hidden for a moment reappear somewhat beside where they should be: boxes grown by this share of their
# sides may match, from this overlap.
_REACH = 0.5
_LEAST_IOU_IN_REACH = 0.2

_PREDICTED_S = 0.5
"""Longest time a person is shown where nobody has seen a face."""


@dataclass(frozen=True)
class TrackerConfig(LookConfig):
    """How faces are matched, and when a person is analysed (:class:`LookConfig`).

    Attributes:
        start_score: least detector score of a face, or a body, that starts a track; weaker ones only
            continue one.
        least_iou: overlap with where a face, or a body, should be from which a detection continues its track.
        most_lost_s: a track that was not seen for this long has ended.
        confirm_after: detections after which a track counts as a person; a flash of noise has fewer.
        switch_margin: see :class:`Vote`.
        switch_streak: see :class:`Vote`.
    """

    start_score: float = 0.6
    least_iou: float = 0.2
    most_lost_s: float = 1.5
    confirm_after: int = 3
    switch_margin: float = 0.05
    switch_streak: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.least_iou < 1:
            raise ConfigError(f"least_iou must lie between 0 and 1, got {self.least_iou}")
        if not 0 <= self.start_score <= 1:
            raise ConfigError(f"start_score must lie between 0 and 1, got {self.start_score}")
        if not 0 <= self.switch_margin < 0.5:
            raise ConfigError(f"switch_margin must lie between 0 and 0.5, got {self.switch_margin}")
        if not (self.confirm_after >= 1 and self.switch_streak >= 1):
            raise ConfigError(
                f"confirm_after and switch_streak must be at least 1, got {self.confirm_after} and "
                f"{self.switch_streak}"
            )
        if not self.most_lost_s > 0:
            raise ConfigError(f"most_lost_s must be more than 0, got {self.most_lost_s}")


class FaceTracker:
    """Tracks on one camera; may be fed by one thread and voted on by another.

    A detection continues the track whose face should be where it is. Three rounds, each with what the one
    before left over: strong detections by overlap with the predicted boxes; weak ones likewise, which keeps
    faces that turn away or blur; then strong ones again with a wider reach, which finds those again who were
    hidden. What is left of the strong ones starts new tracks, what is left of the weak ones is dropped.

    Where bodies are found too, they continue tracks in the same way, and :func:`sightings` puts both
    together: one person keeps one number while the face, the body, or both are seen.

    Source: two stages by score from Zhang et al.: ByteTrack, ECCV 2022; a wider reach in a later stage from
    Yang et al. (C-BIoU), WACV 2023; see :class:`Motion` and :func:`match`. Ours and not a library,
    because it follows people labelled by hand as well as ByteTrack at a third of the CPU time: Tracking in
    docs/performance.md.
    """

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        self._people: dict[int, Person] = {}
        self._started = 0
        self._confirmed = 0
        self._searched_at_s = 0.0
        self._looks: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def persons(self) -> int:
        """Number of confirmed persons so far."""
        return self._confirmed

    def update(self, detections: Sequence[Detection], at_s: float) -> list[Track]:
        """Match the detections of the next frame in which somebody was looked for.

        Args:
            detections: of one frame, faces and bodies in any order.
            at_s: when the frame was taken, seconds of a clock that only goes forward.

        Returns:
            One track per face that continues or starts one, in the order of the detections; then one for each
            body without.
        """
        faces = [found for found in detections if found.part == "face"]
        bodies = [found for found in detections if found.part == "body"]
        with self._lock:
            self._forget_before(at_s - self.config.most_lost_s)
            self._searched_at_s = at_s
            everybody = self._people.values()
            of_face = self._continued(faces, {p.track_id: p.face_at(at_s) for p in everybody})
            of_body = self._continued(bodies, {p.track_id: p.body_at(at_s) for p in everybody})
            return [
                self._see(face, body, owners, at_s)
                for face, body, owners in sightings(faces, bodies, of_face, of_body, self.config.start_score)
            ]

    def predict(self, at_s: float) -> list[Track]:
        """Where everybody should be in a frame in which nobody was looked for.

        Changes nothing: call it for the frames between two calls of :meth:`update`, in any number. Whoever
        was seen in the last of these, and confirmed persons until they have not been seen for half a second:
        what the last look of the detector showed holds until the next one, also of somebody new.
        """
        with self._lock:
            return [
                person.track(at_s, self._is_confirmed(person))
                for person in self._people.values()
                if self._is_shown(person) and at_s - person.seen_at_s <= _PREDICTED_S
            ]

    def wants_analysis(self, track: Track, at_s: float, part: Part = "face") -> bool:
        """Whether another prediction of this person pays now (:class:`LookConfig`); a yes counts as asked.

        One of the body does as long as there is none of the face.
        """
        side_px = _side_px(track, part)
        with self._lock:
            person = self._people.get(track.track_id)
            is_seen = track.is_face_seen if part == "face" else track.body_xyxy is not None
            if person is None or track.is_predicted or not is_seen:
                return False
            if part == "body" and person.votes["face"].count:
                return False
            reason = person.looks[part].reason(side_px, at_s, person.votes[part].result())
            if part == "face":
                self._looks[reason or "saved"] += 1
            if reason is not None:
                person.looks[part].ask(side_px, at_s)
            return reason is not None

    def vote(self, track: Track, prediction: Prediction, part: Part = "face") -> None:
        """Count a prediction made from this track's box; one for a person long gone is dropped.

        It weighs as much as the face, or the body, is large and the detector was sure.
        """
        with self._lock:
            person = self._people.get(track.track_id)
            if person is not None:
                person.votes[part].add(prediction, _side_px(track, part) * max(track.score, 0.01))

    def withdraw(self, track: Track, part: Part = "face") -> None:
        """An analysis that was asked for did not come about: it may be asked for again."""
        with self._lock:
            self._looks["withdrawn"] += part == "face"
            person = self._people.get(track.track_id)
            if person is not None:
                person.looks[part].withdraw()

    def with_label(self, track: Track) -> Track:
        """The same track, where it was, with the label as it stands now."""
        with self._lock:
            person = self._people.get(track.track_id)
            if person is None:
                return track
            now = person.track(is_confirmed=self._is_confirmed(person))
        return replace(
            now,
            box_xyxy=track.box_xyxy,
            body_xyxy=track.body_xyxy,
            is_face_seen=track.is_face_seen,
            is_predicted=track.is_predicted,
        )

    def looks(self) -> dict[str, Any]:
        """How many faces were analysed, why, and how many were not because it would not have paid.

        Returns:
            ``{"new", "unsure", "larger", "old", "withdrawn", "saved", "saved_fraction"}``; the fraction is
            of all faces large enough to be analysed, None before the first.
        """
        with self._lock:
            return looks_together([self._looks])

    def _continued(
        self, found: Sequence[Detection], known: Mapping[int, BoxXyxy | None]
    ) -> dict[int, Person]:
        """Number of a detection to the person whose face, or body, it continues."""
        strong = {n for n, detection in enumerate(found) if detection.score >= self.config.start_score}
        weak = set(range(len(found))) - strong
        left = {track_id: box for track_id, box in known.items() if box is not None}
        continued: dict[int, Person] = {}
        for numbers, least_iou, border in (
            (strong, self.config.least_iou, 0.0),
            (weak, self.config.least_iou, 0.0),
            (strong, _LEAST_IOU_IN_REACH, _REACH),
        ):
            open_numbers, open_ids = sorted(numbers - continued.keys()), list(left)
            boxes = [found[number].box_xyxy for number in open_numbers]
            for at, of in match(boxes, list(left.values()), least_iou, border):
                continued[open_numbers[at]] = self._people[open_ids[of]]
                del left[open_ids[of]]
        return continued

    def _see(
        self, face: Detection | None, body: Detection | None, owners: Sequence[Person], at_s: float
    ) -> Track:
        if owners:
            person, *others = sorted(owners, key=lambda owner: owner.track_id)
            for other in others:
                person.take_over(self._people.pop(other.track_id))
        else:
            self._started += 1
            person = self._people[self._started] = Person(self._started, self.config, self.config)
        person.see(face, body, at_s)
        self._confirmed += person.seen == self.config.confirm_after
        return person.track(is_confirmed=self._is_confirmed(person))

    def _forget_before(self, oldest_s: float) -> None:
        for track_id in [p.track_id for p in self._people.values() if p.seen_at_s < oldest_s]:
            del self._people[track_id]

    def _is_confirmed(self, person: Person) -> bool:
        return person.seen >= self.config.confirm_after

    def _is_shown(self, person: Person) -> bool:
        return self._is_confirmed(person) or person.seen_at_s == self._searched_at_s


def looks_together(counts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The looks of several trackers as one; see :meth:`FaceTracker.looks`."""
    total: Counter[str] = Counter()
    for of_one in counts:
        total.update({reason: of_one.get(reason, 0) for reason in _LOOKS})
    asked = sum(total[reason] for reason in _LOOKS[:4])
    faces = asked + total["saved"]
    share = round(total["saved"] / faces, 4) if faces else None
    return {reason: total[reason] for reason in _LOOKS} | {"saved_fraction": share}


_LOOKS = ("new", "unsure", "larger", "old", "withdrawn", "saved")


def _side_px(track: Track, part: Part) -> float:
    left, top, right, bottom = (track.body_xyxy if part == "body" else None) or track.box_xyxy
    return max(right - left, bottom - top)
