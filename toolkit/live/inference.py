"""Crops of all cameras to the model: several calls at a time, each of many crops."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from toolkit.cores import one_core
from toolkit.live.batch_books import BatchBooks, Reason, check_settings, one_each
from toolkit.live.lane import Job
from toolkit.live.turns import Turns
from toolkit.records import Part

Predict = Callable[[Sequence[np.ndarray]], Sequence[Any]]
"""Crops (H, W, 3) uint8 BGR of any sizes in, one prediction for each out; several threads call it at once."""

# In full batches a picture costs less: see "Live" in docs/performance.md.
_PATIENT_WAIT = 10


class Inference:
    """Calls the model for many frames at once, in threads of its own.

    A batch closes when it is full, and otherwise when its oldest crop has waited ``max_wait_s`` and no other
    call is running: what comes while the model is busy waits for it, so that batches grow with the load. A
    patient job waits ten times as long, unless others in its batch do not. Only full batches run side by
    side. That suits a model that uses one core: a second core helps when there is more to do than the first
    one can, and is left to the cameras when there is not.

    Args:
        predict: see :data:`Predict`.
        batch_size: most crops in one call; a frame that has more gets a call of its own.
        max_wait_s: see above.
        calls_at_a_time: number of threads.
        on_answered: told of the jobs of a batch when its call is over, from one of the threads.
        predict_bodies: asked for those crops of a batch that show bodies; ``predict`` gets the others.
        turns: of those who read recordings, where the model uses the cores that they use. A call for patient
            jobs alone takes one of them and computes on one core: with one reader less beside it, nobody
            loses core and cache to it.

    Raises:
        ConfigError: a size or time that makes no sense.
    """

    def __init__(
        self,
        predict: Predict,
        batch_size: int,
        max_wait_s: float,
        calls_at_a_time: int,
        on_answered: Callable[[Sequence[Job]], None],
        predict_bodies: Predict | None = None,
        turns: Turns | None = None,
    ) -> None:
        check_settings(batch_size, max_wait_s, predict)
        self._predict = predict
        self._predict_bodies = predict_bodies or predict
        self._turns = turns
        self._batch_size = batch_size
        self._max_wait_s = max_wait_s
        self._on_answered = on_answered
        self._waiting: deque[Job] = deque()
        self._crops = 0
        self._running = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._books = BatchBooks()
        self._threads = [
            threading.Thread(target=self._run, name=f"model-{number}", daemon=True)
            for number in range(calls_at_a_time)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def change(self, batch_size: int, max_wait_s: float) -> None:
        """Form batches so from now on; what waits is not lost.

        Raises:
            ConfigError: a size or time that makes no sense.
        """
        check_settings(batch_size, max_wait_s, self._predict)
        with self._changed:
            self._batch_size, self._max_wait_s = batch_size, max_wait_s
            # What waits may be full now, or due earlier.
            self._changed.notify_all()

    def use(self, predict: Predict, turns: Turns | None) -> None:
        """Call this model from the next batch on, in such turns; the one before ends the call that runs."""
        with self._changed:
            self._predict, self._turns = predict, turns

    def submit(self, job: Job) -> None:
        """Leave a job that has crops; they stay together in one call.

        Raises:
            RuntimeError: it is closed.
        """
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the model takes no more crops: the street is being stopped")
            self._waiting.append(job)
            self._crops += len(job.crops)
            is_first = len(self._waiting) == 1 or (self._waiting[-2].is_patient and not job.is_patient)
            # In between nothing changes for a thread: it sleeps until the first job is due.
            if is_first or self._crops >= self._batch_size:
                self._changed.notify()

    def close(self, timeout_s: float) -> bool:
        """Process what waits and end the threads; may be called twice, or never started. False when stuck."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def get_statistics(self) -> dict[str, Any]:
        """Crops, batches and why they closed, sizes and times; see :meth:`BatchBooks.statistics`."""
        with self._changed:
            return self._books.statistics(self._crops)

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            with self._turn_for(batch):
                self._call(batch)

    def _next_batch(self) -> list[Job] | None:
        """Wait for a batch; None when it is closed and nothing is left."""
        with self._changed:
            while (reason := self._reason_to_close()) is None:
                if self._is_closed and not self._waiting:
                    return None
                self._changed.wait(self._until_due_s())
            batch = [self._waiting.popleft()]
            crops = len(batch[0].crops)
            while self._waiting and crops + len(self._waiting[0].crops) <= self._batch_size:
                batch.append(self._waiting.popleft())
                crops += len(batch[-1].crops)
            self._crops -= crops
            self._running += 1
            self._books.closed(reason, crops)
            return batch

    def _reason_to_close(self) -> Reason | None:
        if not self._waiting:
            return None
        if self._crops >= self._batch_size:
            return "full"
        if self._is_closed:
            return "flush"
        return "due" if not self._running and time.monotonic() >= self._due_at() else None

    def _due_at(self) -> float:
        waits_s = (self._max_wait_s, self._max_wait_s * _PATIENT_WAIT)
        return min(job.looked_at + waits_s[job.is_patient] for job in self._waiting)

    def _until_due_s(self) -> float | None:
        """How long to sleep; None until something changes."""
        if not self._waiting or self._running:
            return None
        return max(0.0, self._due_at() - time.monotonic())

    @contextmanager
    def _turn_for(self, batch: list[Job]) -> Iterator[None]:
        turns = self._turns
        if turns is None or not all(job.is_patient for job in batch):
            yield
            return
        # Who waits for a turn is not running: what comes meanwhile and is due goes before.
        self._count_running(-1)
        with turns.ahead(), one_core():
            self._count_running(1)
            yield

    def _count_running(self, calls: int) -> None:
        with self._changed:
            self._running += calls
            if calls < 0 and self._waiting:
                self._changed.notify()

    def _call(self, batch: list[Job]) -> None:
        started = time.monotonic()
        error: BaseException | None = None
        answers: dict[Part, Iterator[Any]] = {}
        try:
            models: dict[Part, Predict] = {"face": self._predict, "body": self._predict_bodies}
            for part, predict in models.items():
                crops = _crops_of(batch, part)
                answers[part] = iter(one_each(len(crops), predict(crops) if crops else ()))
        except BaseException as raised:  # noqa: BLE001 - whatever the model raises fails its frames alone
            error = raised
        with self._changed:
            self._running -= 1
            self._books.took(started - batch[0].looked_at, time.monotonic() - started)
            if error is not None:
                self._books.failed(sum(len(job.crops) for job in batch))
            if self._waiting:
                self._changed.notify()
        for job in batch:
            job.error = error
            if error is None:
                job.answers = [next(answers[part]) for part in job.parts]
        self._on_answered(batch)


def _crops_of(batch: Sequence[Job], part: Part) -> list[np.ndarray]:
    return [crop for job in batch for crop, shows in zip(job.crops, job.parts, strict=True) if shows == part]
