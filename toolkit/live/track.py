"""Follow each face from frame to frame under one number, with one label."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.errors import ConfigError
from toolkit.live.looks import LookConfig, Looks
from toolkit.live.matching import match
from toolkit.live.motion import Motion
from toolkit.live.vote import Vote
from toolkit.records import BoxXyxy, Detection, Prediction, Track

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
        start_score: least detector score of a face that starts a track; weaker ones only continue one.
        least_iou: overlap with where a face should be from which a detection continues its track.
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
        if self.confirm_after < 1 or self.switch_streak < 1:
            raise ConfigError("confirm_after and switch_streak must be at least 1")
        if not self.most_lost_s > 0:
            raise ConfigError(f"most_lost_s must be more than 0, got {self.most_lost_s}")


@dataclass
class _Person:
    track_id: int
    motion: Motion
    score: float
    vote: Vote
    looks: Looks
    seen: int = 1


class FaceTracker:
    """Tracks on one camera; may be fed by one thread and voted on by another.

    A detection continues the track whose face should be where it is. Three rounds, each with what the one
    before left over: strong detections by overlap with the predicted boxes; weak ones likewise, which keeps
    faces that turn away or blur; then strong ones again with a wider reach, which finds those again who were
    hidden. What is left of the strong ones starts new tracks, what is left of the weak ones is dropped.

    Source: two stages by score from Zhang et al.: ByteTrack, ECCV 2022; a wider reach in a later stage from
    Yang et al. (C-BIoU), WACV 2023; see :class:`Motion` and :func:`match`. Ours and not a library,
    because it follows people labelled by hand as well as ByteTrack at a third of the CPU time: Tracking in
    docs/performance.md.
    """

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        self._people: dict[int, _Person] = {}
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
        """Match the detections of the next frame in which faces were looked for.

        Args:
            detections: of one frame, in any order.
            at_s: the frame's capture time, monotonic seconds.

        Returns:
            One track per detection that continues or starts one, in the order of the detections.
        """
        with self._lock:
            self._forget_before(at_s - self.config.most_lost_s)
            self._searched_at_s = at_s
            continued = self._match_all(detections, at_s)
            tracks = []
            for number, detection in enumerate(detections):
                person = continued.get(number)
                if person is not None:
                    self._see(person, detection, at_s)
                elif detection.score >= self.config.start_score:
                    person = self._new(detection, at_s)
                else:
                    continue
                tracks.append(self._as_track(person, detection.box_xyxy))
            return tracks

    def predict(self, at_s: float) -> list[Track]:
        """Where everybody should be in a frame in which no faces were looked for.

        Changes nothing: call it for the frames between two calls of :meth:`update`, in any number. Whoever
        was seen in the last of these, and confirmed persons until they have not been seen for half a second:
        what the last look of the detector showed holds until the next one, also of somebody new.
        """
        with self._lock:
            return [
                self._as_track(person, person.motion.box_at(at_s), is_predicted=True)
                for person in self._people.values()
                if self._is_shown(person) and at_s - person.motion.at_s <= _PREDICTED_S
            ]

    def wants_analysis(self, track: Track, at_s: float) -> bool:
        """Whether another prediction of this person pays now (:class:`LookConfig`); a yes counts as asked."""
        side_px = _side_px(track.box_xyxy)
        with self._lock:
            person = self._people.get(track.track_id)
            if person is None or track.is_predicted:
                return False
            reason = person.looks.reason(side_px, at_s, person.vote.result())
            self._looks[reason or "saved"] += 1
            if reason is not None:
                person.looks.ask(side_px, at_s)
            return reason is not None

    def vote(self, track: Track, prediction: Prediction) -> None:
        """Count a prediction made from this track's box; one for a person long gone is dropped.

        It weighs as much as the face is large and the detector was sure.
        """
        with self._lock:
            person = self._people.get(track.track_id)
            if person is not None:
                person.vote.add(prediction, _side_px(track.box_xyxy) * max(track.score, 0.01))

    def withdraw(self, track: Track) -> None:
        """An analysis that was asked for did not come about: it may be asked for again."""
        with self._lock:
            self._looks["withdrawn"] += 1
            person = self._people.get(track.track_id)
            if person is not None:
                person.looks.withdraw()

    def with_label(self, track: Track) -> Track:
        """The same track, where it was, with the label as it stands now."""
        with self._lock:
            person = self._people.get(track.track_id)
            return self._as_track(person, track.box_xyxy, track.is_predicted) if person is not None else track

    def looks(self) -> dict[str, Any]:
        """How many faces were analysed, why, and how many were not because it would not have paid.

        Returns:
            ``{"new", "unsure", "larger", "old", "withdrawn", "saved", "saved_fraction"}``; the fraction is
            of all faces large enough to be analysed, None before the first.
        """
        with self._lock:
            return looks_together([self._looks])

    def _match_all(self, detections: Sequence[Detection], at_s: float) -> dict[int, _Person]:
        """Number of a detection to the person it continues."""
        strong = {n for n, detection in enumerate(detections) if detection.score >= self.config.start_score}
        weak = set(range(len(detections))) - strong
        left = {person.track_id: person.motion.box_at(at_s) for person in self._people.values()}
        continued: dict[int, _Person] = {}
        for numbers, least_iou, border in (
            (strong, self.config.least_iou, 0.0),
            (weak, self.config.least_iou, 0.0),
            (strong, _LEAST_IOU_IN_REACH, _REACH),
        ):
            open_numbers, open_ids = sorted(numbers - continued.keys()), list(left)
            found = [detections[number].box_xyxy for number in open_numbers]
            for at, known in match(found, list(left.values()), least_iou, border):
                continued[open_numbers[at]] = self._people[open_ids[known]]
                del left[open_ids[known]]
        return continued

    def _see(self, person: _Person, detection: Detection, at_s: float) -> None:
        person.motion.see(detection.box_xyxy, at_s)
        person.score = detection.score
        person.seen += 1
        self._confirmed += person.seen == self.config.confirm_after

    def _new(self, detection: Detection, at_s: float) -> _Person:
        self._started += 1
        self._confirmed += self.config.confirm_after == 1
        vote = Vote(self.config.switch_margin, self.config.switch_streak)
        motion = Motion(detection.box_xyxy, at_s)
        person = _Person(self._started, motion, detection.score, vote, Looks(self.config))
        self._people[person.track_id] = person
        return person

    def _forget_before(self, oldest_s: float) -> None:
        for track_id in [p.track_id for p in self._people.values() if p.motion.at_s < oldest_s]:
            del self._people[track_id]

    def _is_confirmed(self, person: _Person) -> bool:
        return person.seen >= self.config.confirm_after

    def _is_shown(self, person: _Person) -> bool:
        return self._is_confirmed(person) or person.motion.at_s == self._searched_at_s

    def _as_track(self, person: _Person, box_xyxy: BoxXyxy, is_predicted: bool = False) -> Track:
        return Track(
            person.track_id,
            box_xyxy,
            person.score,
            person.seen,
            person.vote.result(),
            person.vote.count,
            self._is_confirmed(person),
            is_predicted,
        )


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


def _side_px(box_xyxy: BoxXyxy) -> float:
    left, top, right, bottom = box_xyxy
    return max(right - left, bottom - top)
