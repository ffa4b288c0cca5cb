"""A stack: several models, ready for evaluation together.

`dgmm.kernels.stacking` makes stacks, and says which path each component takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dgmm.kernels.precision import (
    DOUBLE,
    ROUGH,
    SINGLE,
    PrecisionTuning,
)
from dgmm.model.families import Family
from dgmm.model.matrices import Array
from dgmm.model.parameters import Evaluable


@dataclass(frozen=True)
class StackTuning:
    """Which kernel stacks are for, by what their work takes. Half and double: not measured.

    Attributes
    ----------
    eliminates_as : int
        Products of rows and natural parameters that take NumPy as long as a component takes to eliminate a
        feature, by the square of their number.
    blas_features : int
        Features from which models of other families, too, are left to NumPy and BLAS: the compiled loop is
        up to twice as fast, but takes as much memory as the rows.
    narrow_blas_features : int
        The same where components of families without products are on the centred path, for which the
        compiled loop has a matrix of all features.
    """

    eliminates_as: int = 8
    blas_features: int = 1024
    narrow_blas_features: int = 32


STACK = StackTuning()


JUST_ONE = slice(1, 2)
"""The row of the feature table that is 1."""


@dataclass(frozen=True, eq=False)
class Centred:
    """A component on the centred path.

    Attributes
    ----------
    row : int
        Its row in the stack.
    model, component : int
        Which component of which model.
    family : Family
    mean, reference : ndarray of shape (n_features,)
        In the data's own coordinates; densities are of deviations from the mean, sums of deviations from the
        reference.
    log_constant : float
        Log joint density at the mean.
    is_narrow : bool
        Whether its sums are about a point of its own; else the reference is the centre of the data.
    """

    row: int
    model: int
    component: int
    family: Family
    mean: Array
    reference: Array
    log_constant: float
    is_narrow: bool = True


class Run(NamedTuple):
    """Models of as many components each, one after the other in a group.

    Attributes
    ----------
    models : list of int
    rows : slice
        Their rows of the group.
    """

    models: list[int]
    rows: slice


@dataclass(frozen=True, eq=False)
class Group:
    """Models of one family that are evaluated together, and not so many that blocks would be short for it.

    Attributes
    ----------
    family : Family
    runs : tuple of Run
        The models, in the order of their rows: those of a run go through log-sum-exp together.
    rows : slice
        Of the stack.
    features : slice
        Rows of the feature table.
    natural_parameters : ndarray of shape (n_components, n_features of the family)
        Zero for components on the centred path.
    is_whitened : bool
        All components are on the centred path, and of the features there is 1 alone.
    """

    family: Family
    runs: tuple[Run, ...]
    rows: slice
    features: slice
    natural_parameters: Array
    is_whitened: bool = False

    @property
    def models(self) -> list[int]:
        """Positions of the models."""
        return [model for run in self.runs for model in run.models]


@dataclass(frozen=True, eq=False)
class Stack:
    """Models made ready for evaluation on rows about one centre; small, picklable.

    Attributes
    ----------
    centre : ndarray of shape (n_features,)
    dtype : dtype of the products, float32 or float64.
    groups : tuple of Group
    rows : tuple of slice
        The rows of the stack that hold each model's components, in the order of the models given.
    centred : tuple of Centred
        Components that take the centred path.
    models : tuple of Evaluable
    is_rough : bool
        Whether rough answers serve, as in starts and moves.
    extent : ndarray of shape (n_features,), or None
        Largest distance of a value from the centre, where rows may lack values (see
        `dgmm.kernels.incomplete`); None where they are complete.
    has_flags : bool
        Whether rows may lack values and features tell which: ``z``, zero where a value lacks, is followed by
        a flag for each feature, 1 there (see `dgmm.kernels.flags`).
    n_rows : int or None
        Rows that an E-step is of, all tasks together; None where they are many, or part of larger work.
    n_groups : int
        Groups of rows by which responsibilities are counted (see `dgmm.kernels.priors`).
    n_errors : int
        Columns of measurement errors that rows have (see `dgmm.kernels.measured`).
    ready : dict
        What is made of the models where rows may lack values, once for all tasks of a process.
    """

    centre: Array
    dtype: np.dtype
    groups: tuple[Group, ...]
    rows: tuple[slice, ...]
    centred: tuple[Centred, ...]
    models: tuple[Evaluable, ...]
    is_rough: bool = False
    extent: Array | None = None
    has_flags: bool = False
    n_rows: int | None = None
    n_groups: int = 0
    n_errors: int = 0
    ready: dict[bytes, Any] = field(default_factory=dict, repr=False)

    @property
    def n_features(self) -> int:
        """Number of features of a data row."""
        return len(self.centre)

    @property
    def n_components(self) -> int:
        """Number of components of all models together."""
        return max(rows.stop for rows in self.rows)

    @property
    def n_table(self) -> int:
        """Rows of the feature table: up to the last that a family uses."""
        return max(group.features.stop for group in self.groups)

    @property
    def work(self) -> float:
        """About what an E-step computes: products of rows and natural parameters; infinite where it is much.

        Where rows may lack values, and features depend on each other, that is the elimination of features,
        row by row.
        """
        if self.n_rows is None:
            return np.inf
        n_each = sum(group.natural_parameters.size for group in self.groups)
        if self.extent is not None:
            n_each += sum(elimination_work(model) for model in self.models)
        return float(self.n_rows * n_each)

    @property
    def deviations(self) -> slice:
        """Rows of the feature table that are the data rows less the centre."""
        return slice(2, self.n_features + 2)

    @property
    def n_factors(self) -> int:
        """Rows of the feature table that are no products of others: ‖z‖², 1, z, and flags."""
        return 2 + self.n_features * (2 if self.has_flags else 1)

    @property
    def adds_squares(self) -> bool:
        """Whether squares of z are to be summed apart from features: of missing values a pass has to."""
        return self.has_flags and any(group.family.is_shared for group in self.groups)

    @property
    def has_norm(self) -> bool:
        """Whether squared distances from the centre are among the features."""
        return any(group.features.start == 0 for group in self.groups)

    @property
    def largest_group(self) -> int:
        """The most components of a group."""
        return max(len(group.natural_parameters) for group in self.groups)

    def centred_in(self, group: Group) -> list[int]:
        """Return the positions of the centred components that are in a group."""
        rows = range(group.rows.start, group.rows.stop)
        return [index for index, entry in enumerate(self.centred) if entry.row in rows]

    @property
    def precision(self) -> PrecisionTuning:
        """How far from exact answers may be."""
        if self.dtype == np.float64:
            return DOUBLE
        return ROUGH if self.is_rough else SINGLE

    @property
    def largest_ratio(self) -> float:
        """Mean squares about the centre, in units of a component's variance, that leave it exact enough."""
        return self.precision.variance_error / float(np.finfo(self.dtype).eps)

    @property
    def n_narrow(self) -> int:
        """Number of components whose sums are about points of their own."""
        return sum(entry.is_narrow for entry in self.centred)

    @property
    def is_exact(self) -> bool:
        """Whether the sums of all components are about points of their own: they do not cancel."""
        return self.n_narrow == self.n_components

    @property
    def is_for_blas(self) -> bool:
        """Whether NumPy and BLAS are the better way to evaluate it: see `StackTuning`."""
        if self.extent is not None or self.has_flags:
            return False
        n_features = self.n_features
        return (
            any(group.is_whitened for group in self.groups)
            or n_features >= STACK.blas_features
            or (
                n_features >= STACK.narrow_blas_features
                and any(not entry.family.has_products for entry in self.centred)
            )
        )

    def is_complete(self, model: int) -> bool:
        """Return whether log densities have their quadratic term.

        All have, but those on the fast path of families whose components share a covariance.
        """
        centred = {entry.model for entry in self.centred}
        return not self.models[model].family.is_shared or model in centred

    def points_of(self, model: int) -> Array:
        """Return what the sums of each component of a model are about: (n_components, n_features)."""
        rows = self.rows[model]
        found = np.tile(self.centre, (rows.stop - rows.start, 1))
        for entry in self.centred:
            if entry.model == model:
                found[entry.component] = entry.reference
        return found


def elimination_work(model: Evaluable) -> int:
    """About what it takes to eliminate observed features for a row that lacks others, in such products."""
    n_components, n_features = model.means.shape
    n_own = 1 if model.family.is_shared else n_components
    return STACK.eliminates_as * n_own * n_features**3 if model.family.has_products else 0
