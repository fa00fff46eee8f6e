"""One family of errors: what was expected, what came, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable


class ToolkitError(Exception):
    """Root of every error this package raises on purpose; the command line shows its text alone."""


class ConfigError(ToolkitError, ValueError):
    """A setting is unknown, has the wrong type, or contradicts another one."""


class ShapeError(ToolkitError, ValueError):
    """An array does not have the shape or dtype a function needs."""


class SourceError(ToolkitError, OSError):
    """A camera, file or address could not be opened, or stopped in the middle of a read."""


class AccessRefused(SourceError):
    """A camera knows the address and does not let this user in; trying again soon may lock the account."""


class QueueUnavailable(ToolkitError, ConnectionError):
    """Redis does not answer; the text names its address without the password."""


class StoreUnavailable(ToolkitError, ConnectionError):
    """The MLflow store cannot be read or written; the text names its address without the password."""


class QueueFull(ToolkitError):
    """A bounded queue has no room, and its policy is to refuse."""


class TaskError(ToolkitError, ValueError):
    """A task lacks a field, carries something that cannot travel, or failed in its handler."""


class BatchSizeMismatch(ToolkitError, RuntimeError):
    """A batch function returned another number of results than it was given items."""


class DataError(ToolkitError, ValueError):
    """A data set is missing, or one of its rows cannot be used; the text names the row."""


class ModelError(ToolkitError, RuntimeError):
    """A model file is missing, damaged, or does not fit the network it is meant for."""


_NAMED = 40
"""Most names that a message lists."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known word, or all of them: the tail of a "no such ..." message.

    Where there are many, some of them from all over the alphabet.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    some = names[:: max(1, len(names) // _NAMED)][:_NAMED]
    more = f" and {len(names) - len(some):,} more" if len(names) > len(some) else ""
    return f"known: {', '.join(some)}{more}"


def text_of(error: BaseException, write: Callable[[BaseException], str] = str) -> str:
    """What an error says, also where it raises when it is asked: that must not end the thread that asks.

    Args:
        error: anything that was raised, by whose code it may be.
        write: ``str`` or ``repr``.
    """
    try:
        return write(error)
    except Exception as failure:  # noqa: BLE001 - somebody else's __str__ or __repr__
        return f"<{type(error).__name__} without a text: its own raises {type(failure).__name__}>"
