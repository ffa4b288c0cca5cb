"""Variables over named dimensions as a table: which dimensions number rows, and which features."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from dgmm.data.source import DataError
from dgmm.data.text import listed

Dimensions = tuple[str, ...]
"""Names of the dimensions of a variable, in order."""

Part = tuple[slice, ...]
"""From where to where along each of several dimensions."""


def check_sample_dims(sample_dims: Sequence[str] | None) -> None:
    """Refuse what is no list of different names."""
    if isinstance(sample_dims, str):
        raise TypeError(f"sample_dims= is a list of names; for one dimension give [{sample_dims!r}]")
    if sample_dims is not None and (not len(sample_dims) or len(set(sample_dims)) < len(sample_dims)):
        raise DataError(f"sample_dims= should name one dimension or several, each once: {[*sample_dims]}")


def choose_sample_dims(
    dimensions: Mapping[str, Dimensions], sample_dims: Sequence[str] | None, where: str
) -> Dimensions:
    """Choose the dimensions that number the rows: those wanted, or those that all variables have in common.

    A single variable of several dimensions may be meant either way, so it is asked for.

    Parameters
    ----------
    dimensions : mapping of str to tuple of str
        Of each variable.
    sample_dims : sequence of str or None
        Those that are wanted.
    where : str
        What holds the variables, for messages.

    Returns
    -------
    tuple of str

    Raises
    ------
    DataError
        Where variables have not all of them, or differ, or it is not clear which are meant.
    """
    listed = _listed(dimensions)
    if sample_dims is not None:
        for name, own in dimensions.items():
            absent = [dim for dim in sample_dims if dim not in own]
            if absent:
                raise DataError(
                    f"{where}: {name!r} has the dimensions ({', '.join(own)}), but not "
                    f"{', '.join(map(repr, absent))} of sample_dims=; choose variables that have all of them "
                    f"with columns=. There are {listed}"
                )
        return tuple(sample_dims)
    kinds = {*dimensions.values()}
    if len(kinds) > 1:
        raise DataError(
            f"{where} has variables of different dimensions: {listed}; name those of the same "
            "ones with columns=, or say with sample_dims= which dimensions number the rows (the others then "
            "number features)"
        )
    (only,) = kinds
    if len(only) > 1 and len(dimensions) == 1:
        raise DataError(
            f"{where}: {listed} could be one feature or many; say which dimensions number rows: "
            f"sample_dims={[*only]} makes one feature, sample_dims={[*only[:1]]} makes several"
        )
    return only


def _listed(dimensions: Mapping[str, Dimensions]) -> str:
    return listed((f"{name!r} ({', '.join(own)})" for name, own in dimensions.items()), 6)


def check_sizes(shapes: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Refuse variables that have not as many rows along each of the dimensions that number them."""
    first = next(iter(shapes))
    for name, shape in shapes.items():
        if shape != shapes[first]:
            own, other = (" × ".join(f"{each:,}" for each in sizes) for sizes in (shape, shapes[first]))
            raise DataError(
                f"{where}: column {name!r} has {own} rows, but {first!r} has {other}; pick columns of one "
                "length with columns="
            )


def feature_names(name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Name the features of a variable: by its name, and by their places where there are several."""
    return tuple(f"{name}[{','.join(map(str, place))}]" if shape else name for place in np.ndindex(*shape))


def variables_named(features: Sequence[str], available: Collection[str]) -> list[str] | None:
    """Return the variables that features are of, by `feature_names`; None where some are of none."""
    found = [name if name in available else name.rpartition("[")[0] for name in features]
    return list(dict.fromkeys(found)) if {*found} <= {*available} else None


def parts(shape: tuple[int, ...], start: int, stop: int) -> Iterator[Part]:
    """Cut a range of rows into parts of a grid, in row order (the last dimension counts fastest).

    Parameters
    ----------
    shape : tuple of int
        Of the grid.
    start, stop : int
        The rows.

    Yields
    ------
    tuple of slice
        With a start and a stop for each dimension.
    """
    if len(shape) == 1:
        yield (slice(start, stop),)
        return
    inner = math.prod(shape[1:])
    if start >= stop or not inner:
        yield tuple(slice(0, 0) for _ in shape)
        return
    first, whole, last = start // inner, -(-start // inner), stop // inner
    if first == last:  # within one index of the first dimension
        for part in parts(shape[1:], start - first * inner, stop - first * inner):
            yield (slice(first, first + 1), *part)
        return
    if first < whole:
        for part in parts(shape[1:], start - first * inner, inner):
            yield (slice(first, first + 1), *part)
    if whole < last:
        yield (slice(whole, last), *(slice(0, size) for size in shape[1:]))
    if last * inner < stop:
        for part in parts(shape[1:], 0, stop - last * inner):
            yield (slice(last, last + 1), *part)
