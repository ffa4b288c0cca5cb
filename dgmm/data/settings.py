"""Frozen records of settings that Dask's configuration can change.

>>> import dask
>>> from dataclasses import dataclass
>>> @dataclass(frozen=True)
... class Waiting:
...     lost_after: float = 600.0
>>> with dask.config.set({"dgmm.waiting.lost-after": "2 minutes"}):
...     configured(Waiting(), "dgmm.waiting")
Waiting(lost_after=120.0)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TypeVar

import dask.config
from dask.utils import parse_timedelta

Record = TypeVar("Record")


def configured(record: Record, section: str) -> Record:
    """Return a record with what Dask's configuration says of its fields.

    Parameters
    ----------
    record : frozen dataclass
        Of whole numbers, and of seconds, which are floats; its values are the defaults.
    section : str
        Where in the configuration its fields are; there, ``-`` and ``_`` are the same.

    Returns
    -------
    frozen dataclass
        Seconds may be set as text (``"5 minutes"``), and to None for never.

    Raises
    ------
    ValueError
        Where a setting is not one of the record's, or not such a number.
    """
    given = dask.config.get(section, None) or {}
    defaults = {each.name: getattr(record, each.name) for each in fields(record)}  # type: ignore[arg-type]
    if not isinstance(given, Mapping):
        raise ValueError(f"{section} is {given!r} in Dask's configuration; set {_listed(section, defaults)}")
    found = {}
    for key, value in given.items():
        name = str(key).replace("-", "_")
        if name not in defaults:
            raise ValueError(
                f"{section}.{key} is set in Dask's configuration; there is only {_listed(section, defaults)}"
            )
        found[name] = _number(f"{section}.{key}", value, defaults[name])
    return replace(record, **found)  # type: ignore[type-var]


def _number(name: str, value: object, default: object) -> float | int:
    """Read a setting as a number like its default."""
    if isinstance(default, int):
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise ValueError(f"{name} is {value!r} in Dask's configuration; set a whole number, at least 0")
    if value is None:
        return math.inf
    try:
        seconds = parse_timedelta(value)  # type: ignore[arg-type]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        seconds, cause = None, error
    else:
        cause = None
    if seconds is None or not seconds >= 0 or isinstance(value, bool):
        raise ValueError(
            f"{name} is {value!r} in Dask's configuration; set seconds, or text such as '5 minutes'"
        ) from cause
    return float(seconds)


def _listed(section: str, names: Mapping[str, object]) -> str:
    return ", ".join(f"{section}.{name.replace('_', '-')}" for name in names)
