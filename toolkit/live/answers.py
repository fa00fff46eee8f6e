"""Answers that callers wait for, woken one after the other."""

from __future__ import annotations

import contextlib
import threading
from _thread import LockType, allocate_lock
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from threading import TIMEOUT_MAX, get_ident
from time import monotonic
from typing import Any

from toolkit.live.regulars import Regulars


class Answer:
    """What a batch will say to one item: its own result, or the error of its batch.

    It is a future that costs little: a caller that never has to wait allocates nothing for it, one that has
    to waits on a bare lock.

    Attributes:
        item: what was handed in; None when the answer is there.
        caller: ident of the thread that handed it in.
        added_at: when, by ``time.monotonic``.
    """

    __slots__ = ("_error", "_gates", "_line", "_result", "_room", "added_at", "caller", "item")

    def __init__(self, room: WaitingRoom, item: Any) -> None:
        self.item = item
        self.caller = get_ident()
        self.added_at = monotonic()
        self._room = room
        self._result: Any = None
        self._error: BaseException | None = None
        # One for each thread that waits; mostly there is one thread.
        self._gates: tuple[tuple[LockType, int], ...] = ()
        # Who waits for any answer of the same batch; set when the answers are there.
        self._line: deque[LockType] | None = None

    def done(self) -> bool:
        """Whether the answer is there."""
        return self._line is not None

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the answer and return the item's result.

        Args:
            timeout: the longest to wait, in seconds; None waits as long as it takes.

        Raises:
            TimeoutError: the answer was not there in time; the item stays in its batch.
            BaseException: whatever ``process_fn`` raised for the batch.
        """
        if self._line is None:
            self._wait(timeout)
        if self._error is not None:
            raise self._error
        return self._result

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the answer and return the error of its batch, None when there is none.

        Raises:
            TimeoutError: as :meth:`result`.
        """
        if self._line is None:
            self._wait(timeout)
        return self._error

    def _wait(self, timeout: float | None) -> None:
        gate = closed_gate()
        if self._room.stand(self, gate):
            self.wait_at(gate, timeout)

    def wait_at(self, gate: LockType, timeout: float | None) -> None:
        """Wait for the answer at a gate at which :class:`WaitingRoom` knows this caller to stand.

        Raises:
            TimeoutError: as :meth:`result`.
        """
        is_open = False
        try:
            is_open = gate.acquire(timeout=-1 if timeout is None else min(max(timeout, 0.0), TIMEOUT_MAX))
        finally:
            # Also after Ctrl-C: nobody behind this caller may wait for it.
            if is_open:
                _open_next(self._line)
            else:
                self._room.step_aside(self, gate)
        if self._line is None:
            raise TimeoutError(f"no answer within {timeout} s; the item is still waiting or being processed")


class WaitingRoom:
    """Where the callers of one processor stand until their answers are there.

    When a batch is done its callers are let out one by one, each opening the gate of the next before it goes
    on: woken all at once they would sleep a second time, in the queue for the interpreter's lock.

    Args:
        patience_s: see :class:`Regulars`.
        on_all_here: called, with ``lock`` held, when one more caller waits and nobody is awaited.
    """

    def __init__(self, patience_s: float, on_all_here: Callable[[], None]) -> None:
        self.lock = threading.Lock()
        self.regulars = Regulars(patience_s)
        self.standing = 0
        self._line: deque[LockType] = deque()
        self._on_all_here = on_all_here

    def stand(self, answer: Answer, gate: LockType) -> bool:
        """Let the calling thread wait for an answer at its gate; False when the answer is there already."""
        with self.lock:
            if answer._line is not None:
                return False
            self.let_stand(answer, gate, get_ident())
        return True

    def let_stand(self, answer: Answer, gate: LockType, caller: int) -> None:
        """The same for an answer that is not there; the lock is held."""
        answer._gates += ((gate, caller),)
        self.standing += 1
        # It brings nothing until it has its answer.
        self.regulars.awaited.discard(caller)
        if not self.regulars.awaited:
            self._on_all_here()

    def step_aside(self, answer: Answer, gate: LockType) -> None:
        """A caller leaves its gate though it was not let out."""
        with self.lock:
            if answer._line is None:
                answer._gates = tuple(other for other in answer._gates if other[0] is not gate)
                self.standing -= 1
                return
            with contextlib.suppress(ValueError):
                answer._line.remove(gate)
                return
        # Its gate was opened in this very moment: the next caller's turn came with it.
        _open_next(answer._line)

    def settle(
        self, answers: list[Answer], results: Iterable[Any], error: BaseException | None = None
    ) -> None:
        """The answers of one batch are there; :meth:`let_go` wakes those who wait for them."""
        line: deque[LockType] = deque()
        self._line = line
        with self.lock:
            callers: list[Hashable] = []
            for answer, result in zip(answers, results, strict=True):
                answer._result, answer._error = result, error
                answer.item = None
                answer._line = line
                for gate, caller in answer._gates:
                    line.append(gate)
                    callers.append(caller)
            self.standing -= len(line)
            # All of them are on their way back now, though the last one is let out a little later.
            self.regulars.left(callers, monotonic())

    def let_go(self) -> None:
        """Wake the first of those whose answers are there.

        To be called right before the calling thread sleeps or begins something long: woken any earlier, the
        caller would only wait for the interpreter's lock.
        """
        line, self._line = self._line, deque()
        _open_next(line)


def closed_gate() -> LockType:
    """A gate to wait at: who opens it calls its ``release``."""
    gate = allocate_lock()
    gate.acquire()
    return gate


def _open_next(line: deque[LockType] | None) -> None:
    # Two callers may be here at a time, after one stepped aside: hence no look before the leap.
    try:
        gate = line.popleft()  # type: ignore[union-attr]
    except IndexError:
        return
    gate.release()
