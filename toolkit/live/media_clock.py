"""A source's own clock beside ours: how it drifts, and how far behind a stream is."""

from __future__ import annotations

# Crystals in cameras are off by up to 100 millionths, bad ones by several hundred.
_MOST_DRIFT = 1e-3

# Before that, the quickest packet has hardly been seen; after less, jitter looks like drift.
_SETTLED_AFTER_S = 5.0
_DRIFT_AFTER_S = 30.0


class MediaClock:
    """Holds the time stamps of a stream against the times its packets arrived.

    A packet can come late and never early, so the quickest packets tell the distance between the two clocks,
    and a packet's lateness against them is what lay in queues on its way. The distance may grow by
    a thousandth of the time, more than any clock is off; what grows faster is lateness.

    Source: ours; the least of all distances is how NTP's clock filter judges its samples (RFC 5905,
    section 10).
    """

    def __init__(self) -> None:
        self.restarts = 0
        self.behind_s = 0.0
        self._distance_s: float | None = None
        self._settled_s = 0.0
        self._settled_at = 0.0
        self._begun_at = 0.0
        self._seen_at = 0.0
        self._media_s = 0.0

    def observe(self, media_s: float, arrived_at: float) -> float:
        """Tell what stamp arrived when, and get by how many seconds it was later than the quickest.

        A stamp that steps back begins a new time: the source was set or restarted.
        """
        distance_s = arrived_at - media_s
        if self._distance_s is None or media_s < self._media_s:
            self._begin(distance_s, arrived_at)
        else:
            allowed_s = self._distance_s + _MOST_DRIFT * (arrived_at - self._seen_at)
            self._distance_s = min(distance_s, allowed_s)
        self._media_s, self._seen_at = media_s, arrived_at
        if arrived_at - self._begun_at <= _SETTLED_AFTER_S:
            self._settled_s, self._settled_at = self._distance_s or 0.0, arrived_at
        self.behind_s = distance_s - (self._distance_s or 0.0)
        return self.behind_s

    def restart(self) -> None:
        """Forget the distance: the clocks do not belong together any more."""
        self.restarts += 1
        self._distance_s = None
        self.behind_s = 0.0

    @property
    def drift_ppm(self) -> float | None:
        """Millionths by which the source's clock runs faster than ours; None before 30 s are seen."""
        seen_s = self._seen_at - self._settled_at
        if self._distance_s is None or seen_s < _DRIFT_AFTER_S:
            return None
        return (self._settled_s - self._distance_s) / seen_s * 1e6

    def _begin(self, distance_s: float, at: float) -> None:
        self.restarts += self._distance_s is not None
        self._distance_s = self._settled_s = distance_s
        self._begun_at = self._settled_at = at
