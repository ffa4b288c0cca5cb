"""Models made ready for evaluation: stacked by family, and on which path each component goes.

A component whose log densities from features would not be exact (`dgmm.kernels.precision`) takes the *centred
path*: deviations from its own mean, which never cancel, at a few times the cost. Full components of many
features all take it, as products of matrices are then as fast, and the table of all products of two features
is spared: they are *whitened*.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from dgmm.kernels.precision import (
    DOUBLE,
    ROUGH,
    SINGLE,
    PrecisionTuning,
    allows_single_precision,
    largest_rounding_errors,
    rounding_errors,
)
from dgmm.model.families import FAMILIES, Family
from dgmm.model.jit import compiled_module
from dgmm.model.matrices import Array
from dgmm.model.parameters import LOG_OF_NOTHING, Evaluable


@dataclass(frozen=True)
class StackTuning:
    """How many models go through the work on a block together: fewer and longer calls of NumPy.

    The compiled loop takes the same groups, and is in no need of them. Chosen by
    docs/notes/2026-11-23-numpy-kernel.md. Half and double: not measured
    (docs/notes/2026-11-26-kernels.md).

    Attributes
    ----------
    run_components : int
        Components of small models that go through log-sum-exp together: they are to stay in a cache.
    group_components : int
        Components of models that are evaluated together: with more, blocks would have few rows.
    group_numbers : int
        Natural parameters of these: so many times the rows of a tile are the `BlockTuning.small_product` of
        `dgmm.kernels.blocks`.
    eliminates_as : int
        Products of rows and natural parameters that take NumPy as long as a component takes to eliminate a
        feature, by the square of their number.
    whitened_features : int
        Features from which full components are whitened: NumPy takes less memory so, and no more time. Chosen
        by docs/notes/2026-11-26-wide.md.
    tabled_features : int
        Features below which the compiled loop, where there is one, has the table of all products
        nevertheless: it takes half to two thirds of the time of BLAS. Chosen by
        docs/notes/2026-11-27-kernels.md.
    tabled_components, tabled_work : int, float
        What there is then at the least: components of each model, as making the table shows where they are
        few; and work (see `Stack.work`), from which on bounds leave out components
        (`dgmm.kernels.near.NearTuning`), and natural parameters are worth being made.
    blas_features : int
        Features from which models of other families, too, are left to NumPy and BLAS: the compiled loop is
        up to twice as fast, but takes as much memory as the rows.
    narrow_blas_features : int
        The same where components of families without products are on the centred path, for which the
        compiled loop has a matrix of all features.
    """

    run_components: int = 16
    group_components: int = 64
    group_numbers: int = 1953
    eliminates_as: int = 8
    whitened_features: int = 128
    tabled_features: int = 192
    tabled_components: int = 6
    tabled_work: float = 2.0**29
    blas_features: int = 1024
    narrow_blas_features: int = 32


STACKING = StackTuning()

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


def _runs(sizes: Iterable[tuple[int, int]]) -> tuple[Run, ...]:
    """Put models of as many components together, but few."""
    runs, first = [], 0
    for model, size in sizes:
        last = runs[-1] if runs else Run([], slice(0, 0))
        together = first + size - last.rows.start
        if size * (len(last.models) + 1) == together <= STACKING.run_components:
            runs[-1:] = [Run([*last.models, model], slice(last.rows.start, first + size))]
        else:
            runs.append(Run([model], slice(first, first + size)))
        first += size
    return tuple(runs)


def is_whitened(family: Family, n_features: int) -> bool:
    """Tell whether NumPy evaluates components by products of matrices alone: full ones of many features."""
    return family.has_all_features and n_features >= STACKING.whitened_features


def groups_of(
    family: Family,
    sizes: Sequence[tuple[int, int]],
    start: int,
    features: slice,
    theta: Array,
    *,
    whitened: bool = False,
) -> Iterator[Group]:
    """Cut the models of a family into groups.

    Parameters
    ----------
    family : Family
    sizes : sequence of (int, int)
        Models, and how many components they have.
    start : int
        Row of the stack where the first begins.
    features : slice
        Rows of the feature table.
    theta : ndarray of shape (n_components, n_features of the family)
        Natural parameters of all of them.
    whitened : bool, default=False
        See `Group`.
    """
    most = min(STACKING.group_components, STACKING.group_numbers // theta.shape[1])
    first, begin, end = 0, 0, 0
    for index, (_, size) in enumerate(sizes):
        if index > first and end + size - begin > most:
            yield Group(
                family,
                _runs(sizes[first:index]),
                slice(start + begin, start + end),
                features,
                theta[begin:end],
                whitened,
            )
            first, begin = index, end
        end += size
    rows = slice(start + begin, start + end)
    yield Group(family, _runs(sizes[first:]), rows, features, theta[begin:end], whitened)


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
        """Give the positions of the centred components that are in a group."""
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
            or n_features >= STACKING.blas_features
            or (
                n_features >= STACKING.narrow_blas_features
                and any(not entry.family.has_products for entry in self.centred)
            )
        )

    def is_complete(self, model: int) -> bool:
        """Tell whether log densities have their quadratic term.

        All have, but those on the fast path of families whose components share a covariance.
        """
        centred = {entry.model for entry in self.centred}
        return not self.models[model].family.is_shared or model in centred

    def points_of(self, model: int) -> Array:
        """Give what the sums of each component of a model are about: (n_components, n_features)."""
        rows = self.rows[model]
        found = np.tile(self.centre, (rows.stop - rows.start, 1))
        for entry in self.centred:
            if entry.model == model:
                found[entry.component] = entry.reference
        return found


def elimination_work(model: Evaluable) -> int:
    """About what it takes to eliminate observed features for a row that lacks others, in such products."""
    n_components, n_features = model.means.shape
    return STACKING.eliminates_as * n_components * n_features**3 if model.family.has_products else 0


@dataclass(frozen=True, eq=False)
class _Batch:
    """Models of one family, joined: all their components go through its formulas in one call.

    But for those that share a covariance: a batch has one of these.

    Attributes
    ----------
    family : Family
    members : tuple of int
        Positions of the models.
    log_constants, means, precisions_cholesky
        As for `Evaluable`, of all components.
    """

    family: Family
    members: tuple[int, ...]
    log_constants: Array
    means: Array
    precisions_cholesky: Array

    def joined(self, arrays: Sequence[Array]) -> Array:
        """Join those of all models' arrays, with a row for each component, that belong to this batch."""
        return np.concatenate([arrays[index] for index in self.members])


def _batches(models: Sequence[Evaluable]) -> Iterator[_Batch]:
    """Give all models in batches: family after family, and in their own order."""
    for family in FAMILIES.values():
        members = tuple(i for i, model in enumerate(models) if model.family is family)
        for batch in [(i,) for i in members] if family.is_shared else [members] if members else []:
            own = [models[index] for index in batch]
            factors = [model.precisions_cholesky for model in own]
            yield _Batch(
                family,
                batch,
                np.concatenate([model.log_constants for model in own]),
                np.concatenate([model.means for model in own]),
                factors[0] if len(own) == 1 else np.concatenate(factors),
            )


def _is_tabled(batch: _Batch, fewest: int, n_rows: int | None, extent: Array, dtype: np.dtype) -> bool:
    """Tell whether full components of many features are for the compiled loop and its table nevertheless.

    All are exact then; ``fewest`` are the components of a model.
    """
    n_components, n_features = batch.means.shape
    features = batch.family.feature_rows(n_features)
    n_each = n_components * (features.stop - features.start)
    return (
        n_features < STACKING.tabled_features
        and fewest >= STACKING.tabled_components
        and (n_rows is None or n_rows * n_each >= STACKING.tabled_work)
        and compiled_module("dgmm.kernels.tiles") is not None
        and bool((rounding_errors(batch, extent, dtype) <= DOUBLE.density_error).all())
    )


def stack_models(
    models: Sequence[Evaluable],
    centre: Array,
    extent: Array,
    rows_dtype: np.dtype | type,
    *,
    references: Sequence[Array] | None = None,
    reaches: Sequence[Array] | None = None,
    may_lack: bool = False,
    n_rows: int | None = None,
    n_groups: int = 0,
    n_errors: int = 0,
) -> Stack:
    """Make models ready for evaluation.

    Parameters
    ----------
    models : sequence of Evaluable
    centre : ndarray of shape (n_features,)
        Features are of rows relative to it: the mean of the data, or near it.
    extent : ndarray of shape (n_features,)
        Largest distance of a row from the centre: decides between the paths, for all rows alike, so that
        a result does not depend on how rows are cut into blocks.
    rows_dtype : dtype
        float32 rows take float32 products where every component allows it.
    references : sequence of ndarray of shape (n_components, n_features), optional
        Points near the components of each model, in the data's own coordinates: these take the centred path,
        with sums about them. Where there is none (a row of NaN, or no array), narrow components take it
        nevertheless, about their own means.
    reaches : sequence of ndarray of shape (n_components, n_features), optional
        Distances from the centre within which the densities of each component matter: float32 rows take
        float32 products if these are exact enough there (`dgmm.kernels.precision.ROUGH`). By default all rows
        matter.
    may_lack : bool, default=False
        Whether rows may lack values: NaN.
    n_rows : int, optional
        See `Stack`.
    n_groups : int, default=0
        Groups of rows by which responsibilities are counted.
    n_errors : int, default=0
        Columns of measurement errors that rows have. Sums are those of float64 then.
    """
    if any(len(model.means) == 0 for model in models):
        raise ValueError("a mixture of no components has no densities")
    batches = [*_batches(models)]
    single = (
        references is None
        and np.dtype(rows_dtype) == np.float32
        and not n_errors
        and all(
            allows_single_precision(batch, centre, extent, None if reaches is None else batch.joined(reaches))
            for batch in batches
        )
    )
    dtype = np.dtype(np.float32 if single else np.float64)
    groups: list[Group] = []
    centred: list[Centred] = []
    rows: dict[int, slice] = {}
    first = 0
    for family, own in groupby(batches, key=lambda batch: batch.family):
        start, thetas, members = first, [], []
        whitened = is_whitened(family, len(centre)) and not may_lack
        for batch in own:
            if whitened and references is None:  # one batch, as no covariance is shared
                fewest = min(len(models[index].means) for index in batch.members)
                whitened = not _is_tabled(batch, fewest, n_rows, extent, dtype)
            about = np.full(batch.means.shape, np.nan) if references is None else batch.joined(references)
            narrow = np.asarray(np.isfinite(about).all(axis=1))
            points = np.where(narrow[:, None], about, batch.means)
            if whitened:
                theta = np.zeros((len(narrow), 1))
                if not single:  # densities are exact, and sums where no feature's squares cancel
                    narrow |= ~(largest_rounding_errors(batch, extent, dtype) <= DOUBLE.density_error)
                points = np.where(narrow[:, None], points, centre)
            else:
                finite = np.maximum(batch.log_constants, LOG_OF_NOTHING)
                with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not used
                    theta = family.natural_parameters(finite, batch.means - centre, batch.precisions_cholesky)
                if not single:
                    narrow |= ~(rounding_errors(batch, extent, dtype) <= DOUBLE.density_error)
                    narrow |= ~np.isfinite(theta).all(axis=1)
            if family.is_shared:  # with or without the quadratic term that they share, but all of them
                narrow[:] = narrow.any()
            theta[narrow] = 0.0  # not used, and too large for products
            thetas.append(theta)
            members += batch.members
            components = [(index, k) for index in batch.members for k in range(len(models[index].means))]
            centred += [
                Centred(
                    first + k,
                    *components[k],
                    family,
                    batch.means[k],
                    points[k],
                    float(batch.log_constants[k]),
                    bool(narrow[k]),
                )
                for k in np.flatnonzero(narrow | whitened).tolist()
            ]
            for index in batch.members:
                rows[index] = slice(first, first := first + len(models[index].means))
        sizes = [(index, len(models[index].means)) for index in members]
        features = JUST_ONE if whitened else family.feature_rows(len(centre))
        theta = np.concatenate(thetas).astype(dtype)
        groups += groups_of(family, sizes, start, features, theta, whitened=whitened)
    in_order = tuple(rows[index] for index in range(len(models)))
    return Stack(
        centre,
        dtype,
        tuple(groups),
        in_order,
        tuple(centred),
        tuple(models),
        is_rough=reaches is not None,
        extent=extent if may_lack else None,
        n_rows=n_rows,
        n_groups=n_groups,
        n_errors=n_errors,
    )


def some_of(stack: Stack, models: Sequence[int]) -> Stack:
    """Give the stack of some models, for rows that may lack values."""
    assert stack.extent is not None
    references = None
    if stack.centred:
        references = [np.full(model.means.shape, np.nan) for model in stack.models]
        for entry in stack.centred:
            references[entry.model][entry.component] = entry.reference
        references = [references[index] for index in models]
    return stack_models(
        [stack.models[index] for index in models],
        stack.centre,
        stack.extent,
        stack.dtype,
        references=references,
        may_lack=True,
        n_groups=stack.n_groups,
    )


def blank_stack(family: Family, n_components: int, centre: Array, references: Array | None = None) -> Stack:
    """Make a stack without a model, for `dgmm.kernels.blocks.assign`.

    Parameters
    ----------
    family : Family
    n_components : int
    centre : ndarray of shape (n_features,)
    references : ndarray of shape (n_components, n_features), optional
        Take sums about these points, in the data's own coordinates, instead of about the centre.
    """
    rows, whitened = slice(0, n_components), is_whitened(family, len(centre))
    features = JUST_ONE if whitened else family.feature_rows(len(centre))
    blank = np.zeros((n_components, features.stop - features.start))
    points = [] if references is None else list(references)
    centred = tuple(Centred(k, 0, k, family, point, point, 0.0) for k, point in enumerate(points))
    if whitened and references is None:
        centred = tuple(Centred(k, 0, k, family, centre, centre, 0.0, False) for k in range(n_components))
    group = Group(family, _runs([(0, n_components)]), rows, features, blank, whitened)
    return Stack(centre, np.dtype(np.float64), (group,), (rows,), centred, ())
