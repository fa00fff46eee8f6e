"""Follow each face from frame to frame, and let its predictions vote on one label."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from toolkit.errors import ConfigError
from toolkit.records import BoxXyxy, Detection, Gender, Prediction, Track


@dataclass(frozen=True)
class TrackerConfig:
    """How faces are matched, and when a person is analysed.

    Attributes:
        least_iou: overlap with its last box from which a detection continues a track.
        most_lost_s: a track that was not seen for this long has ended.
        confirm_after: detections after which a track counts as a person; a flash of noise has fewer.
        votes_wanted: predictions collected for a person at first.
        look_again_s: a person with all votes is analysed again after this long,
        look_again_growth: or when the face has this many times the side of its best crop so far.
        switch_margin: the mean probability must pass 0.5 by this much before a shown gender changes.
    """

    least_iou: float = 0.2
    most_lost_s: float = 1.0
    confirm_after: int = 3
    votes_wanted: int = 5
    look_again_s: float = 2.0
    look_again_growth: float = 1.5
    switch_margin: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.least_iou < 1:
            raise ConfigError(f"least_iou must lie between 0 and 1, got {self.least_iou}")
        if self.confirm_after < 1 or self.votes_wanted < 1:
            raise ConfigError("confirm_after and votes_wanted must be at least 1")


@dataclass
class _Person:
    track_id: int
    box_xyxy: BoxXyxy
    score: float
    last_seen_at: float
    seen: int = 1
    vote: Vote = field(default_factory=lambda: Vote())
    asked: int = 0
    asked_at: float = -math.inf
    best_side_px: float = 0.0


class Vote:
    """One label from many predictions, weighted by the size of the face.

    The gender is that of the weighted mean probability, and changes only when the mean passes 0.5 by
    ``switch_margin``, so that a label does not flicker; age is the weighted mean, and its spread the weighted
    root mean square of the spreads (a vote does not make one person's age surer than its crops allow).

    Source: ours.
    """

    def __init__(self, switch_margin: float = 0.0) -> None:
        self.count = 0
        self._switch_margin = switch_margin
        self._weight = 0.0
        self._female = 0.0
        self._age = 0.0
        self._variance = 0.0
        self._shown: Gender | None = None

    def add(self, prediction: Prediction, weight: float) -> None:
        """Count one prediction."""
        self.count += 1
        self._weight += weight
        share = weight / self._weight
        self._female += share * (prediction.female_probability - self._female)
        self._age += share * (prediction.age_years - self._age)
        self._variance += share * (prediction.age_spread_years**2 - self._variance)
        if self._shown is None or abs(self._female - 0.5) > self._switch_margin:
            self._shown = "female" if self._female >= 0.5 else "male"

    def result(self) -> Prediction | None:
        """The label so far; None before the first prediction."""
        if self._shown is None:
            return None
        probability = self._female if self._shown == "female" else 1.0 - self._female
        return Prediction(self._shown, probability, self._age, math.sqrt(self._variance))


class FaceTracker:
    """Tracks on one camera; may be fed by one thread and voted on by another.

    A detection continues the track whose last box it overlaps most; pairs are taken greedily, best first.

    Source: the greedy form of Bochinski, Eiselein, Sikora: High-Speed Tracking-by-Detection Without Using
    Image Information (IOU tracker), AVSS 2017.
    """

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        self._people: dict[int, _Person] = {}
        self._started = 0
        self._confirmed = 0
        self._lock = threading.Lock()

    @property
    def persons(self) -> int:
        """Number of confirmed persons so far."""
        return self._confirmed

    def update(self, detections: Sequence[Detection], at_s: float) -> list[Track]:
        """Match the detections of the next frame.

        Args:
            detections: of one frame, in any order.
            at_s: the frame's capture time, monotonic seconds.

        Returns:
            One track per detection, in the same order.
        """
        with self._lock:
            self._forget_before(at_s - self.config.most_lost_s)
            people = list(self._people.values())
            matches = _match([p.box_xyxy for p in people], detections, self.config.least_iou)
            tracks = []
            for number, detection in enumerate(detections):
                person = people[matches[number]] if number in matches else self._new(detection, at_s)
                if number in matches:
                    person.box_xyxy, person.score, person.last_seen_at = (
                        detection.box_xyxy,
                        detection.score,
                        at_s,
                    )
                    person.seen += 1
                if person.seen == self.config.confirm_after:
                    self._confirmed += 1
                tracks.append(self._as_track(person, person.box_xyxy))
            return tracks

    def wants_analysis(self, track: Track, at_s: float) -> bool:
        """Whether another prediction of this person pays now; a yes counts as asked.

        A person is analysed until ``votes_wanted`` predictions are on their way or here, then again only
        after ``look_again_s`` or when the face has grown: most frames of most people cost no inference.
        """
        side_px = _side_px(track.box_xyxy)
        with self._lock:
            person = self._people.get(track.track_id)
            if person is None:
                return False
            is_wanted = (
                person.asked < self.config.votes_wanted
                or at_s - person.asked_at >= self.config.look_again_s
                or side_px >= person.best_side_px * self.config.look_again_growth
            )
            if is_wanted:
                person.asked += 1
                person.asked_at = at_s
                person.best_side_px = max(person.best_side_px, side_px)
            return is_wanted

    def vote(self, track: Track, prediction: Prediction) -> None:
        """Count a prediction made from this track's box; one for a person long gone is dropped."""
        with self._lock:
            person = self._people.get(track.track_id)
            if person is not None:
                person.vote.add(prediction, _side_px(track.box_xyxy))

    def withdraw(self, track: Track) -> None:
        """An analysis that was asked for did not come about: it may be asked for again."""
        with self._lock:
            person = self._people.get(track.track_id)
            if person is not None:
                person.asked -= 1

    def with_label(self, track: Track) -> Track:
        """The same track, where it was, with the label as it stands now."""
        with self._lock:
            person = self._people.get(track.track_id)
            return self._as_track(person, track.box_xyxy) if person is not None else track

    def _new(self, detection: Detection, at_s: float) -> _Person:
        self._started += 1
        person = _Person(
            self._started, detection.box_xyxy, detection.score, at_s, vote=Vote(self.config.switch_margin)
        )
        self._people[person.track_id] = person
        return person

    def _forget_before(self, oldest_s: float) -> None:
        for track_id in [p.track_id for p in self._people.values() if p.last_seen_at < oldest_s]:
            del self._people[track_id]

    @staticmethod
    def _as_track(person: _Person, box_xyxy: BoxXyxy) -> Track:
        return Track(
            person.track_id, box_xyxy, person.score, person.seen, person.vote.result(), person.vote.count
        )


def iou_matrix(boxes_a_xyxy: np.ndarray, boxes_b_xyxy: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair: (A, 4) and (B, 4) to (A, B)."""
    a, b = boxes_a_xyxy[:, None, :], boxes_b_xyxy[None, :, :]
    sides = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    shared = sides.prod(axis=-1)
    areas = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1)
    return shared / np.maximum(areas - shared, 1e-9)


def _match(
    boxes_xyxy: Sequence[BoxXyxy], detections: Sequence[Detection], least_iou: float
) -> dict[int, int]:
    """Number of a detection to number of the box it continues, best overlap first, each used once."""
    if not boxes_xyxy or not detections:
        return {}
    overlaps = iou_matrix(np.array([d.box_xyxy for d in detections]), np.array(boxes_xyxy))
    matches: dict[int, int] = {}
    used: set[int] = set()
    for flat in np.argsort(-overlaps, axis=None):
        detection, box = divmod(int(flat), overlaps.shape[1])
        if overlaps[detection, box] < least_iou:
            break
        if detection not in matches and box not in used:
            matches[detection] = box
            used.add(box)
    return matches


def _side_px(box_xyxy: BoxXyxy) -> float:
    left, top, right, bottom = box_xyxy
    return max(right - left, bottom - top)
