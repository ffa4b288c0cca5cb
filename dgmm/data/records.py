"""Dataclasses of arrays and plain values as bytes, with a checksum; no pickle.

A record is a header of JSON, the bytes of arrays, and a SHA-256 of all that. Nothing in it is looked at
before the checksum is; then only classes of a given list are made, and arrays of plain numbers and text.

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True)
... class Point:
...     name: str
...     place: np.ndarray
>>> kinds = Kinds((Point,))
>>> read_record(write_record(Point("a", np.arange(2.0)), kinds), kinds)
Point(name='a', place=array([0., 1.]))
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property, partial
from types import MethodType
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"dgmm record 1\n"
LENGTH_BYTES = 8
DIGEST_BYTES = 32
ALIGNMENT = 64
PLAIN = (bool, int, float, str, type(None))


UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""What making values of damaged records may raise."""


class RecordError(ValueError):
    """Bytes that are no record, or a damaged one."""


@dataclass(frozen=True, eq=False)
class Kinds:
    """What may be in records, beyond plain values, arrays, tuples, lists and dictionaries.

    Attributes
    ----------
    classes : tuple of type
        Dataclasses. Their instances are made of their fields; their names differ.
    singletons : mapping of str to object
        Objects of which there is one each, by name.
    """

    classes: tuple[type, ...]
    singletons: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> dict[str, type]:
        """The classes by their names."""
        return {kind.__name__: kind for kind in self.classes}

    def name_of(self, value: object) -> str | None:
        """Return the name of a singleton; None of anything else."""
        return next((name for name, each in self.singletons.items() if each is value), None)


def write_record(value: object, kinds: Kinds) -> bytes:
    """Make bytes of a value.

    Parameters
    ----------
    value : object
    kinds : Kinds

    Raises
    ------
    TypeError
        If something in it is not of these kinds.
    """
    arrays: list[NDArray[Any]] = []
    tree = _plain(value, kinds, arrays)
    layout = [[each.dtype.str, list(each.shape), _is_fortran(each)] for each in arrays]
    header = json.dumps({"value": tree, "arrays": layout}, separators=(",", ":")).encode()
    parts = [MAGIC, len(header).to_bytes(LENGTH_BYTES, "little"), header]
    size = sum(map(len, parts))
    for each in arrays:
        padding = bytes(-size % ALIGNMENT)
        parts += [padding, each.tobytes("F" if _is_fortran(each) else "C")]
        size += len(padding) + each.nbytes
    body = b"".join(parts)
    return body + hashlib.sha256(body).digest()


def read_record(data: bytes, kinds: Kinds) -> Any:
    """Make the value again.

    Parameters
    ----------
    data : bytes
        From `write_record`.
    kinds : Kinds

    Raises
    ------
    RecordError
        If they are not such, are damaged, or hold something of other kinds.
    """
    if not data.startswith(MAGIC):
        raise RecordError("it is not a record of dgmm, or is of another version")
    body = memoryview(data)[:-DIGEST_BYTES]
    if hashlib.sha256(body).digest() != data[-DIGEST_BYTES:]:
        raise RecordError("its checksum does not match its content")
    start = len(MAGIC) + LENGTH_BYTES
    stop = start + int.from_bytes(body[len(MAGIC) : start], "little")
    try:
        header = json.loads(bytes(body[start:stop]))
        arrays = list(_arrays(body, stop, header["arrays"]))
        return _value(header["value"], kinds, arrays)
    except UNREADABLE as error:
        raise RecordError(f"it cannot be read: {error}") from error


def digest_of(data: bytes) -> str:
    """Return the checksum of a record, as text."""
    return data[-DIGEST_BYTES:].hex()


def _is_fortran(array: NDArray[Any]) -> bool:
    """Return whether an array is laid out column by column: products may have other last bits then."""
    return array.flags.f_contiguous and not array.flags.c_contiguous


def _plain(value: Any, kinds: Kinds, arrays: list[NDArray[Any]]) -> Any:
    """Return what JSON can say of a value; arrays are put aside."""
    if type(value) in PLAIN:
        return value
    own = partial(_plain, kinds=kinds, arrays=arrays)
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        if array.dtype.kind in "OV":
            raise TypeError(f"a record cannot hold an array of {array.dtype}")
        arrays.append(array)
        return ["array" if isinstance(value, np.ndarray) else "number", len(arrays) - 1]
    if type(value) in {tuple, list}:
        return [type(value).__name__, *map(own, value)]
    if type(value) is dict:
        return ["dict", *([own(key), own(each)] for key, each in value.items())]
    if (name := kinds.name_of(value)) is not None:
        return ["singleton", name]
    if kinds.by_name.get(type(value).__name__) is type(value):
        return [type(value).__name__, *(own(getattr(value, each.name)) for each in fields(value))]
    raise TypeError(f"a record cannot hold a {type(value).__module__}.{type(value).__qualname__}")


def _arrays(body: memoryview, stop: int, layout: list[Any]) -> Iterator[NDArray[Any]]:
    for text, shape, is_fortran in layout:
        dtype = np.dtype(text)
        if dtype.hasobject or min(shape, default=0) < 0:
            raise TypeError(f"{text} with shape {shape} is not an array")
        start = stop + -stop % ALIGNMENT
        stop = start + dtype.itemsize * int(np.prod(shape, dtype=object))
        flat = np.frombuffer(body[start:stop], dtype)
        yield flat.reshape(shape, order="F" if is_fortran else "C").copy("K")


def _value(tree: Any, kinds: Kinds, arrays: list[NDArray[Any]]) -> Any:
    """Make a value of what JSON said of it."""
    if not isinstance(tree, list):
        if type(tree) not in PLAIN:
            raise TypeError("a value is not a JSON object")
        return tree
    kind, *parts = tree
    if kind in {"array", "number"}:
        return arrays[parts[0]] if kind == "array" else arrays[parts[0]][()]
    if kind == "singleton":
        return kinds.singletons[parts[0]]
    own = partial(_value, kinds=kinds, arrays=arrays)
    if kind == "dict":
        return {own(key): own(each) for key, each in parts}
    values = [own(each) for each in parts]
    if kind in {"tuple", "list"}:
        return values if kind == "list" else tuple(values)
    names = [each.name for each in fields(kinds.by_name[kind])]
    return kinds.by_name[kind](**dict(zip(names, values, strict=True)))


@dataclass(frozen=True, eq=False)
class Likeness:
    """What is left of a value to recognise it by.

    Attributes
    ----------
    structure : str
        A checksum of its classes, texts, whole numbers and the shapes of its arrays.
    exact : str
        A checksum of everything.
    sketch : ndarray of shape (n, 2)
        Of each array of floating point numbers, and of all single ones: the sum of its finite values, and
        of their magnitudes.
    """

    structure: str
    exact: str
    sketch: NDArray[np.float64]

    def is_same(self, other: Likeness) -> bool:
        """Return whether both are of the same value, bit for bit."""
        return self.exact == other.exact

    def is_near(self, other: Likeness, tolerance: float) -> bool:
        """Return whether they are of values that differ by rounding: sums, by such a share of magnitudes."""
        if self.structure != other.structure or self.sketch.shape != other.sketch.shape:
            return False
        magnitudes = np.maximum(self.sketch[:, 1], other.sketch[:, 1])
        return bool((np.abs(self.sketch - other.sketch) <= tolerance * magnitudes[:, None]).all())


def likeness_of(value: object) -> Likeness:
    """Say what to recognise a value by: any that is made of dataclasses, functions, arrays and plain values.

    Of other objects their class counts alone. Fields of dataclasses that do not appear in their ``repr``,
    such as caches, do not count.
    """
    structure, exact = hashlib.sha256(), hashlib.sha256()
    sketch: list[tuple[float, float]] = []

    def say(*words: object) -> None:
        text = repr(words).encode("utf-8", "surrogatepass")
        structure.update(text)
        exact.update(text)

    _describe(value, say, exact.update, sketch)
    return Likeness(structure.hexdigest(), exact.hexdigest(), np.array(sketch, np.float64).reshape(-1, 2))


def _describe(
    value: Any,
    say: Callable[..., None],
    say_exactly: Callable[[bytes], None],
    sketch: list[tuple[float, float]],
) -> None:
    """Say what a value is made of, part by part."""
    parts: list[Any] = []
    if isinstance(value, (np.ndarray, np.generic, float)):
        array = np.asarray(value)
        say("array", array.dtype.str, array.shape)
        if not array.dtype.hasobject:
            say_exactly(np.ascontiguousarray(array).tobytes())
        if array.dtype.kind == "f":
            finite = np.where(np.isfinite(array), array, 0.0).astype(np.float64)
            sketch.append((float(finite.sum()), float(np.abs(finite).sum())))
    elif isinstance(value, (str, bytes, int, slice, type(None), np.dtype, type)):
        say(value)
    elif isinstance(value, partial):
        parts = ["partial", value.func, value.args, value.keywords]
    elif isinstance(value, MethodType):
        parts = ["method", value.__func__, value.__self__]
    elif isinstance(value, Mapping):
        parts = ["mapping", len(value), *(part for pair in value.items() for part in pair)]
    elif isinstance(value, (tuple, list)):
        parts = [type(value).__name__, len(value), *value]
    elif isinstance(value, (set, frozenset)):
        parts = ["set", len(value), *sorted(value, key=repr)]
    elif is_dataclass(value):
        shown = [each.name for each in fields(value) if each.repr]
        parts = [type(value).__qualname__, *(part for name in shown for part in (name, getattr(value, name)))]
    else:
        say(getattr(value, "__qualname__", type(value).__qualname__))
    for part in parts:
        _describe(part, say, say_exactly, sketch)
