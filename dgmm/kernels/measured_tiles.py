"""Rows that are measured with errors, compiled by Numba: see `dgmm.kernels.measured`.

A tile is as many rows as vectors hold together, its *lanes*: each has a covariance of its own, and all go
through the same steps of its Cholesky factor, lane beside lane. Where all rows of a tile have the errors of
those before, the factors are there already. Features that a row lacks have unit variance and no covariance:
they leave all else as it is, and what they would add is taken off.
"""

from __future__ import annotations

import numpy as np

from dgmm.model.jit import REORDERED, compiled
from dgmm.model.parameters import LOG_2_PI

LANES = 16
"""Rows of a tile: two vectors of the longest kind, so that the next can begin before one has ended."""

LEAST, MOST = 1e-150, 1e150
"""Between these products of variances are kept: their logarithm is taken once, and not of each."""


# Steps of all lanes.


@compiled(REORDERED)
def _fill(lanes, value):
    for lane in range(LANES):
        lanes[lane] = value


@compiled(REORDERED)
def _copy(lanes, others):
    for lane in range(LANES):
        lanes[lane] = others[lane]


@compiled(REORDERED)
def _multiply(lanes, others):
    for lane in range(LANES):
        lanes[lane] *= others[lane]


@compiled(REORDERED)
def _add_product(lanes, first, second):
    for lane in range(LANES):
        lanes[lane] += first[lane] * second[lane]


@compiled(REORDERED)
def _subtract_product(lanes, first, second):
    for lane in range(LANES):
        lanes[lane] -= first[lane] * second[lane]


@compiled(REORDERED)
def _put_where_missing(lanes, known, value):
    """Put a value where a feature is missing: added and taken off, it would take small ones along."""
    for lane in range(LANES):
        lanes[lane] = lanes[lane] if known[lane] > 0.0 else value


@compiled(REORDERED)
def _fold(products, halves):
    """Take logarithms of products that are about to leave the range of float64."""
    for lane in range(LANES):
        if not LEAST < products[lane] < MOST:
            halves[lane] += 0.5 * np.log(products[lane])
            products[lane] = 1.0


@compiled(REORDERED)
def _add_half_logs(products, halves):
    for lane in range(LANES):
        halves[lane] += 0.5 * np.log(products[lane])


@compiled(REORDERED)
def _write_log_joint(constant, halves, squares, missing, log_joint):
    """Write log joint densities; ``constant`` is that of a row that lacks nothing."""
    for lane in range(LANES):
        log_joint[lane] = constant - halves[lane] - 0.5 * (squares[lane] - missing[lane] * LOG_2_PI)


# Tiles.


@compiled(REORDERED)
def _error_at(rows, row, i, j, n_features):
    """Give the covariance of errors of features i ≥ j, however errors are given."""
    n_errors = rows.shape[1] - n_features
    if n_errors == n_features * n_features:
        return rows[row, n_features + i * n_features + j]
    if n_errors == n_features:
        return rows[row, n_features + i] if i == j else 0.0
    return rows[row, n_features + j * n_features - (j * (j - 1)) // 2 + i - j]


@compiled(REORDERED)
def _load(rows, start, values, known, missing):
    """Load values and whether they are known, (D, lanes); and how many are not, (lanes,)."""
    _fill(missing, 0.0)
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
def _is_all(lanes, value):
    n_others = 0
    for lane in range(LANES):
        n_others += lanes[lane] != value
    return n_others == 0


@compiled(REORDERED)
def _agree(known, errors, kept):
    """Tell whether all lanes have the errors that were kept, (D + 1, D), and lack the same."""
    n_features = len(known)
    for i in range(n_features):
        if not _is_all(known[i], kept[n_features, i]):
            return False
        for j in range(i + 1):
            if not _is_all(errors[i, j], kept[i, j]):
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
    _fill(products, 1.0)
    _fill(halves, 0.0)
    for i in range(len(known)):
        for j in range(i + 1):
            entry = lower[i, j]
            _fill(entry, covariance[i, j])
            for lane in range(LANES):
                entry[lane] = (entry[lane] + errors[i, j, lane]) * (known[i, lane] * known[j, lane])
            if i == j:
                _put_where_missing(entry, known[i], 1.0)
            for m in range(j):
                _subtract_product(entry, lower[i, m], lower[j, m])
            if j < i:
                _multiply(entry, lower[j, j])
        _multiply(products, lower[i, i])
        _fold(products, halves)
        for lane in range(LANES):
            lower[i, i, lane] = 1.0 / np.sqrt(lower[i, i, lane])
    _add_half_logs(products, halves)


@compiled(REORDERED)
def _standardize(mean, values, known, lower, slopes, squares):
    """Solve for standardized deviations (D, lanes), and sum their squares."""
    _fill(squares, 0.0)
    for i in range(len(known)):
        for lane in range(LANES):
            slopes[i, lane] = (values[i, lane] - mean[i]) * known[i, lane]
        for m in range(i):
            _subtract_product(slopes[i], lower[i, m], slopes[m])
        _multiply(slopes[i], lower[i, i])
        _add_product(squares, slopes[i], slopes[i])


@compiled(REORDERED)
def _solve_on(lower, slopes):
    """Make ``T⁻¹ (x − m)`` of standardized deviations."""
    for i in range(len(slopes) - 1, -1, -1):
        for m in range(i + 1, len(slopes)):
            _subtract_product(slopes[i], lower[m, i], slopes[m])
        _multiply(slopes[i], lower[i, i])


@compiled(REORDERED)
def _invert(known, lower, scratch, inverse):
    """Make the lower triangle of T⁻¹ of its factor, zero where a feature is missing."""
    n_features = len(known)
    for i in range(n_features):
        _copy(scratch[i, i], lower[i, i])
        for j in range(i):
            _fill(scratch[i, j], 0.0)
            for m in range(j, i):
                _subtract_product(scratch[i, j], lower[i, m], scratch[m, j])
            _multiply(scratch[i, j], lower[i, i])
    for i in range(n_features):
        for j in range(i + 1):
            _fill(inverse[i, j], 0.0)
            for m in range(i, n_features):
                _add_product(inverse[i, j], scratch[m, i], scratch[m, j])
        _put_where_missing(inverse[i, i], known[i], 0.0)


@compiled(REORDERED)
def _normalize(weights, start, n_rows, negligible, shares, largest, totals):
    """Make weighted responsibilities of log joint densities (K, lanes), and give the log-likelihood."""
    n_components = len(shares)
    _copy(largest, shares[0])
    _fill(totals, 0.0)
    for k in range(1, n_components):
        for lane in range(LANES):
            largest[lane] = max(largest[lane], shares[k, lane])
    for k in range(n_components):
        for lane in range(LANES):
            shares[k, lane] = np.exp(shares[k, lane] - largest[lane])
            totals[lane] += shares[k, lane]
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
def _sum(lanes):
    total = 0.0
    for lane in range(LANES):
        total += lanes[lane]
    return total


@compiled(REORDERED)
def _entropy(shares, missing, own_half, halves):
    """Sum what entropies have of determinants and of missing features."""
    total = 0.0
    for lane in range(LANES):
        of_missing = 0.5 * missing[lane] * (1.0 + LOG_2_PI)
        total += shares[lane] * (of_missing - own_half - halves[lane])
    return total


@compiled(REORDERED)
def _sum_products(first, second):
    total = 0.0
    for lane in range(LANES):
        total += first[lane] * second[lane]
    return total


@compiled(REORDERED)
def _sum_curvatures(shares, first, second, inverse, errors):
    """Sum ``r (u_i u_j − T⁻¹_ij)``, and the same times the covariance of errors."""
    total = of_errors = 0.0
    for lane in range(LANES):
        curvature = shares[lane] * (first[lane] * second[lane] - inverse[lane])
        total += curvature
        of_errors += errors[lane] * curvature
    return total, of_errors


@compiled(REORDERED)
def _add_component(shares, slopes, inverse, errors, means, covariances):
    """Add a component's rows to its sums, of slopes (D,) and lower triangles (D, D); give their entropy."""
    entropy = 0.0
    for i in range(len(slopes)):
        means[i] += _sum_products(shares, slopes[i])
        for j in range(i + 1):
            total, of_errors = _sum_curvatures(shares, slopes[i], slopes[j], inverse[i, j], errors[i, j])
            covariances[i, j] += total
            entropy -= of_errors if j < i else 0.5 * of_errors
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
        Added to: counts (K,), slopes (K, D), lower triangles (K, D, D), log-likelihood and entropy (2,).
    joint : ndarray of shape (n_rows, K), or of no rows
        Filled, and nothing summed, if it has rows.
    negligible : float
        Responsibilities that are zero.
    """
    constants, means, covariances, own_halves = model
    values, known, errors, lower, inverse, scratch, slopes, shares, halves, lanes, kept = work
    squares, products, missing, largest = lanes[0], lanes[1], lanes[2], lanes[3]
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
            _standardize(means[k], values, known, lower[own], slopes[k], squares)
            _write_log_joint(constants[k], halves[own], squares, missing, shares[k])
        if len(joint):
            _put(shares, start, joint)
            continue
        sums[3][0] += _normalize(weights, start, len(rows), negligible, shares, largest, products)
        for k in range(n_components):
            if _is_all(shares[k], 0.0):
                continue
            own = min(k, n_own - 1)
            while n_inverted <= own:
                _invert(known, lower[n_inverted], scratch, inverse[n_inverted])
                n_inverted += 1
            _solve_on(lower[own], slopes[k])
            sums[0][k] += _sum(shares[k])
            sums[3][1] += _entropy(shares[k], missing, own_halves[k], halves[own])
            sums[3][1] += _add_component(shares[k], slopes[k], inverse[own], errors, sums[1][k], sums[2][k])


@compiled(REORDERED)
def _independent_slopes(mean, values, inverse, slopes, squares):
    """Give ``T⁻¹ (x − m)`` (D, lanes), and sum squares of standardized deviations."""
    _fill(squares, 0.0)
    for i in range(len(mean)):
        for lane in range(LANES):
            gap = values[i, lane] - mean[i]
            slopes[i, lane] = gap * inverse[i, lane]
            squares[lane] += gap * slopes[i, lane]


@compiled(REORDERED)
def _independent_inverse(variances, known, errors, inverse, halves, products):
    """Give T⁻¹ (D, lanes), zero where a feature is missing, and half the log determinants of T."""
    _fill(products, 1.0)
    _fill(halves, 0.0)
    for i in range(len(known)):
        for lane in range(LANES):
            total = variances[i] + errors[i, lane] if known[i, lane] > 0.0 else 1.0
            products[lane] *= total
            inverse[i, lane] = known[i, lane] / total
        _fold(products, halves)
    _add_half_logs(products, halves)


@compiled(REORDERED)
def _add_independent(shares, slopes, inverse, errors, means, variances):
    """Do as `_add_component` with sums of diagonals, (D,)."""
    entropy = 0.0
    for i in range(len(slopes)):
        means[i] += _sum_products(shares, slopes[i])
        total, of_errors = _sum_curvatures(shares, slopes[i], slopes[i], inverse[i], errors[i])
        variances[i] += total
        entropy -= 0.5 * of_errors
    return entropy


@compiled(REORDERED, is_kept=True)
def independent(rows, weights, model, work, sums, joint, negligible):
    """Do as `dependent` where neither features nor errors have covariances.

    ``model`` has variances (K, D), or (1, D), and ``sums`` are of diagonals, (K, D).
    """
    constants, means, variances, own_halves = model
    values, known, errors, inverse, slopes, shares, halves, lanes = work
    squares, products, missing, largest = lanes[0], lanes[1], lanes[2], lanes[3]
    n_components, n_own = len(means), len(variances)
    for start in range(0, len(rows), LANES):
        _load(rows, start, values, known, missing)
        _load_variances(rows, start, known, errors)
        for k in range(n_components):
            own = min(k, n_own - 1)
            if k < n_own:
                _independent_inverse(variances[own], known, errors, inverse[own], halves[own], products)
            _independent_slopes(means[k], values, inverse[own], slopes[k], squares)
            _write_log_joint(constants[k], halves[own], squares, missing, shares[k])
        if len(joint):
            _put(shares, start, joint)
            continue
        sums[3][0] += _normalize(weights, start, len(rows), negligible, shares, largest, products)
        for k in range(n_components):
            if _is_all(shares[k], 0.0):
                continue
            own = min(k, n_own - 1)
            sums[0][k] += _sum(shares[k])
            sums[3][1] += _entropy(shares[k], missing, own_halves[k], halves[own])
            sums[3][1] += _add_independent(shares[k], slopes[k], inverse[own], errors, sums[1][k], sums[2][k])
