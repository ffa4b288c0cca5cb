"""Values as bytes: they come back as they were, or not at all."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgmm.data.records import Kinds, RecordError, digest_of, likeness_of, read_record, write_record


@dataclass(frozen=True, eq=False)
class Pair:
    first: Any
    second: Any = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class Cached:
    value: Any
    cache: dict = field(default_factory=dict, repr=False)


@dataclass(frozen=True, eq=False)
class Unlisted:
    value: int


ONE, OTHER = object(), object()
KINDS = Kinds((Pair, Cached), {"one": ONE, "other": OTHER})


def back(value: Any) -> Any:
    return read_record(write_record(value, KINDS), KINDS)


PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(st.one_of(st.integers(), st.text()), inner),
    ),
    max_leaves=10,
)


@given(VALUES)
def test_plain_values_come_back(value):
    assert repr(back(value)) == repr(value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12.0).reshape(3, 4)[:, ::2],
        np.array([np.nan, -0.0, np.inf, 5e-324]),
        np.array([0x7FF8DEADBEEF0000], np.uint64).view(np.float64),  # a NaN with a message
        np.empty((0, 3)),
        np.array(3.5, np.float32),
        np.array([True, False]),
        np.array(["a", "émile"]),
        np.arange(3, dtype=">i2"),
    ],
    ids=str,
)
def test_arrays_come_back_bit_for_bit_and_laid_out_as_they_were(array):
    found = back(Pair(array, second=[array]))
    for each in (found.first, found.second[0]):
        assert each.dtype == array.dtype
        assert each.shape == array.shape
        assert each.tobytes() == array.tobytes()
        assert each.flags.writeable
        if array.flags.c_contiguous or array.flags.f_contiguous:  # as pickle does it
            assert each.flags.f_contiguous == array.flags.f_contiguous
            assert each.flags.c_contiguous == array.flags.c_contiguous


def test_numbers_keep_their_types():
    found = back((np.float64(0.1), 0.1, np.int32(3), 3, np.bool_(True)))
    assert [type(each) for each in found] == [np.float64, float, np.int32, int, np.bool_]


def test_singletons_are_the_same_objects():
    found = back([ONE, OTHER])
    assert found[0] is ONE
    assert found[1] is OTHER


def test_every_flipped_bit_and_every_cut_is_noticed():
    data = write_record(Pair(np.arange(3.0), second=("a", {"b": 1})), KINDS)
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        with pytest.raises(RecordError):
            read_record(bytes(flipped), KINDS)
        with pytest.raises(RecordError):
            read_record(data[:position], KINDS)


@pytest.mark.parametrize(
    "value",
    [Unlisted(1), object(), {1, 2}, np.array([None]), np.zeros(1, "i4,f8"), lambda: 1, b"a"],
    ids=["unlisted", "object", "set", "array of objects", "fields", "function", "bytes"],
)
def test_what_is_not_of_the_kinds_is_not_written(value):
    with pytest.raises(TypeError, match="cannot hold"):
        write_record([value], KINDS)


def crafted(header: object, arrays: bytes = b"") -> bytes:
    """A record with a right checksum, whatever is in it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = b"dgmm record 1\n" + len(text).to_bytes(8, "little") + text
    body += bytes(-len(body) % 64) + arrays
    return body + hashlib.sha256(body).digest()


@pytest.mark.parametrize(
    "header",
    [
        {"value": ["Unlisted", 1], "arrays": []},
        {"value": ["os.system", "true"], "arrays": []},
        {"value": ["Pair", 1], "arrays": []},
        {"value": ["Pair", 1, 2, 3], "arrays": []},
        {"value": {"Pair": 1}, "arrays": []},
        {"value": [], "arrays": []},
        {"value": ["array", 0], "arrays": []},
        {"value": ["array", "first"], "arrays": [["<f8", [1], False]]},
        {"value": ["array", 0], "arrays": [["O", [1], False]]},
        {"value": ["array", 0], "arrays": [["<f8", [10**12], False]]},
        {"value": ["array", 0], "arrays": [["<f8", [-1], False]]},
        {"value": ["array", 0], "arrays": [["<f8", [0, 2**70], False]]},
        {"value": ["array", 0], "arrays": [["not a dtype", [1], False]]},
        {"value": ["singleton", "third"], "arrays": []},
        {"value": ["dict", [[["list"], 1]]], "arrays": []},
        {"arrays": []},
        [1, 2],
        b"[" * 100_000,
        b"\xff",
        b"1" * 10_000,
    ],
    ids=str,
)
def test_whatever_has_a_right_checksum_is_a_value_of_the_kinds_or_refused(header):
    with pytest.raises(RecordError):
        read_record(crafted(header), KINDS)


def test_digests_are_those_of_the_content():
    first, second = write_record(1, KINDS), write_record(2, KINDS)
    assert digest_of(first) == hashlib.sha256(first[:-32]).hexdigest() != digest_of(second)


class TestLikeness:
    def test_is_of_every_bit(self):
        value = Pair(np.arange(6.0).reshape(2, 3), second=("a", partial(max, 3)))
        same = Pair(np.asfortranarray(value.first), second=("a", partial(max, 3)))
        other = Pair(np.nextafter(value.first, np.inf), second=value.second)
        assert likeness_of(value).is_same(likeness_of(same))
        assert not likeness_of(value).is_same(likeness_of(other))

    @pytest.mark.parametrize(
        "changed",
        [
            Pair(np.arange(3.0), second=("b", 1)),
            Pair(np.arange(3.0), second=("a", 2)),
            Pair(np.arange(4.0), second=("a", 1)),
            Pair(np.arange(3.0, dtype=np.float32), second=("a", 1)),
            Pair(np.arange(3.0), second=["a", 1]),
            Cached(np.arange(3.0)),
            Pair(np.arange(3.0) * (1 + 1e-3), second=("a", 1)),
        ],
        ids=str,
    )
    def test_is_far_from_what_is_not_rounding(self, changed):
        value = Pair(np.arange(3.0), second=("a", 1))
        assert not likeness_of(value).is_near(likeness_of(changed), 1e-6)

    def test_is_near_what_is(self):
        value, rounded = np.arange(3.0), np.arange(3.0) * (1 + 1e-12)
        assert likeness_of([value, np.nan]).is_near(likeness_of([rounded, np.nan]), 1e-6)

    def test_does_not_know_caches(self):
        assert likeness_of(Cached(1, {"a": 1})).is_same(likeness_of(Cached(1)))

    def test_comes_back(self):
        found = likeness_of(Pair(np.arange(3.0), second={"a": slice(1, 2)}))
        assert found.is_same(read_record(write_record(found, Kinds((type(found),))), Kinds((type(found),))))
