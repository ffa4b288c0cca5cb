"""What compiled loops do with one tile of rows, in the cache: features, densities, responsibilities and sums.

Features are *factors* of a row (see `dgmm.kernels.factors`) and products of two of them: the first of its
features, and pairs of factors, are all that is known of a family. The loops are in `dgmm.kernels.tiles`.
"""

from __future__ import annotations

import numpy as np

from dgmm.kernels.elementary import exponential, logarithm
from dgmm.kernels.factors import prefetch, write_factors, write_products
from dgmm.kernels.tile_tuning import CACHE_LINE, TILES, UNROLLED
from dgmm.model.jit import IN_ORDER, REORDERED, compiled
from dgmm.model.vectors import longest_vectors

TILE_ROWS, GATHERED_SHARE = TILES.tile_rows, TILES.gathered_share
"""Compiled functions take globals for constants, if they are numbers: records they would not."""

COMPLETE = np.empty(0, np.bool_)
"""Of rows that have all features it is not asked which."""

INLINE = {**REORDERED, "inline": "always"}
"""Options of parts of the loop. As calls, those that add rows up would be there twice, in a module of their
own and in the loop's, with sums in orders that can differ: which of them runs depends on whether the loop was
just compiled, or loaded."""

REPEATED = {**REORDERED, "forceinline": True}
"""Options of such a part that is there many times: it is compiled once, and LLVM inlines it. Numba would find
the types of each copy anew, which took as long as all else (docs/notes/2026-11-27-tests.md)."""


@compiled(INLINE)
def _panel(first, last, model, work):
    """Return the table of the features from ``first`` to ``last``, and the pairs of those that are products.

    Features that are factors are where factors are, products behind all factors.
    """
    n_factors = len(work.factors)
    n_own = n_factors - model.first_feature
    begin = min(model.first_feature + first, n_factors)
    return work.table[begin : begin + last - first], model.pairs[max(first - n_own, 0) : max(last - n_own, 0)]


def _densities_of_features(name, *, adds):
    def write(theta, panel, densities, n_rows):
        longest_vectors()
        zero = densities.dtype.type(0)
        for k in range(0, len(theta), 4):
            a0, a1, a2, a3 = densities[k], densities[k + 1], densities[k + 2], densities[k + 3]
            t0, t1, t2, t3 = theta[k], theta[k + 1], theta[k + 2], theta[k + 3]
            for p in range(0, theta.shape[1], 4):
                f0, f1, f2, f3 = panel[p], panel[p + 1], panel[p + 2], panel[p + 3]
                t00, t01, t02, t03 = t0[p], t0[p + 1], t0[p + 2], t0[p + 3]
                t10, t11, t12, t13 = t1[p], t1[p + 1], t1[p + 2], t1[p + 3]
                t20, t21, t22, t23 = t2[p], t2[p + 1], t2[p + 2], t2[p + 3]
                t30, t31, t32, t33 = t3[p], t3[p + 1], t3[p + 2], t3[p + 3]
                for row in range(n_rows):
                    x0, x1, x2, x3 = f0[row], f1[row], f2[row], f3[row]
                    a0[row] = (a0[row] if adds else zero) + t00 * x0 + t01 * x1 + t02 * x2 + t03 * x3
                    a1[row] = (a1[row] if adds else zero) + t10 * x0 + t11 * x1 + t12 * x2 + t13 * x3
                    a2[row] = (a2[row] if adds else zero) + t20 * x0 + t21 * x1 + t22 * x2 + t23 * x3
                    a3[row] = (a3[row] if adds else zero) + t30 * x0 + t31 * x1 + t32 * x2 + t33 * x3

    # Parts of the loop that different processes have compiled are linked by name: without names of their own
    # one of these two would now and then be taken for the other.
    write.__qualname__ = name
    return compiled(IN_ORDER)(write)


_write_densities = _densities_of_features("_write_densities", adds=False)
"""Write ``Θ Φ`` of at most four features to the log joint densities (K, rows): 4 components at once."""

_add_densities = _densities_of_features("_add_densities", adds=True)
"""Add ``Θ Φ`` of a panel of features to the log joint densities (K, rows): 4 components × 4 features."""


@compiled(REPEATED)
def _add_sums(shares, panel, sums, n_rows):
    """Add ``R Φᵀ`` of a panel of features to the sums (K, P), in float64: 4 components × 4 features."""
    zero = panel.dtype.type(0)
    for p in range(0, sums.shape[1], 4):
        f0, f1, f2, f3 = panel[p], panel[p + 1], panel[p + 2], panel[p + 3]
        for k in range(0, len(sums), 4):
            r0, r1, r2, r3 = shares[k], shares[k + 1], shares[k + 2], shares[k + 3]
            s00, s01, s02, s03 = zero, zero, zero, zero
            s10, s11, s12, s13 = zero, zero, zero, zero
            s20, s21, s22, s23 = zero, zero, zero, zero
            s30, s31, s32, s33 = zero, zero, zero, zero
            for row in range(n_rows):
                x0, x1, x2, x3 = f0[row], f1[row], f2[row], f3[row]
                y0, y1, y2, y3 = r0[row], r1[row], r2[row], r3[row]
                s00, s01, s02, s03 = s00 + y0 * x0, s01 + y0 * x1, s02 + y0 * x2, s03 + y0 * x3
                s10, s11, s12, s13 = s10 + y1 * x0, s11 + y1 * x1, s12 + y1 * x2, s13 + y1 * x3
                s20, s21, s22, s23 = s20 + y2 * x0, s21 + y2 * x1, s22 + y2 * x2, s23 + y2 * x3
                s30, s31, s32, s33 = s30 + y3 * x0, s31 + y3 * x1, s32 + y3 * x2, s33 + y3 * x3
            _add_four(sums[k], p, s00, s01, s02, s03)
            _add_four(sums[k + 1], p, s10, s11, s12, s13)
            _add_four(sums[k + 2], p, s20, s21, s22, s23)
            _add_four(sums[k + 3], p, s30, s31, s32, s33)


@compiled(REORDERED)
def _add_four(sums, p, first, second, third, fourth):
    sums[p] += first
    sums[p + 1] += second
    sums[p + 2] += third
    sums[p + 3] += fourth


@compiled(INLINE)
def normalize(densities, weights, negligible, largest, totals, n_rows, ahead):
    """Turn log joint densities of a model into (weighted) responsibilities, by log-sum-exp.

    Those whose logarithm, less the largest of the row, is below ``negligible`` are made zero. The log
    densities of the rows are left in ``largest``; returns their (weighted) sum, float64. Meanwhile the rows
    ``ahead`` are fetched: this is the time when nothing else is.
    """
    zero = densities.dtype.type(0)
    for row in range(n_rows):
        largest[row] = densities[0, row]
        totals[row] = zero
    for k in range(1, len(densities)):
        own = densities[k]
        for row in range(n_rows):
            largest[row] = own[row] if own[row] > largest[row] else largest[row]
    n_lines, n_components = ahead.size * ahead.itemsize // CACHE_LINE, len(densities)
    for k in range(n_components):
        own = densities[k]
        for line in range(k * n_lines // n_components, (k + 1) * n_lines // n_components):
            prefetch(ahead, line)  # pyright: ignore[reportCallIssue] - Numba gives the first argument
        for row in range(n_rows):
            less = own[row] - largest[row]
            share = exponential(less) if less > negligible else zero
            own[row] = share
            totals[row] += share
    log_likelihood = 0.0
    if len(weights):
        for row in range(n_rows):
            log_density = largest[row] + logarithm(np.float64(totals[row]))
            log_likelihood += weights[row] * log_density
            largest[row] = log_density
            totals[row] = weights[row] / totals[row]
    else:
        for row in range(n_rows):
            log_density = largest[row] + logarithm(np.float64(totals[row]))
            log_likelihood += log_density
            largest[row] = log_density
            totals[row] = 1.0 / totals[row]
    for k in range(len(densities)):
        own = densities[k]
        for row in range(n_rows):
            own[row] *= totals[row]
    return log_likelihood


@compiled(REORDERED)
def _write_centred(tile, mean, factor, log_constant, deviations, out):
    """Write the log joint densities of a centred component, from deviations from its mean."""
    longest_vectors()
    n_rows, n_features = tile.shape
    for feature in range(n_features):
        for row in range(n_rows):
            deviations[feature, row] = tile[row, feature] - mean[feature]
    y = deviations[n_features]
    for row in range(n_rows):
        out[row] = log_constant
    for i in range(n_features):
        for row in range(n_rows):
            y[row] = 0
        for j in range(n_features):
            coefficient = factor[i, j]
            if coefficient != 0.0:
                for row in range(n_rows):
                    y[row] += coefficient * deviations[j, row]
        for row in range(n_rows):
            out[row] -= 0.5 * y[row] * y[row]


@compiled(INLINE)
def _gather(tile, k, model, work, gathered):
    """Append the rows of a component, those with a responsibility that is not zero, to its buffer.

    One that is full is added to the component's sums, and begins anew.
    """
    slot, share, origin = model.slots[k], work.densities[k], model.origins[k]
    buffer, filled = work.buffers[slot], work.filled[slot]
    for row in range(len(tile)):
        if share[row] != 0:
            buffer[0, filled] = share[row]
            buffer[1, filled] = 1
            for feature in range(tile.shape[1]):
                buffer[feature + 2, filled] = tile[row, feature] - origin[feature]
            filled += 1
            if filled == TILE_ROWS:
                _add_gathered(buffer, work.weighted, gathered[slot], filled)
                filled = 0
    work.filled[slot] = filled


@compiled(INLINE)
def _add_gathered(buffer, weighted, total, n_rows):
    """Add the weighted products of 1 and deviations of gathered rows, in blocks on and above the diagonal."""
    weight = buffer[0]
    for i in range(0, len(total), UNROLLED):
        for j in range(UNROLLED):
            out, own = weighted[j], buffer[i + j + 1]
            for row in range(n_rows):
                out[row] = weight[row] * own[row]
        _add_sums(weighted, buffer[i + 1 :], total[i : i + UNROLLED, i:], n_rows)


@compiled(REORDERED)
def _number_of_shares(shares, n_rows):
    """Count the responsibilities that are not zero."""
    number = 0
    for k in range(len(shares)):
        own = shares[k]
        for row in range(n_rows):
            number += own[row] != 0
    return number


@compiled(INLINE)
def write_log_joint(tile, known, theta, factors, log_constants, model, work):
    """Write the log joint densities (K, rows) of a tile; leaves the features of its last panel.

    ``theta``, and of centred components factors and constants, are those of the model, or of one pattern of
    ``known`` features: these are empty where rows have all.
    """
    write_factors(tile, model.centre, known, work.factors, model.first_feature == 0)
    write_densities_of_factors(tile, theta, factors, log_constants, model, work)


@compiled(INLINE)
def write_densities_of_factors(tile, theta, factors, log_constants, model, work):
    """Do so where the factors of the tile are there."""
    n_rows, n_features = len(tile), theta.shape[1]
    for first in range(0, n_features, model.at_once):
        last = min(first + model.at_once, n_features)
        panel, pairs = _panel(first, last, model, work)
        write_products(work.factors, pairs, work.products, n_rows)
        if first == 0:
            _write_densities(theta[:, :4], panel, work.densities, n_rows)
            _add_densities(theta[:, 4:last], panel[4:], work.densities, n_rows)
        else:
            _add_densities(theta[:, first:last], panel, work.densities, n_rows)
    for index in range(len(model.centred)):
        _write_centred(
            tile,
            model.means[index],
            factors[index],
            log_constants[index],
            work.deviations,
            work.densities[model.centred[index]],
        )


@compiled(IN_ORDER)
def _are_same(numbers):
    """Return whether all of some numbers, at least one, are the same: rows of a group are often together."""
    n_others = 0
    for row in range(1, len(numbers)):
        n_others += numbers[row] != numbers[0]
    return n_others == 0


@compiled(REORDERED)
def add_log_priors(log_priors, places, densities):
    """Add what is known of rows to their log joint densities: in one column of log priors for each row."""
    if len(log_priors) == 0:
        return
    is_one = _are_same(places)
    for k in range(len(log_priors)):
        own, known = densities[k], log_priors[k]
        if is_one:
            added = known[places[0]]
            for row in range(len(places)):
                own[row] += added
        else:
            for row in range(len(places)):
                own[row] += known[places[row]]


@compiled(IN_ORDER)
def count(densities, groups, counts):
    """Add (weighted) responsibilities to the counts of rows' groups."""
    if len(groups) == 0:
        return
    is_one = _are_same(groups)
    for k in range(len(counts)):
        own, total = densities[k], counts[k]
        if is_one:
            total[groups[0]] += _sum(own, len(groups))
        else:
            for row in range(len(groups)):
                total[groups[row]] += own[row]


@compiled(REORDERED)
def _sum(values, n_rows):
    """Add up the first of some values, in float64."""
    total = 0.0
    for row in range(n_rows):
        total += values[row]
    return total


@compiled(INLINE)
def add_tile(tile, model, work, features, gathered):
    """Add a tile to the sums: responsibilities are in the place of densities, factors as they were."""
    n_rows, n_components, n_features = len(tile), model.bounds[-1], features.shape[1]
    n_shares = _number_of_shares(work.densities[:n_components], n_rows) if model.gathers else 0
    if model.gathers and n_shares <= GATHERED_SHARE * (n_components * n_rows):
        for k in range(n_components):
            _gather(tile, k, model, work, gathered)
        return
    for k in model.centred:
        _gather(tile, k, model, work, gathered)
        work.densities[k] = 0
    work.densities[n_components:] = 0
    for first in range(0, n_features, model.at_once):
        last = min(first + model.at_once, n_features)
        panel, pairs = _panel(first, last, model, work)
        if n_features > model.at_once:
            write_products(work.factors, pairs, work.products, n_rows)
        _add_sums(work.densities, panel, features[:, first:last], n_rows)


@compiled(INLINE)
def empty_buffers(work, gathered):
    """Add what is left in the buffers."""
    for slot in range(len(work.filled)):
        if work.filled[slot] > 0:
            _add_gathered(work.buffers[slot], work.weighted, gathered[slot], work.filled[slot])
            work.filled[slot] = 0


@compiled(REORDERED)
def add_squares(factors, weights, n_rows, squares):
    """Add the (weighted) squares of a tile's deviations from the centre."""
    for feature in range(len(squares)):
        own, total = factors[feature + 2], factors.dtype.type(0)
        if len(weights):
            for row in range(n_rows):
                total += own[row] * own[row] * weights[row]
        else:
            for row in range(n_rows):
                total += own[row] * own[row]
        squares[feature] += total


@compiled(INLINE)
def add_scatter(weights, n_rows, work, products):
    """Add the products of a tile's deviations from the centre, in blocks on and above the diagonal, if asked.

    The place of squared lengths is free: no family needs both.
    """
    if len(products) == 0:
        return
    weight = work.factors[0]
    for row in range(n_rows):
        weight[row] = weights[row] if len(weights) else 1.0
    for i in range(0, len(products), UNROLLED):
        for j in range(UNROLLED):
            out, own = work.weighted[j], work.table[i + j + 2]
            for row in range(n_rows):
                out[row] = weight[row] * own[row]
        _add_sums(work.weighted, work.table[i + 2 :], products[i : i + UNROLLED, i:], n_rows)
