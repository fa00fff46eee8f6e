"""What a batch costs: nothing, or as much as a model that is slow to start and quick to go on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

BATCH_SIZE = 32
MAX_WAIT_S = 0.005
CALL_S = 0.005
ITEM_S = 0.0002

Items = list[int]
"""What the callers hand in; the answer to an item is the item itself, so that a caller knows its own."""


def sleep_no_longer_than_asked() -> None:
    """Let the sleeps of threads started from now on end in time.

    To put wake-ups together, Linux lets every sleep last up to 50 us longer than asked for: the model would
    cost more than is told of it, and more than the ideal counts.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/timerslack_ns").write_text("1", encoding="ascii")


def cost_s(items: int) -> float:
    """What one batch of so many items costs, in seconds."""
    return CALL_S + ITEM_S * items


class Ideal:
    """Every batch holds as many as it can, and nothing but the model takes any time: arithmetic."""

    form = "arithmetic"

    @staticmethod
    def rate_per_s(callers: int) -> float:
        """Items a second."""
        most = min(callers, BATCH_SIZE)
        return most / cost_s(most)


def no_op(items: Items) -> Items:
    """A batch for nothing: what is left is the batching."""
    return items


def model(items: Items) -> Items:
    """A batch at the cost of a model."""
    time.sleep(cost_s(len(items)))
    return items


async def async_no_op(items: Items) -> Items:
    """:func:`no_op` in an event loop."""
    return items


async def async_model(items: Items) -> Items:
    """:func:`model` in an event loop."""
    await asyncio.sleep(cost_s(len(items)))
    return items


def check_own(sent: int, answer: int) -> None:
    """Raise RuntimeError when a caller was given the answer to another's item."""
    if answer != sent:
        raise RuntimeError(f"a caller sent {sent} and was given the answer to {answer}")
