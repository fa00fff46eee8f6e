"""What travels comes back equal; what cannot travel is named; a stranger's bytes do no harm."""

from __future__ import annotations

import contextlib
import enum
from collections import OrderedDict, namedtuple

import msgpack
import numpy as np
import pytest

from toolkit.errors import TaskError
from toolkit.work.codec import decode, decode_all, encode, encode_all, encode_pieces


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(2**63),
        2**64 - 1,
        1.5,
        "Füße 👟",
        b"\x00\xff",
        [1, [2, ()]],
        (1, (2, [3, (4,)])),
        {"a": {"b": [None, (1, 2)]}, 3: "int key", (1, 2): "tuple key"},
        {},
    ],
)
def test_plain_values_come_back_equal_and_of_the_same_type(value):
    back = decode(encode(value))

    assert back == value
    assert repr(back) == repr(value)


@pytest.mark.parametrize("dtype", ["?", "u1", "<i2", ">i4", "u8", "f2", "<f4", ">f8", "c16", np.longdouble])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_an_array_comes_back_with_its_dtype_shape_and_values(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)

    back = decode(encode({"x": array}))["x"]

    assert back.dtype == array.dtype
    assert back.shape == shape
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("view", [np.s_[::2, ::-1], np.s_[:, 1:3]])
def test_an_array_that_is_not_contiguous_comes_back_equal(view):
    array = np.arange(60).reshape(6, 10)[view]

    np.testing.assert_array_equal(decode(encode(array)), array)
    np.testing.assert_array_equal(decode(encode(array.T)), array.T)


def test_a_decoded_array_is_writable_and_owns_its_memory():
    back = decode(encode(np.zeros(4)))

    back[0] = 1

    assert back.flags.owndata
    assert back.flags.aligned


def test_numpy_scalars_become_python_numbers():
    back = decode(encode([np.float32(0.5), np.int64(3), np.bool_(True), np.float64(2.5)]))

    assert [type(x) for x in back] == [float, int, bool, float]
    assert back == [0.5, 3, True, 2.5]


def test_subclasses_of_plain_types_come_back_as_what_they_are_equal_to():
    class Colour(enum.IntEnum):
        RED = 1

    class Label(enum.StrEnum):
        FACE = "face"

    point = namedtuple("point", "x y")(1, 2)
    value = [Colour.RED, Label.FACE, point, OrderedDict(a=1), bytearray(b"x")]

    assert decode(encode(value)) == [1, "face", (1, 2), {"a": 1}, b"x"]


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ({"data": {"x": object()}}, r"task\['data'\]\['x'\] is a object"),
        ({"data": [1, {2, 3}]}, r"task\['data'\]\[1\] is a set"),
        ({"box": (1, 2, lambda: 0)}, r"task\['box'\]\[2\] is a function"),
        ({"n": 2**70}, r"task\['n'\] is an int of more than 64 bits"),
        ({"s": "\ud800"}, r"task\['s'\] is a text that is not UTF-8"),
        ({"a": np.array([None])}, r"task\['a'\] is an array of dtype object"),
        ({"a": np.array(["x"])}, r"task\['a'\] is an array of dtype <U1"),
        ({"a": np.zeros(2, "i4,i4")}, r"task\['a'\] is an array of dtype"),
        ({"a": np.ma.array([1], mask=[True])}, r"task\['a'\] .*MaskedArray"),
        ({frozenset([1]): 1}, r"task: its key frozenset.* is a frozenset"),
    ],
)
def test_what_cannot_travel_is_named_by_its_path(task, text):
    with pytest.raises(TaskError, match=text):
        encode(task)


@pytest.mark.parametrize("wrap", [list, tuple])
def test_a_value_that_contains_itself_is_refused(wrap):
    loop: list = []
    loop.append(wrap([loop]))

    with pytest.raises(TaskError, match="nested more than"):
        encode(loop)


def test_a_task_over_the_limit_is_refused_with_both_sizes():
    with pytest.raises(TaskError, match=r"1,0\d\d bytes, the limit is 1,000"):
        encode(b"x" * 1020, limit_bytes=1000)


def _array(head: object, body: bytes = b"") -> bytes:
    packed = msgpack.packb(msgpack.ExtType(1, msgpack.packb(head)))
    start = b"\xc1" + len(packed).to_bytes(4, "little") + packed
    return start.ljust(64, b"\0") + body


def test_the_forged_array_of_these_tests_is_right_when_its_parts_are():
    np.testing.assert_array_equal(decode(_array(("<u2", [2]), b"\1\0\2\0")), [1, 2])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xc1\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",  # a list of 4 billion items in five bytes
        b"\xc6\xff\xff\xff\xff",  # 4 GB of bytes in five bytes
        b"\x81\x90\x01",  # a list as a key
        msgpack.packb(msgpack.ExtType(77, b"x")),
        msgpack.packb(msgpack.ExtType(1, b"")),
        msgpack.packb(msgpack.ExtType(1, b"\xff")),
        msgpack.packb(msgpack.ExtType(1, msgpack.packb(("<f8", [1])))),  # an array with no bytes behind it
        _array(("|O", [1]), b"12345678"),
        _array(("|V8", [1]), b"12345678"),
        _array(("<f8", [2]), b"12345678"),
        _array(("<f8", [-1, -1]), b"12345678"),
        _array(("<f8", [2**62, 2**62])),
        _array(("<f8", [0, 2**63])),
        _array(("<f8", "1"), b"12345678"),
        _array(("<f8", [True]), b"12345678"),
        _array(("<f8", [1] * 40), b"12345678"),
        _array(7),
        encode({"x": np.zeros(9)})[:-1],
    ],
)
def test_damaged_bytes_raise_a_task_error(data):
    with pytest.raises(TaskError, match="task cannot be read"):
        decode(data)


def test_arrays_that_claim_the_same_bytes_are_refused():
    packed = msgpack.packb([msgpack.ExtType(1, msgpack.packb(("|u1", [1000])))] * 50)
    data = (b"\xc1" + len(packed).to_bytes(4, "little") + packed).ljust(2048, b"\0") + bytes(1000)

    with pytest.raises(TaskError, match="the bytes end before"):
        decode(data)


def test_pieces_do_not_copy_arrays_and_make_up_the_whole():
    frame = np.arange(5000)

    encoded = encode_pieces({"a": frame, "b": frame[::2]})

    assert any(np.shares_memory(np.frombuffer(piece, np.uint8), frame) for piece in encoded.pieces if piece)
    assert b"".join(encoded.pieces) == encode({"a": frame, "b": frame[::2]})
    assert len(encoded) == sum(map(len, encoded.pieces))


def test_arrays_in_writable_bytes_are_views_and_aligned():
    data = bytearray(encode({"a": np.zeros(3, np.uint8), "b": np.arange(4.0)}))

    back = decode(memoryview(data))

    np.testing.assert_array_equal(back["b"], np.arange(4.0))
    assert np.shares_memory(back["b"], np.frombuffer(data, np.uint8))
    assert np.frombuffer(data, np.uint8).ctypes.data % 8 or back["b"].flags.aligned


@pytest.mark.parametrize("opening", [b"\x91", b"\x92\xc7\x00\x02"])
def test_lists_and_tuples_nested_a_million_deep_raise_a_task_error(opening):
    with pytest.raises(TaskError, match="cannot be read"):
        decode(opening * 1_000_000)


def test_random_bytes_never_raise_anything_but_a_task_error():
    rng = np.random.default_rng(7)
    good = encode({"frame": np.zeros((4, 4, 3), np.uint8), "box": (1, 2, 3, 4)})

    for _ in range(3000):
        data = bytearray(good)
        data[rng.integers(len(data))] = rng.integers(256)
        with contextlib.suppress(TaskError):
            decode(bytes(data))


@pytest.mark.parametrize("odd_one", ["text", np.arange(3), (1, 2), {"a": np.zeros(2)}], ids=str)
def test_values_come_back_equal_when_they_are_encoded_and_decoded_together(odd_one):
    values = [{"n": 1}, odd_one, [None, (2.5, b"3")]]

    encoded = encode_all(values)

    assert [bytes(each) for each in map(_whole, encoded)] == [encode(value) for value in values]
    assert encode(decode_all([encode(value) for value in values])) == encode(values)


@pytest.mark.parametrize("place", [0, 1])
def test_among_many_the_value_that_cannot_travel_or_is_too_big_is_refused(place):
    for misfit, text in ((object(), "is a object"), ("x" * 100, "101 bytes|102 bytes")):
        values = ["good", "good"]
        values[place] = misfit
        with pytest.raises(TaskError, match=text):
            encode_all(values, limit_bytes=50)


@pytest.mark.parametrize(
    "mess", [b"", b"\xc1", b"\x92\x01", b"\x01\x02", b"\xdb\xff\xff\xff\xff", b"\x91" * 5000]
)
def test_a_mess_among_values_that_are_decoded_together_raises_a_task_error(mess):
    with pytest.raises(TaskError):
        decode_all([encode({"n": 1}), mess, encode({"n": 2})])


def _whole(encoded):
    return encoded if isinstance(encoded, bytes) else b"".join(encoded.pieces)
