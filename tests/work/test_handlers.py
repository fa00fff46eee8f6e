"""Handlers: found by name, run alone or in batches, and never able to stop a worker."""

from __future__ import annotations

import asyncio
import sys

import pytest

from toolkit.errors import BatchSizeMismatch, ConfigError, TaskError
from toolkit.work.handlers import Handlers, resolve_handlers, run_handler, takes_batch


def _double(task):
    return 2 * task["n"]


HANDLERS = {"double": _double}


def make_handlers():
    return HANDLERS


@pytest.mark.parametrize(
    "source", [HANDLERS, make_handlers, f"{__name__}:HANDLERS", f"{__name__}:make_handlers"]
)
def test_handlers_are_found_in_every_form(source):
    assert resolve_handlers(source) == {"double": _double}


def test_handlers_are_written_down_by_decorator():
    handlers = Handlers()

    @handlers.on("triple")
    def triple(task):
        return 3 * task["n"]

    assert resolve_handlers(handlers)["triple"]({"n": 2}) == triple({"n": 2}) == 6


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("nothing", "named 'module:attribute', got 'nothing'"),
        ("no_such_module_here:x", "cannot be imported: No module named"),
        (f"{__name__}:HANDLER", "did you mean 'HANDLERS'"),
        (f"{__name__}:sys", "gives a module"),
        ({"a": 1}, "must be {task type: function}"),
        (lambda: None, "gives a NoneType"),
    ],
)
def test_what_holds_no_handlers_is_refused(source, text):
    assert sys is not None
    with pytest.raises(ConfigError, match=text):
        resolve_handlers(source)


@pytest.mark.parametrize("task_type", ["dobule", None, 7, ["double"]])
def test_an_unknown_type_fails_and_names_the_nearest(task_type):
    (error,) = run_handler(HANDLERS, [{"type": task_type}])

    assert isinstance(error, TaskError)
    assert "no handler for tasks of type" in str(error)
    assert "double" in str(error)


def test_a_handler_that_exits_the_interpreter_only_fails_its_task():
    (error,) = run_handler({"exit": lambda task: sys.exit(3)}, [{"type": "exit"}])

    assert isinstance(error, SystemExit)


def test_what_a_handler_raises_that_is_no_exception_only_fails_its_task():
    def cancelled(task):
        raise asyncio.CancelledError

    (error,) = run_handler({"cancelled": cancelled}, [{"type": "cancelled"}])

    assert isinstance(error, asyncio.CancelledError)


@takes_batch(max_items=4)
def _inverse(tasks):
    return [1 / task["n"] for task in tasks]


def _batch(*numbers):
    return [{"type": "inverse", "n": n} for n in numbers]


def test_a_batch_handler_gets_its_tasks_at_once():
    sizes = []
    handler = takes_batch(8)(lambda tasks: sizes.append(len(tasks)) or [0] * len(tasks))

    run_handler({"inverse": handler}, _batch(1, 2, 3))

    assert sizes == [3]


def test_a_bad_task_does_not_fail_its_batch():
    results = run_handler({"inverse": _inverse}, _batch(1, 0, 4))

    assert results[0] == 1
    assert isinstance(results[1], ZeroDivisionError)
    assert results[2] == 0.25


@pytest.mark.parametrize(("returned", "text"), [([1], "returned 1 results"), (None, "returned a NoneType")])
def test_a_batch_handler_owes_one_result_per_task(returned, text):
    handler = takes_batch(8)(lambda tasks: returned)

    results = run_handler({"inverse": handler}, _batch(1, 2))

    assert all(isinstance(error, BatchSizeMismatch) and text in str(error) for error in results)


def test_a_batch_of_none_is_refused():
    with pytest.raises(ConfigError, match="max_items=0"):
        takes_batch(0)
    with pytest.raises(ConfigError, match=r"max_items=1\.5"):
        takes_batch(1.5)
