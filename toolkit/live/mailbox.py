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
        room: where it hangs, if it is one of several that are emptied together.
    """

    def __init__(
        self,
        capacity: int,
        newest_wins: bool = False,
        on_drop: Callable[[T], None] = lambda item: None,
        room: MailRoom[T] | None = None,
    ) -> None:
        self.newest_wins = newest_wins
        self._capacity = capacity
        self._on_drop = on_drop
        self._room = room or MailRoom()
        # Of its own: one for all would wake the writers of sixteen cameras whenever one of them has room.
        self._has_room = threading.Condition(self._room.lock)
        self._items: deque[T] = deque()
        self._is_closed = False

    def put(self, item: T) -> None:
        """Leave an item; after ``close`` it is dropped."""
        dropped: list[T] = []
        with self._room.lock:
            while not (self._is_closed or self.newest_wins or len(self._items) < self._capacity):
                self._has_room.wait()
            if self._is_closed:
                dropped.append(item)
            else:
                if self.newest_wins:
                    dropped.extend(self._items)
                    self._items.clear()
                self._items.append(item)
                self._room.arrived.notify()
            self._drop(dropped)

    @property
    def has_room(self) -> bool:
        """Whether something can be put without waiting, and somebody may take it."""
        return not self._is_closed and len(self._items) < self._capacity

    def wait_for_room(self) -> None:
        """Wait until :attr:`has_room`, or the mailbox is closed."""
        with self._room.lock:
            self._has_room.wait_for(lambda: self.has_room or self._is_closed)

    def take(self) -> T | None:
        """Wait for the oldest item; None when the mailbox is closed and empty."""
        with self._room.lock:
            self._room.arrived.wait_for(lambda: self._items or self._is_closed)
            return self.take_now()

    def take_now(self) -> T | None:
        """The oldest item, None when there is none."""
        with self._room.lock:
            if not self._items:
                return None
            self._has_room.notify()
            return self._items.popleft()

    def close(self, drop_waiting: bool = False) -> None:
        """Take nothing more in. Waiting items can still be taken, unless they are to be dropped."""
        with self._room.lock:
            self._is_closed = True
            dropped = list(self._items) if drop_waiting else []
            if drop_waiting:
                self._items.clear()
            self._drop(dropped)
            self._has_room.notify_all()
            self._room.tell_all()

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
    """The mailboxes of many cameras, emptied in turn by any number of readers; boxes come and go meanwhile.

    Attributes:
        lock: of the room and all its boxes; reentrant, because taking from a box locks what the room has
            locked already.
        arrived: an item has come, or one that nobody was allowed to take may be taken now.
        freed: there may be room again for those who bring their items themselves.
        changed: a box was closed, or whatever else somebody may be waiting for has come about.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.arrived = threading.Condition(self.lock)
        self.freed = threading.Condition(self.lock)
        self.changed = threading.Condition(self.lock)
        self._boxes: list[Mailbox[T]] = []
        self._is_closed = False

    def add(self, box: Mailbox[T]) -> None:
        """Serve one more mailbox; it must have been made for this room."""
        with self.lock:
            self._boxes.append(box)
            self.tell_all()

    def remove(self, box: Mailbox[T]) -> None:
        """Serve it no longer; nothing happens when it is not served."""
        with self.lock:
            if box in self._boxes:
                self._boxes.remove(box)

    def take(self, may_take: Callable[[Mailbox[T]], bool] = lambda box: True) -> tuple[Mailbox[T], T] | None:
        """Wait for the oldest item of the next mailbox in turn that has one; None when the room is closed.

        Args:
            may_take: whether a box may be taken from now; asked under the lock, so it must be quick. When it
                would answer otherwise than before, notify ``arrived``.

        Returns:
            The box and the item.
        """
        with self.lock:
            while not self._is_closed:
                for number, box in enumerate(self._boxes):
                    if len(box) and may_take(box) and (item := box.take_now()) is not None:
                        # To the end of the row, so a fast camera cannot starve a slow one.
                        self._boxes.append(self._boxes.pop(number))
                        return box, item
                self.arrived.wait()
            return None

    def close(self) -> None:
        """Let the readers go; what waits in the boxes stays there."""
        with self.lock:
            self._is_closed = True
            self.tell_all()

    def tell_all(self) -> None:
        """Wake everybody who waits for anything but room in a box."""
        with self.lock:
            self.arrived.notify_all()
            self.freed.notify_all()
            self.changed.notify_all()
