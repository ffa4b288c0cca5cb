"""The interface of a kernel: an E-step on blocks of rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.marginals import Marginals
from dgmm.kernels.patterns import Grouped
from dgmm.kernels.priors import RowPriors
from dgmm.kernels.rare import Eliminated
from dgmm.kernels.stack import Stack
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.model.regression import Regressions
from dgmm.model.statistics import Statistics


class Part(NamedTuple):
    """A run of rows, and what there is beside them.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,), or (n_models, n_rows) with those of each model, or None
    priors : RowPriors or None
        What is known of their components.
    errors : ndarray of shape (n_rows, n_errors), or None
        Their measurement errors: see `dgmm.kernels.measured`.
    """

    rows: NDArray[np.floating]
    weights: Array | None = None
    priors: RowPriors | None = None
    errors: NDArray[np.floating] | None = None

    @classmethod
    def of(cls, chunk: tuple[NDArray[np.floating], Array | None] | Part) -> Part:
        """Take a chunk that a kernel is given."""
        return chunk if isinstance(chunk, Part) else cls(*chunk)

    def of_rows(self, which: slice) -> Part:
        """Return some of the rows."""
        weights = None if self.weights is None else self.weights[..., which]
        priors = None if self.priors is None else self.priors.of_rows(which)
        return Part(self.rows[which], weights, priors, None if self.errors is None else self.errors[which])

    def of_models(self, models: Sequence[int]) -> Part:
        """Return the rows with the weights and priors that they have for some models."""
        weights = self.weights if self.weights is None or self.weights.ndim == 1 else self.weights[models]
        return self._replace(
            weights=weights, priors=None if self.priors is None else self.priors.of_models(models)
        )

    def of_model(self, model: int) -> Part:
        """Return the rows with those that they have for one model: weights (n_rows,) or None."""
        part = self.of_models([model])
        return part if part.weights is None else part._replace(weights=part.weights.reshape(-1))


Parts: TypeAlias = Iterable[tuple[NDArray[np.floating], Array | None] | Part]
"""Runs of rows, with their weights or None, and what else is beside them."""


class PatternSums(Protocol):
    """Statistics of what is observed of rows that lack values, summed pattern by pattern."""

    def add(self, part: Grouped, numbers: NDArray[np.intp], /) -> None:
        """Add rows; ``numbers`` are those of their patterns among the marginal mixtures."""
        ...

    def statistics(self) -> tuple[Statistics, ...]:
        """Return the statistics of each model, with an axis of patterns before others.

        They are zero for missing features. Where densities lack a quadratic term (`Stack.is_complete`),
        ``shared`` is the scatter of all rows of each pattern about the centre, of shape (P, D, D).
        """
        ...


class TiedRows(Protocol):
    """Statistics of rows that lack values, in one model."""

    def add(self, part: Part, /) -> None:
        """Add rows, with weights (n_rows,) or None, and priors."""
        ...

    def statistics(self) -> Statistics:
        """Return the expected statistics of the complete rows."""
        ...


class Kernel(Protocol):
    """A way to evaluate models on rows; a module is one.

    All give the same to rounding, and what one gives depends neither on how rows are cut into chunks, but for
    rounding, nor on threads.
    """

    def expect(
        self,
        stack: Stack,
        chunks: Parts,
        features: NDArray[np.floating] | None = None,
        /,
    ) -> tuple[Statistics, ...]:
        """E-step: sum the sufficient statistics of all models over rows.

        Parameters
        ----------
        stack : Stack
        chunks : iterable of (rows, weights) or Part
            Rows of shape (n, n_features); weights of shape (n,), or (n_models, n) with those of each model,
            or None.
        features : ndarray, optional
            What `features_of` gave for these rows.

        Returns
        -------
        tuple of Statistics
            One for each model: to be completed, when they are of all rows (`Statistics.completed`).
        """
        ...

    def pattern_sums(self, stack: Stack, marginals: Marginals, n_weights: int, /) -> PatternSums:
        """Begin an E-step of rows that lack values.

        Parameters
        ----------
        stack : Stack
        marginals : Marginals
            Of the patterns that rows may have.
        n_weights : int
            Weights of a row: 1, or the number of models, where each has its own.
        """
        ...

    @property
    def tied_rows(self) -> Callable[[Stack], TiedRows] | None:
        """What begins an E-step of rows that lack values, as they come: see `dgmm.kernels.tied`.

        For stacks of one model, whose components share a covariance matrix. None where it has no such way.
        """
        ...

    def features_of(self, stack: Stack, rows: NDArray[np.floating], /) -> NDArray[np.floating] | None:
        """Compute what is worth keeping of rows that are evaluated many times; None where nothing is."""
        ...

    def evaluate(
        self,
        stack: Stack,
        rows: NDArray[np.floating],
        features: NDArray[np.floating] | None = None,
        /,
        *,
        negligible: float | None = None,
    ) -> Iterator[tuple[NDArray[np.floating], NDArray[np.floating]]]:
        """Give responsibilities (K, n) and log densities (n,) in one model, one run of rows after the other.

        They may change with the next. Log densities may lack a quadratic term: see `Stack.is_complete`.
        Responsibilities below ``negligible``, a normal number, may be zero; by default those that an E-step
        may leave out.
        """
        ...

    def label(self, stack: Stack, rows: NDArray[np.floating], /) -> Iterator[NDArray[np.integer]]:
        """Return the most probable component of each row in one model, one run of rows after the other."""
        ...

    def eliminate(self, parameters: Parameters, rows: NDArray[np.floating], /) -> Iterator[Eliminated]:
        """Eliminate what is observed of each row from a plain mixture, one run of rows after the other.

        Parameters
        ----------
        parameters : Parameters
            Of a family whose features depend on each other.
        rows : ndarray of shape (n_rows, D)
            NaN where a value is missing.
        """
        ...

    def regress(self, covariances: Array, known: NDArray[np.bool_], /) -> Regressions:
        """Eliminate what is observed from covariances, for many patterns: see `dgmm.model.regression`."""
        ...

    def missing(self) -> str | None:
        """Say what it lacks in this process, and how to get it; None where it can run."""
        ...

    def library_bytes(self) -> int:
        """Forecast the bytes that a process takes for the kernel's libraries."""
        ...

    def working_bytes(self, stack: Stack, /) -> int:
        """Forecast the bytes that `expect` allocates beyond the rows, temporary arrays included."""
        ...


def named_kernel() -> str:
    """Return the name of the kernel that the environment asks for by ``DGMM_KERNEL``; empty for any."""
    return os.environ.get("DGMM_KERNEL", "")


def pieces_of(part: Part, n_rows: int) -> Iterator[Part]:
    """Cut a run of rows into pieces of at most so many."""
    for start in range(0, len(part.rows), n_rows):
        yield part.of_rows(slice(start, start + n_rows))
