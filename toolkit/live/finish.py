"""The end of the street: results in order, votes counted, everybody told."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from toolkit.live.gate import Gate
from toolkit.live.lane import Job
from toolkit.live.mailbox import Mailbox
from toolkit.records import FrameResult
from toolkit.stats import LatencyMeter, RateMeter, StageTimes

logger = logging.getLogger(__name__)

Listener = Callable[[FrameResult], None]
"""Told of every result, in order for each camera; it must be quick, the street waits for it."""

# Nobody leaves more there than frames are in hand.
_NO_LIMIT = 1 << 30


class Finish:
    """Takes frames that were looked at, and whose faces the model has answered for, in one thread.

    Args:
        is_whole: the model was asked for whole frames, not for faces.
        listeners: see :data:`Listener`.
        stages: is told how long each part took.
        gate: is told of every frame that leaves.

    Attributes:
        rate: of results.
        latency: from capture to result.
    """

    def __init__(self, is_whole: bool, listeners: Iterable[Listener], stages: StageTimes, gate: Gate) -> None:
        self.rate = RateMeter()
        self.latency = LatencyMeter()
        self._is_whole = is_whole
        self._listeners = list(listeners)
        self._failures: Counter[int] = Counter()
        self._stages = stages
        self._gate = gate
        self._done: Mailbox[Sequence[Job]] = Mailbox(_NO_LIMIT)

    def put(self, jobs: Sequence[Job]) -> None:
        """These are done; any thread may say so."""
        self._done.put(jobs)

    def close(self) -> None:
        """Let the thread go when everything is finished."""
        self._done.close()

    def run(self) -> None:
        """Finish everything, until it is closed."""
        while (done := self._done.take()) is not None:
            for job in done:
                job.is_done = True
            for job in done:
                # A later batch may be answered before an earlier one; the results of a camera stay in order.
                jobs = job.lane.jobs
                while jobs and jobs[0].is_done:
                    self._finish(jobs.popleft())
        for failures in self._failures.values():
            if failures > 1:
                logger.error("a listener failed %d times", failures)

    def _finish(self, job: Job) -> None:
        """Count the votes, tell everybody, let the frame go."""
        lane = job.lane
        try:
            result = self._result(job)
        # Also what is no Exception: sys.exit, and the panic of a library in Rust.
        except BaseException as error:  # noqa: BLE001 - what the model raised, or said amiss, fails this frame alone
            for track, part in zip(job.asked, job.parts, strict=False):
                lane.tracker.withdraw(track, part)
            self._fail(job, error)
            return
        for latency in (lane.latency, self.latency):
            latency.add(result.latency_s)
        for rate in (lane.rate, self.rate):
            rate.tick()
        self._tell(result)
        self._stages.add("answer", result.finished_at - job.looked_at)
        self._stages.add("listeners", time.monotonic() - result.finished_at)
        self._gate.settle(lane, job.frame, "analysed")

    def _result(self, job: Job) -> FrameResult:
        if job.error is not None:
            raise job.error
        tracker = job.lane.tracker
        if self._is_whole:
            return FrameResult(job.frame, (), time.monotonic(), job.answers[0])
        for track, prediction, part in zip(job.asked, job.answers, job.parts, strict=True):
            tracker.vote(track, prediction, part)
        return FrameResult(job.frame, tuple(map(tracker.with_label, job.tracks)), time.monotonic())

    def _tell(self, result: FrameResult) -> None:
        for number, listener in enumerate(self._listeners):
            try:
                listener(result)
            except BaseException:
                self._failures[number] += 1
                # Once: one that always fails would leave a trace of each frame.
                if self._failures[number] == 1:
                    logger.exception("a listener failed; the run goes on")

    def _fail(self, job: Job, error: BaseException) -> None:
        lane, frame = job.lane, job.frame
        if lane.analysis_error is None:
            logger.error("camera %s: analysis of frame %d failed", frame.camera, frame.index, exc_info=error)
        # Its call stack would keep the frame, and with it the picture, alive.
        lane.analysis_error = error.with_traceback(None)
        self._gate.settle(lane, frame, "failed", type(error).__name__)
