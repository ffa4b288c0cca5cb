"""Rows with measurement errors in compiled loops: see `dgmm.kernels.measured`.

A tile is as many rows as vectors hold together, its *lanes*: each has a covariance of its own, and all go
through the same steps of its Cholesky factor, lane beside lane. Where all rows of a tile have the errors of
those before, the factors are there already. Features that a row lacks have unit variance and no covariance:
they leave all else as it is, and what they would add is taken off.
"""

from __future__ import annotations

import numpy as np

from dgmm.model.jit import REORDERED, compiled
from dgmm.model.parameters import LOG_2_PI
from dgmm.model.vectors import (
    LANES,
    are_all,
    fold_logs,
    larger,
    less_products,
    load,
    root,
    spread,
    store,
    total,
    where_positive,
)

# Steps of all lanes.


@compiled(REORDERED)
def _log_joint(constant, halves, squares, missing):
    """Return log joint densities; ``constant`` is that of a row that lacks nothing."""
    of_missing = load(missing, ()) * spread(LOG_2_PI)
    return spread(constant) - load(halves, ()) - spread(0.5) * (squares - of_missing)


# Tiles.


@compiled(REORDERED)
def _error_at(rows, row, i, j, n_features):
    """Return the covariance of errors of features i ≥ j, however errors are given."""
    n_errors = rows.shape[1] - n_features
    if n_errors == n_features * n_features:
        return rows[row, n_features + i * n_features + j]
    if n_errors == n_features:
        return rows[row, n_features + i] if i == j else 0.0
    return rows[row, n_features + j * n_features - (j * (j - 1)) // 2 + i - j]


@compiled(REORDERED)
def _load(rows, start, values, known, missing):
    """Load values and whether they are known, (D, lanes); and how many are not, (lanes,)."""
    store(missing, (), spread(0.0))
    for lane in range(LANES):
        row = min(start + lane, len(rows) - 1)  # the last one again, without weight
        for i in range(len(values)):
            is_missing = np.isnan(rows[row, i])
            known[i, lane] = 0.0 if is_missing else 1.0
            values[i, lane] = 0.0 if is_missing else rows[row, i]
            missing[lane] += 1.0 - known[i, lane]


@compiled(REORDERED)
def _load_errors(rows, start, known, errors):
    """Load lower triangles of errors, (D, D, lanes): zero where a feature is missing."""
    n_features = len(known)
    for i in range(n_features):
        for j in range(i + 1):
            for lane in range(LANES):
                row, both = min(start + lane, len(rows) - 1), known[i, lane] * known[j, lane]
                errors[i, j, lane] = _error_at(rows, row, i, j, n_features) if both > 0.0 else 0.0


@compiled(REORDERED)
def _load_variances(rows, start, known, errors):
    """Load the variances of errors, (D, lanes): zero where a feature is missing."""
    n_features = len(known)
    for i in range(n_features):
        for lane in range(LANES):
            row = min(start + lane, len(rows) - 1)
            errors[i, lane] = rows[row, n_features + i] if known[i, lane] > 0.0 else 0.0


@compiled(REORDERED)
def _agree(known, errors, kept):
    """Return whether all lanes have the errors that were kept, (D + 1, D), and lack the same."""
    n_features = len(known)
    for i in range(n_features):
        if not are_all(load(known, (i,)), spread(kept[n_features, i])):
            return False
        for j in range(i + 1):
            if not are_all(load(errors, (i, j)), spread(kept[i, j])):
                return False
    return True


@compiled(REORDERED)
def _keep(known, errors, kept):
    """Keep what the first lane has."""
    n_features = len(known)
    for i in range(n_features):
        kept[n_features, i] = known[i, 0]
        for j in range(i + 1):
            kept[i, j] = errors[i, j, 0]


@compiled(REORDERED)
def _factor(covariance, known, errors, lower, halves, products):
    """Factor covariances with errors, the diagonals of factors inverted; and half their log determinants."""
    n_features, one = len(known), spread(1.0)
    store(products, (), one)
    store(halves, (), spread(0.0))
    for i in range(n_features):
        is_known = load(known, (i,))
        for j in range(i):
            entry = (spread(covariance[i, j]) + load(errors, (i, j))) * (is_known * load(known, (j,)))
            entry = less_products(entry, lower[i], lower[j], j)
            store(lower, (i, j), entry * load(lower, (j, j)))
        # Where a feature is missing: added and taken off, 1 would take small variances along.
        entry = where_positive(is_known, spread(covariance[i, i]) + load(errors, (i, i)), one)
        entry = less_products(entry, lower[i], lower[i], i)
        store(products, (), load(products, ()) * entry)
        fold_logs(products, halves, i == n_features - 1)
        store(lower, (i, i), one / root(entry))


@compiled(REORDERED)
def _standardize(mean, values, known, lower, slopes):
    """Solve for standardized deviations (D, lanes), and give the sums of their squares."""
    squares = spread(0.0)
    for i in range(len(known)):
        own = (load(values, (i,)) - spread(mean[i])) * load(known, (i,))
        own = less_products(own, lower[i], slopes, i) * load(lower, (i, i))
        store(slopes, (i,), own)
        squares = squares + own * own
    return squares


@compiled(REORDERED)
def _solve_on(lower, slopes):
    """Make ``T⁻¹ (x − m)`` of standardized deviations."""
    n_features = len(slopes)
    for i in range(n_features - 1, -1, -1):
        own = less_products(load(slopes, (i,)), lower[i + 1 :, i], slopes[i + 1 :], n_features - i - 1)
        store(slopes, (i,), own * load(lower, (i, i)))


@compiled(REORDERED)
def _invert(known, lower, scratch, inverse):
    """Make the lower triangle of T⁻¹ of its factor, zero where a feature is missing."""
    n_features, zero = len(known), spread(0.0)
    for i in range(n_features):
        own = load(lower, (i, i))
        store(scratch, (i, i), own)
        for j in range(i):
            entry = less_products(zero, lower[i, j:], scratch[j:, j], i - j)
            store(scratch, (i, j), entry * own)
    for i in range(n_features):
        for j in range(i + 1):
            entry = zero
            for m in range(i, n_features):
                entry = entry + load(scratch, (m, i)) * load(scratch, (m, j))
            store(inverse, (i, j), where_positive(load(known, (i,)), entry, zero) if i == j else entry)


@compiled(REORDERED)
def _normalize(weights, start, n_rows, negligible, shares, largest, totals):
    """Make weighted responsibilities of log joint densities (K, lanes), and give the log-likelihood."""
    n_components = len(shares)
    most = load(shares, (0,))
    for k in range(1, n_components):
        most = larger(most, load(shares, (k,)))
    store(largest, (), most)
    store(totals, (), spread(0.0))
    for k in range(n_components):
        for lane in range(LANES):
            shares[k, lane] = np.exp(shares[k, lane] - largest[lane])
        store(totals, (), load(totals, ()) + load(shares, (k,)))
    log_likelihood = 0.0
    for lane in range(LANES):
        weight = 0.0
        if start + lane < n_rows:
            weight = weights[start + lane] if len(weights) else 1.0
            log_likelihood += weight * (largest[lane] + np.log(totals[lane]))
        for k in range(n_components):
            share = shares[k, lane] / totals[lane]
            shares[k, lane] = 0.0 if share < negligible else share * weight
    return log_likelihood


@compiled(REORDERED)
def _put(shares, start, joint):
    """Put log joint densities (K, lanes) where they belong among those of all rows, (n_rows, K)."""
    for lane in range(min(LANES, len(joint) - start)):
        for k in range(len(shares)):
            joint[start + lane, k] = shares[k, lane]


@compiled(REORDERED)
def _entropy(shares, missing, own_half, halves):
    """Return what entropies have of determinants and of missing features."""
    of_missing = spread(0.5 * (1.0 + LOG_2_PI)) * load(missing, ())
    return shares * (of_missing - spread(own_half) - load(halves, ()))


@compiled(REORDERED)
def _add_lacking(shares, missing, known, lacking):
    """Add a component's rows to its counts of those that lack each feature, (D,)."""
    if are_all(load(missing, ()), spread(0.0)):
        return
    for i in range(len(known)):
        lacking[i] += total(shares * (spread(1.0) - load(known, (i,))))


@compiled(REORDERED)
def _add_component(shares, slopes, inverse, errors, means, covariances):
    """Add a component's rows to its sums, of slopes (D,) and lower triangles (D, D); give their entropy.

    Sums over rows are of curvatures ``r (u_i u_j − T⁻¹_ij)``, and of these times the covariance of errors.
    """
    entropy, half = spread(0.0), spread(0.5)
    for i in range(len(slopes)):
        own = load(slopes, (i,))
        means[i] += total(shares * own)
        for j in range(i + 1):
            curvature = shares * (own * load(slopes, (j,)) - load(inverse, (i, j)))
            covariances[i, j] += total(curvature)
            of_errors = load(errors, (i, j)) * curvature
            entropy = entropy - (of_errors if j < i else half * of_errors)
    return entropy


@compiled(REORDERED, is_kept=True)
def dependent(rows, weights, model, work, sums, joint, negligible):
    """Sum gradients over rows, or give their log joint densities: where there are covariances.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, D + n_errors)
    weights : ndarray of shape (n_rows,), or of none
    model : tuple of ndarray
        Log weights (K,), means (K, D), covariances (K, D, D) or (1, D, D), and half log determinants of their
        inverses (K,).
    work : tuple of ndarray
        Where to work.
    sums : tuple of ndarray
        Added to: counts (K,), slopes (K, D), lower triangles (K, D, D), log-likelihood and entropy (2,), and
        counts of what is missing (K, D).
    joint : ndarray of shape (n_rows, K), or of no rows
        Filled, and nothing summed, if it has rows.
    negligible : float
        Responsibilities that are zero.
    """
    constants, means, covariances, own_halves = model
    values, known, errors, lower, inverse, scratch, slopes, shares, halves, lanes, kept = work
    products, missing, largest = lanes[0], lanes[1], lanes[2]
    n_components, n_own, is_kept, n_inverted = len(means), len(covariances), False, 0
    for start in range(0, len(rows), LANES):
        _load(rows, start, values, known, missing)
        _load_errors(rows, start, known, errors)
        is_ready = is_kept and _agree(known, errors, kept)
        if not is_ready:
            _keep(known, errors, kept)
            is_kept, n_inverted = _agree(known, errors, kept), 0
        for k in range(n_components):
            own = min(k, n_own - 1)
            if k < n_own and not is_ready:
                _factor(covariances[own], known, errors, lower[own], halves[own], products)
            squares = _standardize(means[k], values, known, lower[own], slopes[k])
            store(shares, (k,), _log_joint(constants[k], halves[own], squares, missing))
        if len(joint):
            _put(shares, start, joint)
            continue
        sums[3][0] += _normalize(weights, start, len(rows), negligible, shares, largest, products)
        for k in range(n_components):
            share = load(shares, (k,))
            if are_all(share, spread(0.0)):
                continue
            own = min(k, n_own - 1)
            while n_inverted <= own:
                _invert(known, lower[n_inverted], scratch, inverse[n_inverted])
                n_inverted += 1
            _solve_on(lower[own], slopes[k])
            sums[0][k] += total(share)
            _add_lacking(share, missing, known, sums[4][k])
            entropy = _entropy(share, missing, own_halves[k], halves[own])
            own_sums = sums[1][k], sums[2][k]
            sums[3][1] += total(entropy + _add_component(share, slopes[k], inverse[own], errors, *own_sums))


@compiled(REORDERED)
def _independent_slopes(mean, values, inverse, slopes):
    """Write ``T⁻¹ (x − m)`` (D, lanes), and give the sums of squares of standardized deviations."""
    squares = spread(0.0)
    for i in range(len(mean)):
        gap = load(values, (i,)) - spread(mean[i])
        slope = gap * load(inverse, (i,))
        store(slopes, (i,), slope)
        squares = squares + gap * slope
    return squares


@compiled(REORDERED)
def _independent_inverse(variances, known, errors, inverse, halves, products):
    """Write T⁻¹ (D, lanes), zero where a feature is missing, and half the log determinants of T."""
    n_features, one = len(known), spread(1.0)
    store(products, (), one)
    store(halves, (), spread(0.0))
    for i in range(n_features):
        is_known = load(known, (i,))
        variance = where_positive(is_known, spread(variances[i]) + load(errors, (i,)), one)
        store(products, (), load(products, ()) * variance)
        store(inverse, (i,), is_known / variance)
        fold_logs(products, halves, i == n_features - 1)


@compiled(REORDERED)
def _add_independent(shares, slopes, inverse, errors, means, variances):
    """Do as `_add_component` with sums of diagonals, (D,)."""
    entropy = spread(0.0)
    for i in range(len(slopes)):
        slope = load(slopes, (i,))
        means[i] += total(shares * slope)
        curvature = shares * (slope * slope - load(inverse, (i,)))
        variances[i] += total(curvature)
        entropy = entropy + load(errors, (i,)) * curvature
    return spread(-0.5) * entropy


@compiled(REORDERED, is_kept=True)
def independent(rows, weights, model, work, sums, joint, negligible):
    """Do as `dependent` where neither features nor errors have covariances.

    ``model`` has variances (K, D), or (1, D), and ``sums`` are of diagonals, (K, D).
    """
    constants, means, variances, own_halves = model
    values, known, errors, inverse, slopes, shares, halves, lanes = work
    products, missing, largest = lanes[0], lanes[1], lanes[2]
    n_components, n_own = len(means), len(variances)
    for start in range(0, len(rows), LANES):
        _load(rows, start, values, known, missing)
        _load_variances(rows, start, known, errors)
        for k in range(n_components):
            own = min(k, n_own - 1)
            if k < n_own:
                _independent_inverse(variances[own], known, errors, inverse[own], halves[own], products)
            squares = _independent_slopes(means[k], values, inverse[own], slopes[k])
            store(shares, (k,), _log_joint(constants[k], halves[own], squares, missing))
        if len(joint):
            _put(shares, start, joint)
            continue
        sums[3][0] += _normalize(weights, start, len(rows), negligible, shares, largest, products)
        for k in range(n_components):
            share = load(shares, (k,))
            if are_all(share, spread(0.0)):
                continue
            own = min(k, n_own - 1)
            sums[0][k] += total(share)
            _add_lacking(share, missing, known, sums[4][k])
            entropy = _entropy(share, missing, own_halves[k], halves[own])
            own_sums = sums[1][k], sums[2][k]
            sums[3][1] += total(entropy + _add_independent(share, slopes[k], inverse[own], errors, *own_sums))
