"""Incomplete rows completed by a factor as small as what they lack, compiled.

With ``d`` the deviations of a row from the mean of a component, whatever they are where it lacks a value, and
``g = Λ d``, the covariance of what is missing, given the rest, is the inverse of its block of the precision,
``C = Λ_MM⁻¹``; its regression is ``d_M − C g_M``, and the squared length of what is observed
``dᵀg − g_Mᵀ C g_M``. That is a product with one matrix for all rows, and a Cholesky factor of as many
features as a row lacks, where `dgmm.kernels.elimination` makes one of all features. Where components share Λ,
the product and the factor are of the row alone: with ``z`` its deviations from a point, zero where it lacks a
value, and ``ν`` a mean's, ``g = Λ z − Λ ν``, and what is missing is ``−C g_M`` from that point. The
differences cancel where missing features are nearly known from others, or means far apart: it is for mixtures
where nothing is (`dgmm.kernels.rare.can_be_completed`).

Rows go through it side by side (`dgmm.model.vectors`); of those that lack less, blocks are filled up with
ones.
"""

from __future__ import annotations

from dgmm.model.jit import REORDERED, compiled
from dgmm.model.vectors import LANES, fold_logs, less_products, load, root, spread, store


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
def _fill(inverse, most, gaps, standardized, filled):
    """Write ``−C g_M`` of the gaps ``g_M``, and give the squared length that is not observed."""
    squares, zero = spread(0.0), spread(0.0)
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
        store(filled, (i,), own)
    return squares


@compiled(REORDERED, is_kept=True)
def complete(precisions, rest, products, offsets, is_known, integers, work, within, filled, squares, halves):
    """Complete rows of K components, of k precisions: K, or one that all share.

    Parameters
    ----------
    precisions : ndarray of shape (k, D, D)
    rest : ndarray of shape (k,)
        Half the log determinants of the covariances of all features.
    products : ndarray of shape (k, n_rows, D)
        Of precisions and deviations, zero where missing.
    offsets : ndarray of shape (K, D)
        Of precisions and means, less what deviations are from.
    is_known : ndarray of shape (n_rows, D), bool
    integers : tuple of ndarray
        Where to work, as in the next: of shape (D, lanes) and (lanes,), int64.
    work : tuple of ndarray
        Two of shape (D, lanes), three of (D, D, lanes), and two of (lanes,).
    within : ndarray of shape (pieces, k, entries, lanes)
        Covariances of what is missing, filled here.
    filled : ndarray of shape (pieces, K, most missing, lanes)
        Deviations of what is missing, filled here.
    squares : ndarray of shape (n_rows, K)
        Of all deviations; here those of what is missing are taken off.
    halves : ndarray of shape (n_rows, k)
        Half the log determinants of the covariances of what is observed, filled here.
    """
    places, n_missing = integers
    gaps, standardized, block, lower, inverse, own_halves, some = work
    n_rows = len(is_known)
    for start in range(0, n_rows, LANES):
        piece, n_own = start // LANES, min(LANES, n_rows - start)
        most = _find_missing(is_known, start, places, n_missing)
        for k in range(len(offsets)):
            own = min(k, len(precisions) - 1)
            if k == own:
                _load_block(precisions[k], places, n_missing, most, block)
                _invert(block, most, lower, inverse, own_halves, some)
                _put_within(inverse, most, within[piece, k])
                for lane in range(n_own):
                    halves[start + lane, k] = rest[k] + own_halves[lane]
            for lane in range(LANES):
                row = products[own, min(start + lane, n_rows - 1)]
                for i in range(most):
                    place = places[i, lane]
                    gaps[i, lane] = row[place] - offsets[k, place] if i < n_missing[lane] else 0.0
            store(some, (), _fill(inverse, most, gaps, standardized, filled[piece, k]))
            for lane in range(n_own):
                squares[start + lane, k] -= some[lane]


@compiled(REORDERED, is_kept=True)
def add_filled(shares, is_known, within, filled, places, weighted, sums, halves):
    """Add what is expected of missing features, times shares, to sums of what is observed.

    Parameters
    ----------
    shares : ndarray of shape (n_rows, K)
    is_known : ndarray of shape (n_rows, D), bool
    within, filled
        As `complete` gives them.
    places : ndarray of shape (D,), int64
        Where to work.
    weighted : ndarray of shape (s, n_rows, D)
        Of each component, or of all together where s is 1: zero for missing features, filled here.
    sums : ndarray of shape (K, D)
    halves : ndarray of shape (s, D, D)
        Of products of missing features: those below the diagonal, and half of those on it.
    """
    for row in range(len(shares)):
        n_missing = 0
        for feature in range(is_known.shape[1]):
            if not is_known[row, feature]:
                places[n_missing] = feature
                n_missing += 1
        piece, lane = row // LANES, row % LANES
        for k in range(shares.shape[1]):
            share, own, out = shares[row, k], filled[piece, k], min(k, len(halves) - 1)
            left, entry = within[piece, min(k, within.shape[1] - 1)], 0
            for i in range(n_missing):
                place, value = places[i], own[i, lane]
                sums[k, place] += share * value
                weighted[out, row, place] += share * value
                for j in range(i):
                    product = value * own[j, lane] + left[entry, lane]
                    halves[out, place, places[j]] += share * product
                    entry += 1
                halves[out, place, place] += 0.5 * share * (value * value + left[entry, lane])
                entry += 1
