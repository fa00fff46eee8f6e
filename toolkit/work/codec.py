"""Plain data to bytes and back: msgpack, an array being its dtype, its shape and its raw bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgpack
import numpy as np

from toolkit.errors import TaskError

MAX_TASK_BYTES = 64 * 1024 * 1024
"""Default limit for one task: ten 1080p frames; Redis itself refuses more than 512 MB in one value."""

_ARRAY, _TUPLE = 1, 2
_TUPLE_MARK = object()
_MAX_DEPTH = 100
_PLAIN_BASES: tuple[Any, ...] = (int, float, str, bytes, dict, list)
# The only dtypes that are ever rebuilt: a name sent by a stranger is looked up here, never interpreted.
_NATIVE = [np.dtype(code) for code in "?bBhHiIlLqQefdgFDG"]
_DTYPES = {dtype.str: dtype for native in _NATIVE for dtype in (native, native.newbyteorder())}
_TRAVELS = "None, bool, int, float, str, bytes, list, tuple, dict and numpy arrays of numbers"


def encode(value: Any, limit_bytes: int = MAX_TASK_BYTES, name: str = "task") -> bytes:
    """Turn plain data into bytes.

    Numpy scalars become Python numbers, bytearrays become bytes; arrays of any layout travel as C-order.

    Args:
        value: None, bool, int of 64 bits, float, str, bytes, arrays of numbers; lists, tuples, dicts of them.
        limit_bytes: the most bytes the result may have.
        name: what error messages call the value.

    Raises:
        TaskError: something in ``value`` cannot travel (the text gives the path to it), or it is too big.

    Source: ours; the extension types are 1 (array) and 2 (marks a tuple) of the msgpack specification.
    """
    try:
        data = _pack(value)
    except (TypeError, ValueError, OverflowError, RecursionError, UnicodeError) as error:
        raise TaskError(
            f"{_first_misfit(value, name) or f'{name}: {error}'}; what travels: {_TRAVELS}"
        ) from error
    if len(data) > limit_bytes:
        raise TaskError(
            f"{name} has {len(data):,} bytes, the limit is {limit_bytes:,}; "
            "send a crop instead of the frame, or raise max_task_bytes"
        )
    return data


def decode(data: bytes, name: str = "task") -> Any:
    """Turn the bytes of :func:`encode` back into an equal value.

    Arrays come back as writable copies, so that a handler may draw on its frame: the copy costs 0.2 ms for
    a 2.7 MB frame, whose way through Redis costs 8 ms.

    Raises:
        TaskError: the bytes are damaged or were never written by :func:`encode`. Nothing is run, and no more
            memory is taken than the bytes themselves need.
    """
    try:
        # unpackb limits every length to len(data); keys other than text are plain data here, so allowed.
        return msgpack.unpackb(data, ext_hook=_rebuild, list_hook=_list_or_tuple, strict_map_key=False)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise TaskError(
            f"{name} cannot be read: {error}; it must come from toolkit.work.codec.encode"
        ) from error


def _pack(value: Any) -> bytes:
    return msgpack.packb(value, default=_to_plain, strict_types=True)


def _to_plain(value: Any) -> Any:
    """What msgpack asks for every type it does not know, subclasses of the plain ones among them."""
    if isinstance(value, tuple):
        # A list behind a mark, and not bytes within bytes: nesting must not cost C stack when it is read.
        return [msgpack.ExtType(_TUPLE, b""), *value]
    if isinstance(value, np.ndarray):
        return _array_to_ext(value)
    if isinstance(value, np.generic):
        return value.item()
    for base in _PLAIN_BASES:
        if isinstance(value, base):
            # str() of an enum is its name, str.__str__ its text.
            return str.__str__(value) if base is str else base(value)
    raise TypeError(_what_is_wrong_with(value))


def _array_to_ext(array: np.ndarray) -> msgpack.ExtType:
    # Other subclasses (masked arrays, matrices) carry a meaning that their bytes alone would lose.
    if type(array) not in (np.ndarray, np.memmap) or array.dtype.str not in _DTYPES:
        raise TypeError(_what_is_wrong_with(array))
    head = msgpack.packb((array.dtype.str, array.shape))
    # asarray and not ascontiguousarray, which would make a 0-d array 1-d.
    body = np.asarray(array, order="C").reshape(-1).view(np.uint8)
    return msgpack.ExtType(_ARRAY, b"".join((bytes([len(head)]), head, body.data)))


def _rebuild(code: int, data: bytes) -> Any:
    if code == _TUPLE:
        return _TUPLE_MARK
    if code != _ARRAY or not data:
        raise ValueError(f"extension type {code} is not one of ours")
    start = 1 + data[0]
    head = msgpack.unpackb(data[1:start], use_list=False)
    if not (isinstance(head, tuple) and len(head) == 2 and isinstance(head[1], tuple)):
        raise ValueError("an array does not begin with its dtype and shape")
    name, shape = head
    dtype = _DTYPES.get(name) if isinstance(name, str) else None
    if dtype is None or len(shape) > 32 or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError(f"an array cannot have dtype {name!r} and shape {shape!r}")
    if math.prod(shape) * dtype.itemsize != len(data) - start:
        raise ValueError(f"an array of {name} {shape} does not have {len(data) - start} bytes")
    return np.frombuffer(data, dtype, offset=start).reshape(shape).copy()


def _list_or_tuple(items: list[Any]) -> Any:
    return tuple(items[1:]) if items and items[0] is _TUPLE_MARK else items


def _first_misfit(value: Any, path: str, depth: int = 0) -> str | None:
    """Walk the value as the packer does and say where it stopped; only ever run after a failure."""
    if depth > _MAX_DEPTH:
        return f"{path[:60]}... is nested more than {_MAX_DEPTH} deep"
    parts: Iterable[tuple[str, Any]] = ()
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) and _first_misfit(key, f"{path}: its key {key!r:.60}", depth + 1):
                return _first_misfit(key, f"{path}: its key {key!r:.60}", depth + 1)
        parts = ((f"{path}[{key!r:.60}]", part) for key, part in value.items())
    elif isinstance(value, (list, tuple)):
        parts = ((f"{path}[{index}]", part) for index, part in enumerate(value))
    else:
        try:
            _pack(value)
        except (TypeError, ValueError, OverflowError, UnicodeError) as error:
            return f"{path} {_what_is_wrong_with(value, error)}"
    return next((found for where, part in parts if (found := _first_misfit(part, where, depth + 1))), None)


def _what_is_wrong_with(value: Any, error: Exception | None = None) -> str:
    kind = type(value)
    if isinstance(value, np.ndarray):
        return f"is an array of dtype {value.dtype} ({kind.__qualname__})"
    if kind in (int, str):
        return f"is {'an int of more than 64 bits' if kind is int else f'a text that is not UTF-8 ({error})'}"
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"is a {module}{kind.__qualname__}"
