"""Incomplete rows completed by a factor as small as what they lack, compiled.

With ``d`` the deviations of a row, zero where it lacks a value, and ``g = Λ d``, the covariance of what is
missing, given the rest, is the inverse of its block of the precision, ``C = Λ_MM⁻¹``; its regression is
``−C g_M``, and the squared length of what is observed ``dᵀg − g_Mᵀ C g_M``. That is a product with one matrix
for all rows, and a Cholesky factor of as many features as a row lacks, where `dgmm.kernels.elimination` makes
one of all features. The difference cancels where missing features are nearly known from others: it is for
mixtures of which none is.

Rows go through it side by side (`dgmm.model.vectors`); of those that lack less, blocks are filled up with
ones.
"""

from __future__ import annotations

from dgmm.model.jit import REORDERED, compiled
from dgmm.model.vectors import LANES, fold_logs, less_products, load, root, spread, store

AT_ONCE = 4
"""Features of a product that are found at once: arrays are padded to a multiple of it."""


@compiled(REORDERED)
def _find_missing(is_known, start, places, n_missing):
    """Write which features each row lacks, (D, lanes), and how many: give the most."""
    most = 0
    for lane in range(LANES):
        row, place = min(start + lane, len(is_known) - 1), 0  # the last one again
        for feature in range(is_known.shape[1]):
            if not is_known[row, feature]:
                places[place, lane] = feature
                place += 1
        n_missing[lane] = place
        most = max(most, place)
    return most


@compiled(REORDERED)
def _load_block(precision, places, n_missing, most, block):
    for lane in range(LANES):
        for i in range(most):
            for j in range(i + 1):
                if i < n_missing[lane]:
                    block[i, j, lane] = precision[places[i, lane], places[j, lane]]
                else:
                    block[i, j, lane] = 1.0 if i == j else 0.0


@compiled(REORDERED)
def _invert(block, most, lower, inverse, halves, products):
    """Invert the Cholesky factors L of blocks; ``halves`` are half their log determinants."""
    zero, one = spread(0.0), spread(1.0)
    store(halves, (), zero)
    store(products, (), one)
    for i in range(most):
        for j in range(i):  # with the diagonals inverted
            entry = less_products(load(block, (i, j)), lower[i], lower[j], j)
            store(lower, (i, j), entry * load(lower, (j, j)))
        pivot = less_products(load(block, (i, i)), lower[i], lower[i], i)
        own = one / root(pivot)
        store(lower, (i, i), own)
        store(inverse, (i, i), own)
        store(products, (), load(products, ()) * pivot)
        fold_logs(products, halves, i == most - 1)
        for j in range(i):
            entry = zero
            for m in range(j, i):
                entry = entry - load(lower, (i, m)) * load(inverse, (m, j))
            store(inverse, (i, j), entry * own)


@compiled(REORDERED)
def _put_within(inverse, most, within):
    """Write what is below and on the diagonals of the blocks' inverses, row by row: (entries, lanes)."""
    entry = 0
    for i in range(most):
        for j in range(i + 1):
            found = spread(0.0)
            for m in range(i, most):
                found = found + load(inverse, (m, i)) * load(inverse, (m, j))
            store(within, (entry,), found)
            entry += 1


@compiled(REORDERED)
def _multiply(precision, gaps, products):
    """Multiply gaps (D, lanes) by a precision (D, D), both padded; give ``dᵀ Λ d``."""
    squares = spread(0.0)
    for i in range(0, len(gaps), AT_ONCE):
        first, second, third, fourth = spread(0.0), spread(0.0), spread(0.0), spread(0.0)
        for j in range(len(gaps)):
            own = load(gaps, (j,))
            first = first + spread(precision[i, j]) * own
            second = second + spread(precision[i + 1, j]) * own
            third = third + spread(precision[i + 2, j]) * own
            fourth = fourth + spread(precision[i + 3, j]) * own
        store(products, (i,), first)
        store(products, (i + 1,), second)
        store(products, (i + 2,), third)
        store(products, (i + 3,), fourth)
        squares = squares + load(gaps, (i,)) * first + load(gaps, (i + 1,)) * second
        squares = squares + load(gaps, (i + 2,)) * third + load(gaps, (i + 3,)) * fourth
    return squares


@compiled(REORDERED)
def _complete(inverse, most, places, n_missing, products, standardized, gaps):
    """Write the deviations of what is missing into gaps, and give what its squares were too many."""
    squares, zero = spread(0.0), spread(0.0)
    for lane in range(LANES):
        for i in range(most):
            gaps[i, lane] = products[places[i, lane], lane] if i < n_missing[lane] else 0.0
    for i in range(most):
        own = zero
        for j in range(i + 1):
            own = own + load(inverse, (i, j)) * load(gaps, (j,))
        store(standardized, (i,), own)
        squares = squares + own * own
    for i in range(most):
        own = zero
        for m in range(i, most):
            own = own - load(inverse, (m, i)) * load(standardized, (m,))
        store(gaps, (i,), own)
    return squares


@compiled(REORDERED, is_kept=True)
def complete(precisions, rest, deviations, is_known, integers, work, within, squares, halves):
    """Do as `dgmm.kernels.rare.eliminate`, in place.

    Parameters
    ----------
    precisions : ndarray of shape (K, side, side), or (1, side, side) of one that all components share
        Padded with zeros.
    rest : ndarray of shape (K,), or (1,)
        Half the log determinants of the covariances of all features.
    deviations : ndarray of shape (n_rows, K, D)
        Completed here.
    is_known : ndarray of shape (n_rows, D), bool
    integers : tuple of ndarray
        Where to work, as in the next: of shape (D, lanes) and (lanes,), int64.
    work : tuple of ndarray
        Three of shape (side, lanes), zeros; three of (D, D, lanes), and two of (lanes,).
    within : ndarray of shape (pieces, K, entries, lanes), or (pieces, 1, entries, lanes)
        Covariances of what is missing, filled here.
    squares : ndarray of shape (n_rows, K)
        Filled here.
    halves : ndarray of shape (n_rows, K), or (n_rows, 1)
        Filled here.
    """
    places, n_missing = integers
    gaps, products, standardized, block, lower, inverse, own_halves, some = work
    n_rows, n_components, n_features = deviations.shape
    for start in range(0, n_rows, LANES):
        n_own = min(LANES, n_rows - start)
        most = _find_missing(is_known, start, places, n_missing)
        for k in range(n_components):
            own = min(k, len(precisions) - 1)
            if k == own:
                _load_block(precisions[k], places, n_missing, most, block)
                _invert(block, most, lower, inverse, own_halves, some)
                _put_within(inverse, most, within[start // LANES, k])
                for lane in range(n_own):
                    halves[start + lane, k] = rest[k] + own_halves[lane]
            for lane in range(LANES):
                row = deviations[min(start + lane, n_rows - 1), k]
                for i in range(n_features):
                    gaps[i, lane] = row[i]
            length = _multiply(precisions[own], gaps, products)
            beyond = _complete(inverse, most, places, n_missing, products, standardized, gaps)
            store(some, (), length - beyond)
            for lane in range(n_own):
                squares[start + lane, k] = some[lane]
                for i in range(n_missing[lane]):
                    deviations[start + lane, k, places[i, lane]] = gaps[i, lane]


@compiled(REORDERED, is_kept=True)
def add_within(shares, is_known, within, places, sums):
    """Add the covariances of what rows lack, times their shares, to sums on and below the diagonals.

    Parameters
    ----------
    shares : ndarray of shape (n_rows, k)
    is_known : ndarray of shape (n_rows, D), bool
    within : ndarray of shape (pieces, k, entries, lanes), or (pieces, 1, entries, lanes)
        As `complete` gives them.
    places : ndarray of shape (D,), int64
        Where to work.
    sums : ndarray of shape (k, D, D)
    """
    for row in range(len(shares)):
        n_missing = 0
        for feature in range(is_known.shape[1]):
            if not is_known[row, feature]:
                places[n_missing] = feature
                n_missing += 1
        for k in range(shares.shape[1]):
            own, entry = within[row // LANES, min(k, within.shape[1] - 1)], 0
            for i in range(n_missing):
                for j in range(i + 1):
                    sums[k, places[i], places[j]] += shares[row, k] * own[entry, row % LANES]
                    entry += 1
