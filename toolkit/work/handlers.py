"""What is done with a task: one function per task type, found by name, that cannot stop its worker."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any, TypeVar

from toolkit.errors import BatchSizeMismatch, ConfigError, TaskError, did_you_mean, text_of

_log = logging.getLogger(__name__)

Handler = Callable[..., Any]
"""Takes a task and returns its result; one marked by :func:`takes_batch` takes and returns a list."""

HandlerSource = str | Mapping[str, Handler] | Callable[[], Mapping[str, Handler]]
"""Handlers by task type, a function that makes them, or the "module:attribute" of either."""

_AnyHandler = TypeVar("_AnyHandler", bound=Handler)
_AnyFactory = TypeVar("_AnyFactory", bound=Callable[[], Mapping[str, Handler]])


class Handlers(dict[str, Handler]):
    """Handlers by task type, written down where they are defined.

    >>> handlers = Handlers()
    >>> @handlers.on("double")
    ... def double(task):
    ...     return 2 * task["n"]
    >>> handlers["double"]({"n": 4})
    8
    """

    def on(self, task_type: str) -> Callable[[_AnyHandler], _AnyHandler]:
        """Make the decorated function the handler of ``task_type``."""

        def register(handler: _AnyHandler) -> _AnyHandler:
            self[task_type] = handler
            return handler

        return register


def per_worker(make: _AnyFactory) -> _AnyFactory:
    """Mark a function that makes handlers: every worker gets its own, threads too.

    Without the mark the threads of one process share what it makes, such as one loaded model. It is for
    handlers whose state is not safe to share.

    >>> @per_worker
    ... def handlers():
    ...     seen = []
    ...     return {"count": lambda task: seen.append(task) or len(seen)}
    """
    make.is_per_worker = True  # type: ignore[attr-defined]
    return make


def is_per_worker(source: HandlerSource) -> bool:
    """Whether every worker gets handlers of its own from this source; see :func:`per_worker`.

    Raises:
        ConfigError: there is no such module or attribute.
    """
    found = _import(source) if isinstance(source, str) else source
    return getattr(found, "is_per_worker", False)


def takes_batch(max_items: int) -> Callable[[_AnyHandler], _AnyHandler]:
    """Mark a handler that takes a list of up to ``max_items`` tasks and returns one result for each.

    A result that is an exception fails its task alone. When the call itself raises, every task is tried
    again alone, so that one bad task does not fail its neighbours.

    Raises:
        ConfigError: ``max_items`` is no whole number, or below 1.
    """
    if not (isinstance(max_items, Integral) and max_items >= 1):
        raise ConfigError(f"a batch holds at least 1 task, got max_items={max_items!r}; whole numbers only")

    def mark(handler: _AnyHandler) -> _AnyHandler:
        handler.max_items = max_items  # type: ignore[attr-defined]
        return handler

    return mark


def reads_in_place(handler: _AnyHandler) -> _AnyHandler:
    """Mark a handler that does not write to the arrays of its tasks: in shared memory none is copied for it.

    Such arrays are read-only. One that is kept stays as it is, as does whatever refers to its memory, such as
    a part of it or a tensor made from it; but while it lives, its place in shared memory is not used again,
    so that what is to be kept for long is better copied. Arrays that came another way may be writable.

    >>> @reads_in_place
    ... def brightness(task):
    ...     return float(task["frame"].mean())
    """
    handler.reads_in_place = True  # type: ignore[attr-defined]
    return handler


def types_in_place(handlers: Mapping[str, Handler]) -> frozenset[str]:
    """The task types whose handlers are marked by :func:`reads_in_place`."""
    return frozenset(name for name, handler in handlers.items() if getattr(handler, "reads_in_place", False))


def batch_size(handler: Handler | None) -> int:
    """How many tasks a handler takes at once; 0 for one that takes a single task."""
    return getattr(handler, "max_items", 0)


def resolve_handlers(source: HandlerSource) -> dict[str, Handler]:
    """Find and, where a function makes them, make the handlers; this is where a model is loaded.

    Raises:
        ConfigError: there is no such module or attribute, or it holds no handlers.
    """
    found: Any = _import(source) if isinstance(source, str) else source
    if callable(found) and not isinstance(found, Mapping):
        found = found()
    if not isinstance(found, Mapping) or not all(
        isinstance(k, str) and callable(v) for k, v in found.items()
    ):
        raise ConfigError(
            f"handlers must be {{task type: function}}, or a function that returns it; "
            f"{source!r} gives a {type(found).__name__}"
        )
    return dict(found)


def task_types(source: HandlerSource) -> list[str] | None:
    """The task types a source names, sorted; None where a function makes the handlers, which is not called.

    Raises:
        ConfigError: there is no such module or attribute.
    """
    found = _import(source) if isinstance(source, str) else source
    return sorted(found) if isinstance(found, Mapping) else None


def run_handler(handlers: Mapping[str, Handler], tasks: Sequence[dict[str, Any]]) -> list[Any]:
    """Run tasks of one type; per task what the handler returned, or the exception that stopped it."""
    task_type = tasks[0].get("type")
    handler = handlers.get(task_type) if isinstance(task_type, str) else None
    if handler is None:
        hint = did_you_mean(str(task_type), handlers) if handlers else "this worker has no handlers"
        return [TaskError(f"no handler for tasks of type {task_type!r}; {hint}")] * len(tasks)
    if not batch_size(handler):
        return [_attempt(handler, task) for task in tasks]
    results = _attempt(handler, list(tasks))
    if isinstance(results, BaseException):
        if len(tasks) == 1:
            return [results]
        _log.warning(
            "a batch of %d %r tasks failed (%s); each is tried alone", len(tasks), task_type, text_of(results)
        )
        return [run_handler(handlers, [task])[0] for task in tasks]
    if not isinstance(results, Sequence) or len(results) != len(tasks):
        got = f"{len(results)} results" if isinstance(results, Sequence) else f"a {type(results).__name__}"
        text = f"the handler of {task_type!r} was given {len(tasks)} tasks and returned {got}"
        return [BatchSizeMismatch(text)] * len(tasks)
    return list(results)


def _attempt(handler: Handler, argument: Any) -> Any:
    try:
        return handler(argument)
    # Also what is no Exception, as a cancelled coroutine or a panic in Rust: a worker that ended by it would
    # leave its task in hand for ever.
    except BaseException as error:  # noqa: BLE001 - a handler may raise anything, the worker goes on
        return error


def _import(text: str) -> Any:
    module_name, _, attribute = text.partition(":")
    # What begins with a dot is the path of a file, or relative to a package that is not told.
    if not module_name or not attribute or module_name.startswith("."):
        raise ConfigError(f"handlers are named 'module:attribute', got {text!r}")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, SyntaxError) as error:
        raise ConfigError(f"handlers {text!r} cannot be imported: {error}") from error
    if not hasattr(module, attribute):
        raise ConfigError(f"{module_name} has no {attribute!r}; {did_you_mean(attribute, vars(module))}")
    return getattr(module, attribute)
