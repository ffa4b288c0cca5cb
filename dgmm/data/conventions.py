"""Stored numbers decoded by the CF conventions, as xarray does.

Packed integers (``scale_factor``, ``add_offset``, ``_Unsigned``), numbers that stand for missing values
(``_FillValue``, ``missing_value``, and what is outside ``valid_range``, ``valid_min``, ``valid_max``),
booleans and times. Values are those that xarray gives, in its dtypes; it does not look at valid ranges.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.data.floats import rows_dtype
from dgmm.data.measurements import warn_of_columns
from dgmm.data.source import DataError
from dgmm.data.text import plural

TIME_UNITS = re.compile(r"\s*\w+\s+since\s+[-+]?\d", re.IGNORECASE)
"""Such as ``days since 1950-01-01``."""

FILL_ATTRIBUTES = ("_FillValue", "missing_value")
"""Attributes with numbers that stand for missing values."""

CODED = (*FILL_ATTRIBUTES, "scale_factor", "add_offset", "_Unsigned")
"""Attributes of numbers that xarray has not decoded."""

FLAG_ATTRIBUTES = ("flag_meanings", "flag_values", "flag_masks")
"""Attributes of numbers that are flags (CF conventions 3.5): labels, as categories are."""

TIME_DTYPES = ("datetime64", "timedelta64")
"""As the attribute ``dtype`` has them where xarray wrote times as integers."""


@dataclass(frozen=True)
class Coding:
    """How the numbers of one array are decoded.

    Attributes
    ----------
    integers : str or None
        The dtype as which integers are to be read, where it is not the stored one.
    decoded : str
        The dtype of the values, native: what missing values and packing ask for.
    missing : tuple of float
        Stored numbers that stand for missing values.
    scale, offset : float or None
        ``value = stored * scale + offset``.
    low, high : float
        Stored numbers outside stand for missing values.
    low_value, high_value : float
        Values outside are missing.
    is_boolean : bool
        Every number but zero stands for one.
    """

    integers: str | None
    decoded: str
    missing: tuple[float, ...] = ()
    scale: float | None = None
    offset: float | None = None
    low: float = -np.inf
    high: float = np.inf
    low_value: float = -np.inf
    high_value: float = np.inf
    is_boolean: bool = False

    @property
    def changes(self) -> bool:
        """Whether values are other than the stored numbers."""
        return self != Coding(None, self.decoded)

    @property
    def marks_missing(self) -> bool:
        """Whether some stored numbers stand for missing values."""
        return replace(self, scale=None, offset=None, is_boolean=False) != Coding(self.integers, self.decoded)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of rows: float32 where that of the values is, else float64."""
        return rows_dtype(np.dtype(self.decoded), "an array")

    def decode(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return the values that stored numbers stand for: NaN where they are missing.

        Parameters
        ----------
        stored : ndarray of any shape
            May be written to nowhere.

        Returns
        -------
        ndarray
            Of the same shape.
        """
        if not self.changes:
            return stored
        numbers = stored if self.integers is None else stored.astype(self.integers)
        values = numbers.astype(self.decoded)  # a copy: compared as xarray does, after the conversion
        is_missing = np.zeros(values.shape, bool)
        with np.errstate(over="ignore"):
            for number in self.missing:
                is_missing |= values == values.dtype.type(number)
        if self.low > -np.inf or self.high < np.inf:
            is_missing |= (numbers < self.low) | (numbers > self.high)
        if self.scale is not None:
            values *= self.scale
        if self.offset is not None:
            values += self.offset
        if self.low_value > -np.inf or self.high_value < np.inf:
            is_missing |= (values < self.low_value) | (values > self.high_value)
        if self.is_boolean:
            values = (values != 0).astype(np.float64)
        if is_missing.any():
            values[is_missing] = np.nan
        return values


def time_like(attributes: Mapping[str, Any], dtype: np.dtype) -> str | None:
    """Say by what an array is one of times: its units, or its dtype; None if it is not."""
    units, kind = attributes.get("units"), attributes.get("dtype")
    if isinstance(units, str) and TIME_UNITS.match(units):
        return f"units {units!r}"
    if isinstance(kind, str) and kind.startswith(TIME_DTYPES):
        return f"dtype {kind!r}"
    return f"dtype {dtype}" if dtype.kind in "mM" else None


def _no_measurement(attributes: Mapping[str, Any], dtype: np.dtype) -> str | None:
    """Say why an array is no feature unless it is named; None where it is one."""
    if dtype.kind not in "fiub":
        return f"dtype {dtype}"
    if times := time_like(attributes, dtype):
        return f"times: {times}"
    flags = next((key for key in FLAG_ATTRIBUTES if key in attributes), None)
    return flags and f"flags, by its {flags}"


def measured(variables: Mapping[str, tuple[np.dtype, Mapping[str, Any]]], what: str) -> list[str]:
    """Choose the variables that are features where none are named, and warn about the others.

    Parameters
    ----------
    variables : mapping of str to tuple of (numpy.dtype, mapping)
        The dtype and the attributes of each.
    what : str
        What has them, for messages.

    Returns
    -------
    list of str
        Those of numbers; not times, nor flags, which are labels. None, if there are none such.

    Raises
    ------
    DataError
        Where all identify rows, by their names.

    Warns
    -----
    DataWarning
        Of variables that are left out, and of those that by their names are no measurements.
    """
    reasons = {name: _no_measurement(attributes, dtype) for name, (dtype, attributes) in variables.items()}
    found = [name for name, reason in reasons.items() if reason is None]
    if found:
        left_out = [f"{name!r} ({reason})" for name, reason in reasons.items() if reason is not None]
        warn_of_columns({name: variables[name][0].kind in "iub" for name in found}, left_out, what)
    return found


def coding_of(
    attributes: Mapping[str, Any], dtype: np.dtype, name: str, zarr_fill_value: Any = None
) -> Coding:
    """Find how the numbers of an array are decoded.

    Parameters
    ----------
    attributes : mapping
        Of the array, as JSON has them.
    dtype : numpy.dtype
        Of the stored numbers.
    name : str
        What holds them, for messages.
    zarr_fill_value : object, optional
        Stands for missing values, as in format 2 of Zarr, where it is xarray's ``_FillValue``.

    Returns
    -------
    Coding

    Raises
    ------
    DataError
        For arrays of times, of what is no number, and for attributes that cannot be understood.
    """
    rows_dtype(dtype, name)  # refuses text, dates and objects
    times = time_like(attributes, dtype)
    if times is not None:
        raise DataError(
            f"{name} holds times or dates ({times}), which cannot be features: leave it out with columns=, "
            "or store what you need of them (an hour, a season, an age) as numbers"
        )
    unsigned = str(attributes.get("_Unsigned", "")).lower()
    integers = None
    if (dtype.kind, unsigned) in {("i", "true"), ("u", "false")}:
        integers = f"{'u' if dtype.kind == 'i' else 'i'}{dtype.itemsize}"
    native = np.dtype(integers) if integers else dtype.newbyteorder("=")

    if zarr_fill_value is not None:
        attributes = {**attributes, "_FillValue": zarr_fill_value}
    given = StoredAttributes(attributes, native, integers is not None, name)
    missing = [number for key in FILL_ATTRIBUTES for number in given.stored(key) if not np.isnan(number)]
    scale, offset = given.factor("scale_factor"), given.factor("add_offset")
    is_packed = scale is not None or offset is not None
    stored_range, value_range = _valid_ranges(given, is_packed=is_packed)
    decoded = native
    if is_packed:  # factors are float64 in JSON; but of NaN as the only fill value xarray keeps the dtype
        has_fill = any(attributes.get(key) is not None for key in FILL_ATTRIBUTES)
        keeps = native.kind == "f" and has_fill and not missing
        decoded = native if keeps else np.dtype(np.float64)
    elif native.kind in "iub" and (missing or (stored_range, value_range) != (_ANY, _ANY)):
        decoded = np.dtype(np.float32 if native.itemsize <= 2 and native.kind != "b" else np.float64)
    return Coding(
        integers,
        decoded.str,
        tuple(missing),
        scale,
        offset,
        *stored_range,
        *value_range,
        is_boolean=attributes.get("dtype") == "bool",
    )


_ANY = (-np.inf, np.inf)


def _valid_ranges(
    given: StoredAttributes, *, is_packed: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the valid range of stored numbers, and that of values.

    A range is of stored numbers where it has their type: of packed integers, what JSON writes as
    floating-point numbers is of values (CF conventions 2.5.1, and NUG's best practices).
    """
    bounds = [*given.numbers("valid_range"), *given.numbers("valid_min"), *given.numbers("valid_max")]
    of_values = is_packed and given.dtype.kind in "iu" and any(isinstance(bound, float) for bound in bounds)
    read = given.numbers if of_values else given.stored
    both, least, most = read("valid_range"), read("valid_min"), read("valid_max")
    for key, found, wanted in (("valid_range", both, 2), ("valid_min", least, 1), ("valid_max", most, 1)):
        if len(found) not in (0, wanted):
            raise given.error(key, f"which should be {wanted} {plural(wanted, 'number')}")
    found = (max([-np.inf, *both[:1], *least]), min([np.inf, *both[1:], *most]))
    return (_ANY, found) if of_values else (found, _ANY)


@dataclass(frozen=True)
class StoredAttributes:
    """The attributes of an array, read as numbers.

    Attributes
    ----------
    attributes : mapping
    dtype : numpy.dtype
        As which the stored numbers are read.
    is_wrapped : bool
        They are stored as signed and read as unsigned integers, or the other way round.
    name : str
        What holds them, for messages.
    """

    attributes: Mapping[str, Any]
    dtype: np.dtype
    is_wrapped: bool
    name: str

    def error(self, key: str, why: str) -> DataError:
        """Make the error that says what is wrong with an attribute."""
        return DataError(
            f"{self.name} has an attribute {key} = {self.attributes[key]!r}, {why}; correct it, or remove it "
            "if it says nothing of the values"
        )

    def numbers(self, key: str) -> list[float]:
        """Return the one number or several of an attribute; none if there is none."""
        value = self.attributes.get(key)
        if value is None:
            return []
        found = [_number(each, self.dtype) for each in _listed(value)]
        numbers = [number for number in found if number is not None]
        if len(numbers) < len(found):
            raise self.error(key, "which is no number")
        return numbers

    def stored(self, key: str) -> list[float]:
        """Return them as the array holds them: rounded, or wrapped where integers are read as others."""
        return [_reread(number, self.dtype, self.is_wrapped) for number in self.numbers(key)]

    def factor(self, key: str) -> float | None:
        """Return one number to calculate with, if there is such an attribute."""
        found = self.numbers(key)
        if found and (len(found) > 1 or not np.isfinite(found[0])):
            raise self.error(key, "which should be one finite number")
        return float(found[0]) if found else None


def _listed(value: Any) -> Iterable[Any]:
    if isinstance(value, np.ndarray):
        return value.ravel().tolist()
    return value if isinstance(value, (list, tuple)) else [value]


def _reread(number: float, dtype: np.dtype, is_wrapped: bool) -> float:
    """Return a number as the array holds it: rounded, or wrapped where integers are read as others."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return float(dtype.type(number))
    if not is_wrapped or not np.isfinite(number) or number != int(number):
        return number
    least = np.iinfo(dtype).min
    return (int(number) - least) % 2 ** (8 * dtype.itemsize) + least


def _number(value: Any, stored: np.dtype) -> float | None:
    """Read a number, if it is one; xarray writes floating-point ones of format 3 as base64 of eight bytes."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float)):
        return value
    if not isinstance(value, str):
        return None
    try:
        return float(value) if stored.kind == "f" or not value.lstrip("+-").isdigit() else int(value)
    except ValueError:
        pass
    try:
        raw = base64.b64decode(value, validate=True)
        return struct.unpack("<d", raw)[0]
    except (binascii.Error, ValueError, struct.error):
        return None
