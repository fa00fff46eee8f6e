"""Where things wait for the next stage: newest wins on a live camera, nothing is lost from a recording."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Items for one reader, oldest first.

    Args:
        capacity: most items that wait at a time; then ``put`` waits for room.
        newest_wins: keep only the newest item and drop the one before it: what a live camera needs.
        on_drop: told of every item that nobody will take; called under the lock, so it must be quick.
        changed: condition notified on every change; a :class:`MailRoom` shares one between its mailboxes.
    """

    def __init__(
        self,
        capacity: int,
        newest_wins: bool = False,
        on_drop: Callable[[T], None] = lambda item: None,
        changed: threading.Condition | None = None,
    ) -> None:
        self.newest_wins = newest_wins
        self._capacity = capacity
        self._on_drop = on_drop
        self._changed = changed or threading.Condition(threading.RLock())
        self._items: deque[T] = deque()
        self._is_closed = False

    def put(self, item: T) -> None:
        """Leave an item; after ``close`` it is dropped."""
        dropped: list[T] = []
        with self._changed:
            while not (self._is_closed or self.newest_wins or len(self._items) < self._capacity):
                self._changed.wait()
            if self._is_closed:
                dropped.append(item)
            else:
                if self.newest_wins:
                    dropped.extend(self._items)
                    self._items.clear()
                self._items.append(item)
            self._drop(dropped)
            self._changed.notify_all()

    def take(self) -> T | None:
        """Wait for the oldest item; None when the mailbox is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._is_closed)
            return self.take_now()

    def take_now(self) -> T | None:
        """The oldest item, None when there is none."""
        with self._changed:
            if not self._items:
                return None
            self._changed.notify_all()
            return self._items.popleft()

    def close(self, drop_waiting: bool = False) -> None:
        """Take nothing more in. Waiting items can still be taken, unless they are to be dropped."""
        with self._changed:
            self._is_closed = True
            dropped = list(self._items) if drop_waiting else []
            if drop_waiting:
                self._items.clear()
            self._drop(dropped)
            self._changed.notify_all()

    def _drop(self, items: list[T]) -> None:
        # Under the lock, before the notice: who waits for the last frame to be settled wakes to find it so.
        for item in items:
            self._on_drop(item)

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._is_closed

    def __len__(self) -> int:
        return len(self._items)


class MailRoom(Generic[T]):
    """The mailboxes of many cameras, emptied in turn by one reader; boxes come and go while it waits."""

    def __init__(self) -> None:
        # Reentrant, because taking from a box locks what the room has locked already.
        self.changed = threading.Condition(threading.RLock())
        self._boxes: list[Mailbox[T]] = []
        self._is_closed = False

    def add(self, box: Mailbox[T]) -> None:
        """Serve one more mailbox; it must share ``changed``."""
        with self.changed:
            self._boxes.append(box)
            self.changed.notify_all()

    def remove(self, box: Mailbox[T]) -> None:
        """Serve it no longer."""
        with self.changed:
            self._boxes.remove(box)

    def take(self) -> T | None:
        """Wait for the oldest item of the next mailbox in turn that has one; None when the room is closed."""
        with self.changed:
            self.changed.wait_for(lambda: self._is_closed or any(map(len, self._boxes)))
            for number, box in enumerate(self._boxes):
                if not self._is_closed and (item := box.take_now()) is not None:
                    # The box goes to the end of the row, so a fast camera cannot starve a slow one.
                    self._boxes.append(self._boxes.pop(number))
                    return item
            return None

    def close(self) -> None:
        """Let the reader go; what waits in the boxes stays there."""
        with self.changed:
            self._is_closed = True
            self.changed.notify_all()
