"""Observed features eliminated from covariances, compiled by Numba: see `dgmm.kernels.rare_compiled`.

Rows, or patterns, go through the steps of their Cholesky factors side by side (`dgmm.model.vectors`), each
with its own observed features first. What a missing feature would take off later ones is zero.
"""

from __future__ import annotations

from dgmm.model.jit import REORDERED, compiled
from dgmm.model.matrices import NOISE
from dgmm.model.vectors import (
    LANES,
    fold_logs,
    less_products,
    load,
    root,
    spread,
    store,
    where_positive,
)


@compiled(REORDERED)
def _put_first(is_known, start, order, known):
    """Order features, (lanes, D), the observed ones of each row first; and say which they are (D, lanes)."""
    n_rows, n_features = is_known.shape
    for lane in range(LANES):
        row, place = min(start + lane, n_rows - 1), 0  # the last one again
        for wanted in (True, False):
            for feature in range(n_features):
                if is_known[row, feature] == wanted:
                    order[lane, place] = feature
                    known[place, lane] = 1.0 if wanted else 0.0
                    place += 1


@compiled(REORDERED)
def _factor(covariance, order, known, left, lower, halves, products):
    """Fill what is left when earlier features are eliminated, and factors of that, their diagonals inverted.

    Columns of missing features are zero; ``halves`` are half the log determinants of the observed ones.
    """
    n_features, one = len(known), spread(1.0)
    for lane in range(LANES):
        own = order[lane]
        for i in range(n_features):
            entries = covariance[own[i]]
            for j in range(i + 1):
                left[i, j, lane] = entries[own[j]]
    store(halves, (), spread(0.0))
    store(products, (), one)
    for i in range(n_features):
        for j in range(i):
            entry = less_products(load(left, (i, j)), lower[i], lower[j], j)
            store(left, (i, j), entry)
            store(lower, (i, j), entry * load(lower, (j, j)))
        entry, is_known = less_products(load(left, (i, i)), lower[i], lower[i], i), load(known, (i,))
        store(left, (i, i), entry)
        pivot = where_positive(is_known, entry, one)
        store(lower, (i, i), is_known / root(pivot))
        store(products, (), load(products, ()) * pivot)
        fold_logs(products, halves, i == n_features - 1)


@compiled(REORDERED)
def _load_gaps(deviations, start, k, order, known, gaps):
    for lane in range(LANES):
        row, own = deviations[min(start + lane, len(deviations) - 1), k], order[lane]
        for i in range(len(gaps)):
            gaps[i, lane] = row[own[i]] if known[i, lane] > 0.0 else 0.0


@compiled(REORDERED)
def _complete(lower, gaps, standardized):
    """Complete deviations in place, (D, lanes), and give the squared lengths of the observed ones."""
    squares, zero = spread(0.0), spread(0.0)
    for i in range(len(gaps)):
        rest = less_products(load(gaps, (i,)), lower[i], standardized, i)
        own = rest * load(lower, (i, i))
        store(standardized, (i,), own)
        store(gaps, (i,), zero - rest)
        squares = squares + own * own
    return squares


@compiled(REORDERED)
def _put_deviations(lane, order, known, gaps, deviations):
    """Write the deviations of what a row lacks, (D,)."""
    for i in range(len(order) - 1, -1, -1):
        if known[i, lane] > 0.0:
            break
        deviations[order[i]] = gaps[i, lane]


@compiled(REORDERED)
def _put_within(lane, order, known, left, within):
    """Write the covariance of what a row lacks, (D, D), given what is observed."""
    for i in range(len(order) - 1, -1, -1):
        if known[i, lane] > 0.0:
            break
        for j in range(i, -1, -1):
            if known[j, lane] > 0.0:
                break
            within[order[i], order[j]] = within[order[j], order[i]] = left[i, j, lane]


@compiled(REORDERED, is_kept=True)
def eliminate(covariances, deviations, is_known, order, work, within, squares, halves):
    """Do as `dgmm.kernels.rare.eliminate`, in place.

    Parameters
    ----------
    covariances : ndarray of shape (K, D, D), or (1, D, D) of one that all components share
    deviations : ndarray of shape (n_rows, K, D)
        Completed here.
    is_known : ndarray of shape (n_rows, D), bool
    order : ndarray of shape (lanes, D), int
        Where to work, as in the next.
    work : tuple of ndarray
        Three of shape (D, lanes), two of (D, D, lanes), and two of (lanes,).
    within : ndarray of shape (n_rows, K, D, D), or (n_rows, 1, D, D)
        Zeros, filled here.
    squares : ndarray of shape (n_rows, K)
        Filled here.
    halves : ndarray of shape (n_rows, K), or (n_rows, 1)
        Filled here.
    """
    known, gaps, standardized, left, lower, own_halves, some = work
    n_rows, n_components, _ = deviations.shape
    for start in range(0, n_rows, LANES):
        n_own = min(LANES, n_rows - start)
        _put_first(is_known, start, order, known)
        for k in range(n_components):
            if k < len(covariances):
                _factor(covariances[k], order, known, left, lower, own_halves, some)
                for lane in range(n_own):
                    halves[start + lane, k] = own_halves[lane]
                    _put_within(lane, order[lane], known, left, within[start + lane, k])
            _load_gaps(deviations, start, k, order, known, gaps)
            store(some, (), _complete(lower, gaps, standardized))
            for lane in range(n_own):
                squares[start + lane, k] = some[lane]
                _put_deviations(lane, order[lane], known, gaps, deviations[start + lane, k])


@compiled(REORDERED)
def _regress(known, lower, rows):
    """Write inverses of the factors of what is observed, and below them coefficients of regression."""
    for i in range(len(known)):
        is_known, own = load(known, (i,)), load(lower, (i, i))
        store(rows, (i, i), own)
        for j in range(i):
            entry = spread(0.0)
            for m in range(j, i):
                entry = entry + load(lower, (i, m)) * load(rows, (m, j))
            store(rows, (i, j), where_positive(is_known, spread(0.0) - entry * own, entry))


@compiled(REORDERED)
def _are_positive(lane, order, left, covariance):
    """Return whether more than rounding errors is left of each variance."""
    are_all = True
    for i in range(len(order)):
        are_all &= left[i, i, lane] > NOISE * covariance[order[i], order[i]]
    return are_all


@compiled(REORDERED)
def _put_regression(lane, order, known, rows, factor, coefficients):
    for i in range(len(order)):
        for j in range(i + 1):
            if known[i, lane] > 0.0:
                factor[order[j], i] = rows[i, j, lane]
            elif known[j, lane] > 0.0:
                coefficients[order[i], order[j]] = rows[i, j, lane]


@compiled(REORDERED, is_kept=True)
def regress(covariances, are_known, order, work, factors, halves, coefficients, within):
    """Do as `dgmm.model.regression.regress`, in place; tell whether all covariances are positive definite.

    Parameters
    ----------
    covariances : ndarray of shape (k, D, D)
    are_known : ndarray of shape (P, D), bool
    order, work
        As for `eliminate`.
    factors, coefficients, within : ndarray of shape (P, k, D, D)
        Zeros, filled here.
    halves : ndarray of shape (P, k)
        Half the log determinants of the covariances of what is observed, filled here.
    """
    known, _, _, left, lower, own_halves, some = work
    for start in range(0, len(are_known), LANES):
        n_own = min(LANES, len(are_known) - start)
        _put_first(are_known, start, order, known)
        for k in range(len(covariances)):
            _factor(covariances[k], order, known, left, lower, own_halves, some)
            for lane in range(n_own):
                pattern, own = start + lane, order[lane]
                if not _are_positive(lane, own, left, covariances[k]):
                    return False
                halves[pattern, k] = own_halves[lane]
                _put_within(lane, own, known, left, within[pattern, k])
            _regress(known, lower, left)  # which has been read
            for lane in range(n_own):
                own, out = order[lane], start + lane
                _put_regression(lane, own, known, left, factors[out, k], coefficients[out, k])
    return True
