"""How a stack is made: models grouped by family, and a path chosen for each component.

A component whose log densities from features would not be exact (`dgmm.kernels.precision`) takes the *centred
path*: deviations from its own mean, which never cancel, at a few times the cost. Full components of many
features all take it, as products of matrices are then as fast, and the table of all products of two features
is spared: they are *whitened*.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.kernel import named_kernel
from dgmm.kernels.precision import DOUBLE, allows_single_precision, largest_rounding_errors, rounding_errors
from dgmm.kernels.stack import JUST_ONE, Centred, Group, Run, Stack
from dgmm.model.families import FAMILIES, Family
from dgmm.model.jit import compiled_module
from dgmm.model.matrices import Array
from dgmm.model.parameters import LOG_OF_NOTHING, Evaluable


@dataclass(frozen=True)
class StackingTuning:
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
    """

    run_components: int = 16
    group_components: int = 64
    group_numbers: int = 1953
    whitened_features: int = 128
    tabled_features: int = 192
    tabled_components: int = 6
    tabled_work: float = 2.0**29


STACKING = StackingTuning()


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
    """Return whether NumPy evaluates components by products of matrices alone: full ones of many features."""
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
        return _joined([arrays[index] for index in self.members])


def _joined(arrays: Sequence[Array]) -> Array:
    """Join arrays; one is given as it is, as steps of EM on few rows make a stack each."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _batches(models: Sequence[Evaluable]) -> Iterator[_Batch]:
    """Yield all models in batches: family after family, and in their own order."""
    for family in FAMILIES.values():
        members = tuple(i for i, model in enumerate(models) if model.family is family)
        for batch in [(i,) for i in members] if family.is_shared else [members] if members else []:
            own = [models[index] for index in batch]
            yield _Batch(
                family,
                batch,
                _joined([model.log_constants for model in own]),
                _joined([model.means for model in own]),
                _joined([model.precisions_cholesky for model in own]),
            )


def _is_tabled(batch: _Batch, fewest: int, n_rows: int | None, extent: Array, dtype: np.dtype) -> bool:
    """Return whether full components of many features are for the compiled loop and its table nevertheless.

    All are exact then; ``fewest`` are the components of a model.
    """
    n_components, n_features = batch.means.shape
    features = batch.family.feature_rows(n_features)
    n_each = n_components * (features.stop - features.start)
    return (
        n_features < STACKING.tabled_features
        and fewest >= STACKING.tabled_components
        and (n_rows is None or n_rows * n_each >= STACKING.tabled_work)
        and named_kernel() in {"", "compiled"}
        and compiled_module("dgmm.kernels.tiles") is not None
        and bool((rounding_errors(batch, extent, dtype) <= DOUBLE.density_error).all())
    )


def _on_paths(
    batch: _Batch, about: Array | None, centre: Array, extent: Array, dtype: np.dtype, *, whitened: bool
) -> tuple[NDArray[np.bool_], Array, Array]:
    """Say which components take the centred path, and give the natural parameters of the others.

    Parameters
    ----------
    batch : _Batch
    about : ndarray of shape (K, D), or None
        Points near components that are to take the centred path; NaN for others. None for no such points.
    centre, extent, dtype
        As for `stack_models`, and the dtype of products: float32 where that is exact enough for all.
    whitened : bool
        All are on the centred path, and this says which have sums about points of their own.

    Returns
    -------
    narrow : ndarray of shape (K,), bool
    points : ndarray of shape (K, D)
        About which sums are.
    theta : ndarray of shape (K, n_features of the family), or (K, 1)
    """
    narrow, points = np.zeros(len(batch.means), bool), batch.means
    if about is not None:
        narrow[:] = np.isfinite(about).all(axis=1)
        points = np.where(narrow[:, None], about, points)
    is_double = dtype == np.float64
    if whitened:
        theta = np.zeros((len(narrow), 1))
        if is_double:  # densities are exact, and sums where no feature's squares cancel
            narrow |= ~(largest_rounding_errors(batch, extent, dtype) <= DOUBLE.density_error)
        points = np.where(narrow[:, None], points, centre)
    else:
        finite = np.maximum(batch.log_constants, LOG_OF_NOTHING)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not used
            theta = batch.family.natural_parameters(finite, batch.means - centre, batch.precisions_cholesky)
        if is_double:
            narrow |= ~(rounding_errors(batch, extent, dtype) <= DOUBLE.density_error)
            narrow |= ~np.isfinite(theta).all(axis=1)
    if batch.family.is_shared:  # with or without the quadratic term that they share, but all of them
        narrow[:] = narrow.any()
    theta[narrow] = 0.0  # not used, and too large for products
    return narrow, points, theta


def _centred(
    batch: _Batch,
    components: Sequence[tuple[int, int]],
    first: int,
    points: Array,
    narrow: NDArray[np.bool_],
    *,
    whitened: bool,
) -> list[Centred]:
    """Return the components of a batch that take the centred path, all if they are whitened.

    ``components`` are the model of each and its number there; they begin in row ``first`` of the stack.
    """
    return [
        Centred(
            first + k,
            *components[k],
            batch.family,
            batch.means[k],
            points[k],
            float(batch.log_constants[k]),
            bool(narrow[k]),
        )
        for k in np.flatnonzero(narrow | whitened).tolist()
    ]


def _products_dtype(
    batches: Sequence[_Batch], centre: Array, extent: Array, reaches: Sequence[Array] | None
) -> np.dtype:
    """Return the dtype of products with float32 rows: float32 if that is exact enough for all components."""
    allows = (
        allows_single_precision(batch, centre, extent, None if reaches is None else batch.joined(reaches))
        for batch in batches
    )
    return np.dtype(np.float32 if all(allows) else np.float64)


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
    batches, dtype = [*_batches(models)], np.dtype(np.float64)
    if references is None and np.dtype(rows_dtype) == np.float32 and not n_errors:
        dtype = _products_dtype(batches, centre, extent, reaches)
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
            about = None if references is None else batch.joined(references)
            narrow, points, theta = _on_paths(batch, about, centre, extent, dtype, whitened=whitened)
            thetas.append(theta)
            members += batch.members
            components = [(index, k) for index in batch.members for k in range(len(models[index].means))]
            centred += _centred(batch, components, first, points, narrow, whitened=whitened)
            for index in batch.members:
                rows[index] = slice(first, first := first + len(models[index].means))
        sizes = [(index, len(models[index].means)) for index in members]
        features = JUST_ONE if whitened else family.feature_rows(len(centre))
        theta = _joined(thetas).astype(dtype, copy=False)
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
    """Return the stack of some models, for rows that may lack values."""
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
