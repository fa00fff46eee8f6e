"""Many items, one call: collect until full or due."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from toolkit.errors import BatchSizeMismatch, ConfigError, ShapeError
from toolkit.stats import LatencyMeter

# A processor nobody feeds lets its thread go after this long, so that one that was never closed leaves none.
_IDLE_S = 0.5


class BatchProcessor:
    """Runs ``process_fn`` once for many items, in a thread of its own.

    A batch closes when it holds ``batch_size`` items or when its oldest item has waited ``timeout`` seconds,
    whichever comes first; nobody has to add another item for that. Two ways in:

    * :meth:`submit` gives each caller the future of its own item; for many threads.
    * :meth:`add_item` and :meth:`flush` give results in the order of the items; for one loop.

    Args:
        batch_size: most items in a batch.
        timeout: longest wait of an item for others, in seconds.
        process_fn: takes a list of items and returns one result for each, in order.

    Raises:
        ConfigError: a size or time that makes no sense, or a ``process_fn`` that cannot be called.
    """

    def __init__(
        self,
        batch_size: int = 10,
        timeout: float = 1.0,
        process_fn: Callable[[list[Any]], Sequence[Any]] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size!r}")
        if not timeout >= 0:
            raise ConfigError(f"timeout must be 0 s or more, got {timeout!r}")
        if not callable(process_fn):
            raise ConfigError(
                f"process_fn must be a function that takes a list of items and returns one result for each, "
                f"got {process_fn!r}"
            )
        self._batch_size = batch_size
        self._timeout_s = float(timeout)
        self._process_fn = process_fn
        self._waiting: deque[tuple[Any, Future, float]] = deque()
        self._own = threading.local()
        self._undelivered: list[deque[Future]] = []
        # A flush takes from the lists of other threads.
        self._delivering = threading.Lock()
        self._changed = threading.Condition()
        self._flush_up_to = 0
        self._submitted = 0
        self._taken = 0
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._closed_by = {"full": 0, "due": 0, "flush": 0}
        self._failed_items = 0
        self._processing = LatencyMeter()
        self._wait = LatencyMeter()

    def submit(self, item: Any) -> Future:
        """Add one item; its future holds its own result, or the error of its batch.

        Raises:
            RuntimeError: the processor is closed.
        """
        return self.submit_many([item])[0]

    def submit_many(self, items: Sequence[Any]) -> list[Future]:
        """Add items at once, so that none of them leaves in a batch before the others are there."""
        return self._submit(items)[0]

    def add_item(self, item: Any) -> list[Any] | None:
        """Add one item.

        Returns:
            The results of this caller's items that are ready, in order: a whole batch when this item filled
            it, those of a batch that fell due in the meantime, or None when there are none.

        Raises:
            Exception: whatever ``process_fn`` raised, once for each batch that failed.
        """
        [future], is_full = self._submit([item])
        mine = self._my_futures()
        mine.append(future)
        if is_full:
            _wait_for([future])
        with self._delivering:
            return _ready_results(mine) or None

    def flush(self) -> list[Any]:
        """Process what waits now and return every result not returned yet, of all callers of ``add_item``."""
        with self._changed:
            self._flush_up_to = self._submitted
            self._changed.notify_all()
        results: list[Any] = []
        for mine in list(self._undelivered):
            _wait_for(list(mine))
            with self._delivering:
                results.extend(_ready_results(mine))
        return results

    def get_statistics(self) -> dict[str, Any]:
        """Items, batches and why they closed, sizes and times, as plain values."""
        with self._changed:
            batches = sum(self._closed_by.values())
            return {
                "items": self._submitted,
                "waiting": len(self._waiting),
                "failed_items": self._failed_items,
                "batches": batches,
                "mean_batch_size": round(self._taken / batches, 2) if batches else 0.0,
                "closed_full": self._closed_by["full"],
                "closed_due": self._closed_by["due"],
                "closed_by_flush": self._closed_by["flush"],
                "wait_ms": self._wait.snapshot_ms(),
                "process_ms": self._processing.snapshot_ms(),
            }

    def close(self, timeout_s: float | None = None) -> bool:
        """Process what waits and end the thread; may be called twice. False when it is stuck."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def __enter__(self) -> BatchProcessor:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _my_futures(self) -> deque[Future]:
        """Futures of the calling thread's items, in order."""
        if not hasattr(self._own, "futures"):
            self._own.futures = deque()
            self._undelivered.append(self._own.futures)
        return self._own.futures

    def _submit(self, items: Sequence[Any]) -> tuple[list[Future], bool]:
        """Futures of the items, and whether the last one filled its batch."""
        futures: list[Future] = [Future() for _ in items]
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the batch processor is closed; make a new one to add items")
            now, waited_before = time.monotonic(), len(self._waiting)
            self._waiting.extend((item, future, now) for item, future in zip(items, futures, strict=True))
            self._submitted += len(items)
            # Not "at least": behind a full batch that is not taken yet, an item begins the next one.
            is_full = len(self._waiting) % self._batch_size == 0
            if self._thread is None and items:
                self._thread = threading.Thread(target=self._run, name="batch", daemon=True)
                self._thread.start()
            elif waited_before == 0 or len(self._waiting) >= self._batch_size:
                # In between nothing changes for the thread: it sleeps until the first item is due.
                self._changed.notify_all()
        return futures, is_full

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._process(batch)

    def _next_batch(self) -> list[tuple[Any, Future, float]] | None:
        """Wait for a batch; None when the processor is closed and empty, or idle."""
        with self._changed:
            idle_until = time.monotonic() + _IDLE_S
            while True:
                now = time.monotonic()
                due_at = self._waiting[0][2] + self._timeout_s if self._waiting else idle_until
                reason = self._reason_to_close(now, due_at)
                if reason is not None:
                    break
                if not self._waiting and (self._is_closed or now >= idle_until):
                    self._thread = None
                    return None
                self._changed.wait(due_at - now)
            size = min(self._batch_size, len(self._waiting))
            self._closed_by[reason] += 1
            self._taken += size
            return [self._waiting.popleft() for _ in range(size)]

    def _reason_to_close(self, now: float, due_at: float) -> str | None:
        if len(self._waiting) >= self._batch_size:
            return "full"
        if self._waiting and (self._is_closed or self._taken < self._flush_up_to):
            return "flush"
        return "due" if self._waiting and now >= due_at else None

    def _process(self, batch: list[tuple[Any, Future, float]]) -> None:
        started = time.monotonic()
        for _, _, added_at in batch:
            self._wait.add(started - added_at)
        try:
            results = self._process_fn([item for item, _, _ in batch])
            _check_one_each(len(batch), results)
        except Exception as error:  # noqa: BLE001 - the user's function: its error goes to its items
            self._failed_items += len(batch)
            for _, future, _ in batch:
                future.set_exception(error)
        else:
            for (_, future, _), result in zip(batch, results, strict=True):
                future.set_result(result)
        self._processing.add(time.monotonic() - started)


class FrameBatchProcessor(BatchProcessor):
    """Batches of frames with what is known about each: one call for many pictures.

    Args:
        batch_size: most frames in a batch.
        timeout: longest wait of a frame for others, in seconds.
        process_fn: takes ``frames`` (N, H, W, 3) uint8 and ``metadata``, a list of N; returns N results.
            Frames of different sizes in one batch are stacked, and passed on, size by size. Without one, the
            result of a frame is ``{"frame": frame, "metadata": metadata}``: a full batch comes back as it is.
    """

    def __init__(
        self,
        batch_size: int = 10,
        timeout: float = 1.0,
        process_fn: Callable[[np.ndarray, list[Any]], Sequence[Any]] | None = None,
    ) -> None:
        self._process_frames = process_fn
        super().__init__(batch_size, timeout, self._process_pairs if process_fn else _as_they_are)

    def add_frame(self, frame: np.ndarray, metadata: Any = None) -> list[Any] | None:
        """Add one frame, (H, W, 3) uint8; returns as :meth:`add_item` does.

        Raises:
            ShapeError: ``frame`` is not a picture.
        """
        if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.dtype != np.uint8:
            raise ShapeError(f"frame must be (H, W, 3) uint8, got {_describe(frame)}")
        return self.add_item((frame, metadata))

    def _process_pairs(self, pairs: list[tuple[np.ndarray, Any]]) -> list[Any]:
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for number, (frame, _) in enumerate(pairs):
            by_shape.setdefault(frame.shape, []).append(number)
        results: list[Any] = [None] * len(pairs)
        for numbers in by_shape.values():
            frames = np.stack([pairs[n][0] for n in numbers])
            answers = self._process_frames(frames, [pairs[n][1] for n in numbers])  # type: ignore[misc]
            _check_one_each(len(numbers), answers)
            for n, answer in zip(numbers, answers, strict=True):
                results[n] = answer
        return results


def _as_they_are(pairs: list[tuple[np.ndarray, Any]]) -> list[dict[str, Any]]:
    return [{"frame": frame, "metadata": metadata} for frame, metadata in pairs]


def _check_one_each(items: int, results: Sequence[Any]) -> None:
    if len(results) != items:
        raise BatchSizeMismatch(
            f"process_fn must return one result for each item: {items} items went in, {len(results)} came out"
        )


def _describe(value: Any) -> str:
    return f"{value.shape} {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__


def _wait_for(futures: list[Future]) -> None:
    for future in futures:
        future.exception()


def _ready_results(mine: deque[Future]) -> list[Any]:
    """Take the results that are ready from the left; a failed batch raises when it is the first."""
    results: list[Any] = []
    while mine and mine[0].done():
        error = mine[0].exception()
        if error is not None:
            if results:
                break
            while mine and mine[0].done() and mine[0].exception() is error:
                mine.popleft()
            raise error
        results.append(mine.popleft().result())
    return results
