"""Plain data to bytes and back: msgpack, arrays being dtype, shape and their raw bytes."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Iterable, Sequence
from typing import Any

import msgpack
import numpy as np

from toolkit.errors import TaskError

MAX_TASK_BYTES = 64 * 1024 * 1024
"""Default limit for one task: ten 1080p frames; Redis itself refuses more than 512 MB in one value."""

_ARRAY, _TUPLE = 1, 2
_TUPLE_MARK = object()
_BYTE = np.dtype(np.uint8)
_FRAMED = b"\xc1"
_ALIGN_BYTES = 64
_MAX_DEPTH = 100
# A packer never gives back what its largest value took.
_PACKER_KEEPS_BYTES = 1_000_000
_PLAIN_BASES: tuple[Any, ...] = (int, float, str, bytes, dict, list)
# The only dtypes that are ever rebuilt: a name sent by a stranger is looked up here, never interpreted.
_NATIVE = [np.dtype(code) for code in "?bBhHiIlLqQefdgFDG"]
_DTYPES = {dtype.str: dtype for native in _NATIVE for dtype in (native, native.newbyteorder())}
_REFUSALS = (TypeError, ValueError, OverflowError, RecursionError, UnicodeError)
_UNREADABLE = (ValueError, TypeError, RecursionError, msgpack.UnpackException)
_TRAVELS = "None, bool, int, float, str, bytes, list, tuple, dict and numpy arrays of numbers"


class Framed:
    """A value with arrays, encoded in pieces that are to be written one after the other.

    Attributes:
        pieces: each array is its own memory here, not a copy.
    """

    __slots__ = ("_size", "pieces")

    def __init__(self, pieces: list[bytes | memoryview]) -> None:
        self.pieces = pieces
        self._size = sum(map(len, pieces))

    def __len__(self) -> int:
        """Number of bytes."""
        return self._size


Encoded = bytes | Framed
"""An encoded value; one without arrays is bytes."""


def encode_pieces(value: Any, limit_bytes: int = MAX_TASK_BYTES, name: str = "task") -> Encoded:
    """Turn plain data into bytes, without copying its arrays.

    Numpy scalars become Python numbers, bytearrays become bytes; arrays of any layout travel as C-order.

    Args:
        value: None, bool, int of 64 bits, float, str, bytes, arrays of numbers; lists, tuples, dicts of them.
        limit_bytes: the most bytes the result may have.
        name: what error messages call the value.

    Raises:
        TaskError: something in ``value`` cannot travel (the text gives the path to it), or it is too big.

    Source: ours. msgpack with extension types 1 (dtype and shape of an array) and 2 (marks a tuple); where
    there are arrays, the byte C1, which msgpack never begins with, the length of the msgpack part in 4 bytes,
    that part, and the arrays in order of appearance, each at the next multiple of 64.
    """
    try:
        encoded = _packing.pack(value)
    except _REFUSALS as error:
        misfit = _first_misfit(value, name) or f"{name}: {error}"
        raise TaskError(f"{misfit}; what travels: {_TRAVELS}") from error
    if len(encoded) > limit_bytes:
        raise TaskError(
            f"{name} has {len(encoded):,} bytes, the limit is {limit_bytes:,}; "
            "send a crop instead of the frame, or raise max_task_bytes"
        )
    return encoded


def encode_all(values: Sequence[Any], limit_bytes: int = MAX_TASK_BYTES, name: str = "task") -> list[Encoded]:
    """As :func:`encode_pieces` for each, at half its cost where there are no arrays."""
    encoded = [encode_pieces(value, limit_bytes, name) for value in values[:1]]
    if len(values) > 1 and isinstance(encoded[0], bytes):
        packed = _packing.pack_plain(values)
        if packed and max(map(len, packed)) <= limit_bytes:
            return packed
    return encoded + [encode_pieces(value, limit_bytes, name) for value in values[1:]]


def encode(value: Any, limit_bytes: int = MAX_TASK_BYTES, name: str = "task") -> bytes:
    """As :func:`encode_pieces`, all in one."""
    return as_bytes(encode_pieces(value, limit_bytes, name))


def as_bytes(encoded: Encoded) -> bytes:
    """All in one; copies every array once."""
    return encoded if isinstance(encoded, bytes) else b"".join(encoded.pieces)


def decode(data: bytes | memoryview, name: str = "task", is_lent: bool = False) -> Any:
    """Turn the bytes of :func:`encode` back into an equal value.

    Arrays are writable, so that a handler may draw on its frame: views into ``data`` where that is writable,
    else copies. A copy costs 0.2 ms for a 2.7 MB frame, whose way through Redis costs 8 ms. Where ``data`` is
    lent, arrays are views in any case, read-only as ``data`` is.

    Raises:
        TaskError: the bytes are damaged or were never written by :func:`encode`. Nothing is run, and no more
            memory is taken than the bytes themselves need.
    """
    unpacking = _Unpacking(memoryview(data), is_lent) if has_arrays(data) else _NO_ARRAYS
    packed = data if unpacking is _NO_ARRAYS else unpacking.packed
    try:
        # unpackb limits every length to that of its data; keys other than text are plain data, so allowed.
        return msgpack.unpackb(
            packed, ext_hook=unpacking.rebuild, list_hook=_list_or_tuple, strict_map_key=False
        )
    except _UNREADABLE as error:
        raise _cannot_be_read(name, error) from error


def has_arrays(data: bytes | memoryview) -> bool:
    """Whether an encoded value has arrays in it."""
    return data[:1] == _FRAMED


def decode_all(encoded: Sequence[bytes], name: str = "task") -> list[Any]:
    """As :func:`decode` for each, at a third of its cost where there are no arrays.

    Raises:
        TaskError: one of them is damaged; all are to be tried alone then.
    """
    if any(map(has_arrays, encoded)):
        return [decode(data, name) for data in encoded]
    joined = b"".join(encoded)
    unpacker = msgpack.Unpacker(
        ext_hook=_NO_ARRAYS.rebuild,
        list_hook=_list_or_tuple,
        strict_map_key=False,
        max_buffer_size=max(1, len(joined)),
    )
    unpacker.feed(joined)
    try:
        values = list(unpacker)
    except _UNREADABLE as error:
        raise _cannot_be_read(name, error) from error
    if len(values) != len(encoded):
        raise _cannot_be_read(name, f"{len(encoded)} values were expected, {len(values)} came")
    return values


def _cannot_be_read(name: str, why: object) -> TaskError:
    return TaskError(f"{name} cannot be read: {why}; it must come from toolkit.work.codec.encode")


@functools.lru_cache
def _array_head(dtype: np.dtype, shape: tuple[int, ...]) -> msgpack.ExtType | None:
    if dtype.str not in _DTYPES:
        return None
    return msgpack.ExtType(_ARRAY, msgpack.packb((dtype.str, shape)))


class _Packing(threading.local):
    """Values on their way to msgpack; their arrays are set aside in the order in which they are met.

    Kept, each thread having its own, because making a packer takes twice as long as packing a small task.
    """

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []
        self._become_new()

    def pack(self, value: Any) -> Encoded:
        self._arrays = []
        packed = self._pack(value)
        if len(packed) > _PACKER_KEEPS_BYTES:
            self._become_new()
        return Framed(_frame(packed, self._arrays)) if self._arrays else packed

    def pack_plain(self, values: Sequence[Any]) -> list[Encoded]:
        """All, where none has arrays; else, or where one cannot travel, none."""
        self._arrays = []
        try:
            packed: list[Encoded] = list(map(self._pack, values))
        except _REFUSALS:
            return []
        if max(map(len, packed)) > _PACKER_KEEPS_BYTES:
            self._become_new()
        return [] if self._arrays else packed

    def _become_new(self) -> None:
        self._pack = msgpack.Packer(default=self._to_plain, strict_types=True).pack

    def _to_plain(self, value: Any) -> Any:
        """What msgpack asks for every type it does not know, subclasses of the plain ones among them."""
        if isinstance(value, tuple):
            # A list behind a mark, and not bytes within bytes: nesting must not cost C stack when it is read.
            return [msgpack.ExtType(_TUPLE, b""), *value]
        if isinstance(value, np.ndarray):
            return self._set_aside(value)
        if isinstance(value, np.generic):
            return value.item()
        for base in _PLAIN_BASES:
            if isinstance(value, base):
                # str() of an enum is its name, str.__str__ its text.
                return str.__str__(value) if base is str else base(value)
        raise TypeError(_what_is_wrong_with(value))

    def _set_aside(self, array: np.ndarray) -> msgpack.ExtType:
        # Other subclasses (masked arrays, matrices) carry a meaning that their bytes alone would lose.
        is_plain = type(array) in (np.ndarray, np.memmap)
        head = _array_head(array.dtype, array.shape) if is_plain else None
        if head is None:
            raise TypeError(_what_is_wrong_with(array))
        # asarray and not ascontiguousarray, which would make a 0-d array 1-d.
        self._arrays.append(np.asarray(array, order="C"))
        return head


_packing = _Packing()


class _Unpacking:
    """One value on its way back; arrays are met in the order in which they were set aside."""

    def __init__(self, data: memoryview, is_lent: bool) -> None:
        self._is_lent = is_lent
        self.packed, self._arrays = data, data[:0]
        if data[:1] == _FRAMED and len(data) >= 5:
            end = 5 + int.from_bytes(data[1:5], "little")
            self.packed, self._arrays = data[5:end], data[_aligned(end) :]
        self._at = 0

    def rebuild(self, code: int, head: bytes) -> Any:
        if code == _TUPLE:
            return _TUPLE_MARK
        if code != _ARRAY:
            raise ValueError(f"extension type {code} is not one of ours")
        dtype, shape = _short_head(head) if len(head) <= _SHORT_HEAD else _checked_head(head)
        start, end = self._at, self._at + math.prod(shape) * dtype.itemsize
        if end > len(self._arrays):
            raise ValueError(f"the bytes end before the end of an array {dtype.str} {shape}")
        # Each array lies behind the last: many that share bytes could take more memory than was sent.
        self._at = _aligned(end)
        array = np.frombuffer(self._arrays[start:end], dtype).reshape(shape)
        return array if self._is_lent or array.flags.writeable else array.copy()


# For all that have no arrays: nothing in it changes.
_NO_ARRAYS = _Unpacking(memoryview(b""), is_lent=False)


def _frame(packed: bytes, arrays: list[np.ndarray]) -> list[bytes | memoryview]:
    """Two pieces for each array: what lies before it, padded, and its own memory."""
    before = _FRAMED + len(packed).to_bytes(4, "little") + packed
    pieces: list[bytes | memoryview] = []
    size = 0
    for array in arrays:
        start = _aligned(size + len(before))
        flat = array.reshape(-1)
        flat = flat if flat.dtype == _BYTE else flat.view(_BYTE)
        pieces += (before.ljust(start - size, b"\0"), flat.data)
        size, before = start + array.nbytes, b""
    return pieces


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGN_BYTES) * _ALIGN_BYTES


def _checked_head(data: bytes) -> tuple[np.dtype, tuple[int, ...]]:
    head = msgpack.unpackb(data, use_list=False)
    if not (isinstance(head, tuple) and len(head) == 2 and isinstance(head[1], tuple)):
        raise ValueError("an array does not begin with its dtype and shape")
    name, shape = head
    dtype = _DTYPES.get(name) if isinstance(name, str) else None
    if dtype is None or len(shape) > 32 or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError(f"an array cannot have dtype {name!r} and shape {shape!r}")
    return dtype, shape


# Most pictures of a queue have one shape. A stranger's heads, which may be long, are not kept.
_SHORT_HEAD = 32
_short_head = functools.lru_cache(_checked_head)


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
            _Packing().pack(value)
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
