"""Two fitted mixtures compared: components matched, and densities on rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from dgmm.data.source import DataError, Source
from dgmm.data.text import counted
from dgmm.data.types import GroupsLike
from dgmm.estimators.base import FittedMixture
from dgmm.estimators.errors import MeasuredRows, require_errors
from dgmm.estimators.labels_and_groups import InGroups, with_groups
from dgmm.estimators.rowwise import RowFunction
from dgmm.estimators.validation import check_counted
from dgmm.fitting.checks import check_weights
from dgmm.model.matrices import Array
from dgmm.model.overlap import distances_between, divergences, mixture_divergence
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows

WITHOUT = {"errors": "both are of rows as measured", "groups": "the weights of both are those of all rows"}
"""What mixtures are that were fitted without some side information."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two mixtures have in common.

    Attributes
    ----------
    pairs : ndarray of shape (n_pairs, 2), int
        A component of the first and one of the second that stands for it: all pairs together have the
        smallest Bhattacharyya distances. The nearest pair is first.
    distances : ndarray of shape (n_pairs,)
        Of these pairs, nats.
    divergences : ndarray of shape (n_pairs, 2)
        Kullback–Leibler divergences of the first from the second, and the other way round, nats.
    unmatched : tuple of (list of int, list of int)
        Components of each that are left over.
    divergence : tuple of (float, float)
        Of the mixtures, nats a row, approximately: see `dgmm.model.overlap.mixture_divergence`.
    """

    pairs: NDArray[np.intp]
    distances: Array
    divergences: Array
    unmatched: tuple[list[int], list[int]]
    divergence: tuple[float, float]


def compare(first: FittedMixture, second: FittedMixture) -> Comparison:
    """Compare the parameters of two mixtures of the same features.

    Raises
    ------
    ValueError
        If their features differ.
    """
    check_features(first, second)
    one, other = first._parameters, second._parameters
    between = distances_between(one, other)
    rows, columns = linear_sum_assignment(between)
    order = np.argsort(between[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    there, back = divergences(one, other), divergences(other, one)
    left = [
        np.setdiff1d(np.arange(each.n_components), own).tolist()
        for each, own in ((one, rows), (other, columns))
    ]
    return Comparison(
        np.stack([rows, columns], axis=1),
        between[rows, columns],
        np.stack([there[rows, columns], back[columns, rows]], axis=1),
        (left[0], left[1]),
        (mixture_divergence(one, other), mixture_divergence(other, one)),
    )


def check_features(first: FittedMixture, second: FittedMixture) -> None:
    """Refuse mixtures of other features.

    Raises
    ------
    ValueError
        Saying which.
    """
    counts = [each._parameters.n_features for each in (first, second)]
    names = [getattr(each, "feature_names_in_", None) for each in (first, second)]
    if counts[0] != counts[1]:
        raise ValueError(
            f"the first model has {counted(counts[0], 'feature')}, the second {counts[1]:,}: only models of "
            "the same features can be compared; dgmm marginal gives the model of some features"
        )
    if names[0] is not None and names[1] is not None and [*names[0]] != [*names[1]]:
        place = next(i for i, (a, b) in enumerate(zip(*names, strict=True)) if a != b)
        raise ValueError(
            f"feature {place} is {names[0][place]!r} in the first model and {names[1][place]!r} in the "
            "second: only models of the same features, in the same order, can be compared; fit both with the "
            "same columns"
        )


@dataclass(frozen=True)
class PairSums:
    """Sums over rows, by their weights, of two models' log densities: they add up.

    Attributes
    ----------
    n_rows : int
    weight : float
        Of the rows: their number, where they have no weights.
    first, second : float
        Log densities, nats.
    squares : float
        Of differences, nats².
    """

    n_rows: int = 0
    weight: float = 0.0
    first: float = 0.0
    second: float = 0.0
    squares: float = 0.0

    def __add__(self, other: PairSums) -> PairSums:
        """Add those of other rows."""
        return PairSums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def means(self) -> tuple[float, float]:
        """Log-likelihoods, nats a row."""
        return self.first / self.weight, self.second / self.weight

    @property
    def difference(self) -> float:
        """By how much rows like the first better on average, nats."""
        return (self.first - self.second) / self.weight

    @property
    def error(self) -> float:
        """The standard error of that difference: weights count rows."""
        return math.sqrt(max(self.squares / self.weight - self.difference**2, 0.0) / self.weight)

    @property
    def z(self) -> float:
        """Vuong's statistic (1989): the difference in its standard errors; 0 where the models agree."""
        return self.difference / self.error if self.error else 0.0

    @property
    def p_value(self) -> float:
        """How often a difference as large would come of rows that like neither better."""
        return math.erfc(abs(self.z) / math.sqrt(2.0))


@dataclass(frozen=True, eq=False)
class FunctionOfColumns:
    """A function of rows, of some of their columns alone: picklable."""

    function: RowFunction
    columns: NDArray[np.intp]

    def of(self, chunk: ChunkRows) -> Array:
        """Compute the results of a chunk's rows."""
        return self.function.of(chunk._replace(values=chunk.values[:, self.columns]))


@dataclass(frozen=True, eq=False)
class PairWork:
    """The work of a pass that sums two models' log densities of the same rows."""

    first: FunctionOfColumns
    second: FunctionOfColumns

    def __call__(self, chunks: Iterator[ChunkRows]) -> PairSums:
        """Sum over a span."""
        total = PairSums()
        for chunk in chunks:
            if chunk.weights is not None:
                check_weights(chunk)
            one, other = self.first.of(chunk), self.second.of(chunk)
            gaps = one - other
            if not np.isfinite(gaps).all():
                row = chunk.start + int(np.flatnonzero(~np.isfinite(gaps))[0])
                raise DataError(
                    f"row {row} of {chunk.place} is so far from all components that its density is 0: the "
                    "models cannot be compared on it; leave it out"
                )
            weights = np.ones(len(one)) if chunk.weights is None else chunk.weights.astype(np.float64)
            sums = (weights.sum(), weights @ one, weights @ other, weights @ gaps**2)
            total += PairSums(len(one), *map(float, sums))
        return total


def compare_on(
    first: FittedMixture,
    second: FittedMixture,
    measured: MeasuredRows,
    weights: Source | None = None,
    groups: GroupsLike | None = None,
) -> PairSums:
    """Compare two mixtures on rows, in one pass.

    Parameters
    ----------
    first, second : FittedMixture
        One that was fitted with errors is of true values, and widened by those of each row; any other is of
        rows as they are measured. One that was fitted to groups has for each row the weights of its group,
        where groups are given; any other has its own.
    measured : MeasuredRows
    weights : Source or None
        Of the rows.
    groups : array-like, Dask collection, path or None
        The group of each row.

    Raises
    ------
    ValueError
        Of a mixture that was fitted with errors, for rows without; and the other way round. For groups of
        which neither mixture knows; where there are no rows, or none with a weight.
    """
    n_features, both = measured.rows.n_features, (first, second)
    for what, has in (("errors", "measurement_errors_"), ("groups", "groups_")):
        given = measured.given if what == "errors" else groups
        if given is not None and not any(hasattr(each, has) for each in both):
            raise ValueError(f"{what} were given, but neither mixture was fitted with them: {WITHOUT[what]}")
    rows, functions = measured.joined, []
    for each in both:
        require_errors(each, measured.given, "the log-likelihood")
        n_errors = measured.n_errors if hasattr(each, "measurement_errors_") else 0
        columns = np.arange(n_features + n_errors)
        function = each._row_function("log_densities", measured.rows, n_errors)
        if groups is not None and hasattr(each, "groups_"):
            columns = np.append(columns, rows.n_features)
            rows, numbers = with_groups(each, rows, groups)
            in_groups = InGroups("log_densities", each._parameters, numbers, n_errors)
            function = replace(function, compute=in_groups, n_behind=1)
        function = replace(function, dtype=np.dtype(np.float64))  # differences are small beside densities
        functions.append(FunctionOfColumns(function, columns))
    sums = run_pass(rows, PairWork(*functions), "compare", weights)
    check_counted(sums.n_rows, sums.weight, n_features, type(first).__name__)
    return sums
