"""Tasks held for the length of a block: renewed meanwhile, done at its end, put back when it raises."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.errors import QueueUnavailable, text_of
from toolkit.work.in_hand import TaskInHand

if TYPE_CHECKING:
    from toolkit.work.task_queue import TaskQueue

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def held(queue: TaskQueue, in_hand: list[TaskInHand]) -> Iterator[None]:
    """Hold tasks together: all done, or, when the block raises, all tried again.

    One that was tried as often as the queue allows goes to the dead letters.
    """
    try:
        with _renewing(queue, in_hand):
            yield
    except BaseException as error:
        again = [hand for hand in in_hand if hand.attempt < queue.max_attempts]
        queue.put_back(again, is_retry=True)
        text = f"{type(error).__name__}: {text_of(error)}"
        queue.finish(hand.failed(text) for hand in in_hand if hand not in again)
        raise
    queue.finish(hand.done() for hand in in_hand)


@contextlib.contextmanager
def _renewing(queue: TaskQueue, in_hand: list[TaskInHand]) -> Iterator[None]:
    if not in_hand:
        yield
        return
    is_over = threading.Event()

    def renew() -> None:
        while not is_over.wait(queue.lease_s / 3):
            try:
                queue.renew(in_hand)
            except QueueUnavailable as error:
                _log.warning("a lease could not be renewed: %s", error)

    thread = threading.Thread(target=renew, name=f"lease-{queue.name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
