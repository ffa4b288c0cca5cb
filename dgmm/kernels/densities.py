"""Log densities, responsibilities and labels of rows.

The rows of a call decide on the path that narrow components take: densities of the same row in chunks of
other rows may differ by what `dgmm.kernels.precision.DOUBLE` allows. Rows whose squares overflow take a path
of their own (`dgmm.kernels.far`), and do not decide. Of rows that lack values, NaN, what is observed speaks:
densities are of the marginal mixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels import chosen_kernel, kernel_for
from dgmm.kernels.far import FAR, far_rows, log_joint_of_far, responsibilities_of_far
from dgmm.kernels.measured import log_joint
from dgmm.kernels.patterns import grouped, patterns_of
from dgmm.kernels.rare import Eliminate, expected_rows, own_entries, row_seconds, shares_of
from dgmm.kernels.stack import Stack, elimination_work
from dgmm.kernels.stacking import stack_models
from dgmm.kernels.workspace import block_rows
from dgmm.model.conditional import marginal, plain
from dgmm.model.matrices import Array
from dgmm.model.parameters import Evaluable, Parameters

TINY = float(np.finfo(np.float64).tiny)
"""Responsibilities below are zero: the least normal number."""


PATTERN_SECONDS, ENTRY_SECONDS = 2.5e-4, 5e-8
"""About what a pattern of missing values takes, however few its rows are; and more for each entry of a
covariance."""


def _of_all(
    result: NDArray[Any],
    model: Evaluable,
    rows: NDArray[np.floating],
    of_near: Callable[[NDArray[Any], NDArray[np.floating], Array], None],
    of_far: Callable[[NDArray[np.floating]], NDArray[Any]],
) -> NDArray[Any]:
    """Fill a result for each row, of those too far for the usual path by another.

    Parameters
    ----------
    result : ndarray of shape (n_rows, ...)
    model : Evaluable
    rows : ndarray of shape (n_rows, n_features)
    of_near : callable
        Fills a result for some rows; given the centre that their features are about.
    of_far : callable
        Takes rows to their results.
    """
    if len(rows) == 0:
        return result
    # Rows to predict may lie anywhere: the middle of the components is the centre.
    centre = model.means.mean(axis=0)
    far = far_rows(model, rows, centre)
    if far is None:
        of_near(result, rows, centre)
        return result
    near = np.empty((len(rows) - int(far.sum()), *result.shape[1:]), result.dtype)
    if len(near):
        of_near(near, rows[~far], centre)
    result[~far], result[far] = near, of_far(rows[far])
    return result


def _of_incomplete(
    result: NDArray[Any],
    model: Evaluable,
    rows: NDArray[np.floating],
    of_rows: Callable[[Evaluable, NDArray[np.floating]], NDArray[Any]],
    of_joint: Callable[[Array], NDArray[Any]],
) -> NDArray[Any]:
    """Fill a result for each row, of rows some of which lack values.

    Parameters
    ----------
    result : ndarray of shape (n_rows, ...)
    model : Evaluable
    rows : ndarray of shape (n_rows, n_features)
    of_rows : callable
        Gives the result for complete rows of a mixture.
    of_joint : callable
        Takes log joint densities, (n_rows, K), to results.
    """
    mixture, n_features = plain(cast(Parameters, model)), rows.shape[1]
    by = chosen_kernel(len(rows) * elimination_work(mixture)).eliminate
    found = grouped(rows)
    assert found.order is not None
    n_known, sizes = found.known.sum(axis=1), found.sizes
    is_rare = (n_known == 0) | ((n_known < n_features) & (sizes < fewest_rows(mixture, by)))

    def of_pattern(is_known: NDArray[np.bool_], which: NDArray[np.intp], some: NDArray[np.floating]) -> None:
        known = np.flatnonzero(is_known)
        is_whole = len(known) == n_features
        own = (model, some) if is_whole else (marginal(mixture, known), some[:, known])
        result[which] = of_rows(*own)

    for number in np.flatnonzero(~is_rare):
        segment = slice(found.ends[number] - sizes[number], found.ends[number])
        of_pattern(found.known[number], found.order[segment], found.rows[segment])
    rare = found.order[np.repeat(is_rare, sizes)]
    for each in expected_rows(mixture, rows[rare], by) if len(rare) else ():
        which, largest = rare[each.rows], each.log_joint.max(axis=1)
        is_near = (largest > FAR.log_density) & (largest < np.inf)  # squares that overflow are not finite
        result[which[is_near]] = of_joint(each.log_joint[is_near])
        far = which[~is_near]
        for is_known, these, some in patterns_of(rows[far]):
            of_pattern(is_known, far[these], some)
    return result


def fewest_rows(model: Parameters, by: Eliminate) -> float:
    """Return the rows from which on a pattern is worth a marginal mixture of its own."""
    return (PATTERN_SECONDS + ENTRY_SECONDS * own_entries(model)) / row_seconds(model, by)


def _ready(model: Evaluable, rows: NDArray[np.floating], centre: Array) -> Stack:
    """Make a model ready for rows, at least one, which decide on the path that its components take."""
    extent = np.maximum(rows.max(axis=0) - centre, centre - rows.min(axis=0))
    return stack_models([model], centre, extent, np.float64, n_rows=len(rows))


def _evaluated(
    ready: Stack, rows: NDArray[np.floating]
) -> Iterator[tuple[slice, NDArray[np.floating], NDArray[np.floating]]]:
    """Yield responsibilities (K, n) and log densities (n,), and which rows they are of."""
    start = 0
    for shares, densities in kernel_for(ready).evaluate(ready, rows, negligible=TINY):
        yield slice(start, start := start + len(densities)), shares, densities


def _totals(log_joint: Array) -> Array:
    return np.logaddexp.reduce(log_joint, axis=1)


def log_densities(model: Evaluable, rows: NDArray[np.floating], n_errors: int = 0) -> Array:
    """Log density of each row under the mixture: (n_rows, n_features + n_errors) to (n_rows,), nats.

    −∞ where it leaves the range of float64. Of columns of measurement errors see `dgmm.kernels.measured`.
    """
    if n_errors:
        return _totals(log_joint(model, rows))
    if np.isnan(rows).any():
        return _of_incomplete(np.empty(len(rows)), model, rows, log_densities, _totals)

    def of_near(result: Array, some: NDArray[np.floating], centre: Array) -> None:
        ready = _ready(model, some, centre)
        for part, _, densities in _evaluated(ready, some):
            result[part] = densities
        if ready.is_complete(0):
            return
        # A quadratic term that is the same for all components.
        n_rows = block_rows(ready)
        for start in range(0, len(some), n_rows):
            part = slice(start, start + n_rows)
            z = np.ascontiguousarray(some[part].T - ready.centre[:, None])
            standardized = model.family.standardize(z, model.precisions_cholesky, 0)
            result[part] -= 0.5 * np.einsum("db,db->b", standardized, standardized)

    def of_far(some: NDArray[np.floating]) -> Array:
        return _totals(log_joint_of_far(model, some))

    return _of_all(np.empty(len(rows)), model, rows, of_near, of_far)


def expected_log_densities(model: Evaluable, rows: NDArray[np.floating]) -> Array:
    """Log density to be expected of each row, were it complete: (n_rows, n_features) to (n_rows,), nats.

    Of complete rows it is `log_densities`. A density of what is observed alone is of fewer features, in
    other units: no less for an ordinary row than for one that is far out. So what a row lacks counts too, by
    the mean of its log density given what is observed and the component: by less its entropy, which the
    component and the missing features decide.
    """
    found = log_densities(model, rows)
    lacking = np.flatnonzero(np.isnan(rows).any(axis=1))
    if not len(lacking):
        return found
    mixture, own = plain(cast(Parameters, model)), rows[lacking]
    patterns = [(which, some[0]) for _, which, some in patterns_of(own)]
    kernel = chosen_kernel(len(patterns) * elimination_work(mixture))
    each = expected_rows(mixture, np.array([first for _, first in patterns]), kernel.eliminate)
    shares = responsibilities(model, own)
    entropies = np.concatenate([np.broadcast_to(part.entropies, part.log_joint.shape) for part in each])
    for (which, _), of_components in zip(patterns, entropies, strict=True):
        found[lacking[which]] -= shares[which] @ of_components
    return found


def joint_log_densities(model: Evaluable, rows: NDArray[np.floating], n_errors: int = 0) -> Array:
    """Log joint density of each row and component, for what priors of rows are added to.

    Parameters
    ----------
    model : Evaluable
    rows : ndarray of shape (n_rows, n_features + n_errors)

    Returns
    -------
    ndarray of shape (n_rows, n_components)
        Nats; −∞ where it leaves the range of float64.
    """
    if n_errors:
        return log_joint(model, rows)
    if np.isnan(rows).any():
        result = np.empty((len(rows), len(model.means)))
        return _of_incomplete(result, model, rows, log_joint_of_far, lambda joint: joint)
    return log_joint_of_far(model, rows)


def responsibilities(model: Evaluable, rows: NDArray[np.floating], n_errors: int = 0) -> Array:
    """Probability of each component given each row: (n_rows, n_features + n_errors) to (n_rows, K)."""
    if n_errors:
        return shares_of(log_joint(model, rows))[0]
    if np.isnan(rows).any():
        result = np.empty((len(rows), len(model.means)))
        return _of_incomplete(result, model, rows, responsibilities, lambda joint: shares_of(joint)[0])

    def of_near(result: Array, some: NDArray[np.floating], centre: Array) -> None:
        for part, shares, _ in _evaluated(_ready(model, some, centre), some):
            result[part] = shares.T

    result = np.empty((len(rows), len(model.means)))
    return _of_all(result, model, rows, of_near, lambda some: responsibilities_of_far(model, some))


def labels(model: Evaluable, rows: NDArray[np.floating], n_errors: int = 0) -> NDArray[np.int64]:
    """Most probable component of each row: (n_rows, n_features + n_errors) to (n_rows,)."""
    if n_errors:
        return log_joint(model, rows).argmax(axis=1)
    if np.isnan(rows).any():
        result = np.empty(len(rows), np.int64)
        return _of_incomplete(result, model, rows, labels, lambda joint: joint.argmax(axis=1))

    def of_near(result: NDArray[Any], some: NDArray[np.floating], centre: Array) -> None:
        start = 0
        ready = _ready(model, some, centre)
        for found in kernel_for(ready).label(ready, some):
            result[start : (start := start + len(found))] = found

    def of_far(some: NDArray[np.floating]) -> NDArray[np.intp]:
        return responsibilities_of_far(model, some).argmax(axis=1)

    return _of_all(np.empty(len(rows), np.int64), model, rows, of_near, of_far)
