# Numba gives its intrinsics their first argument, which type checkers do not know:
# pyright: reportCallIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
"""The E-step in one compiled loop: tiles of rows go through features, densities and sums in the cache.

The formulas are those of `dgmm.model.kernels`. The loop holds no interpreter lock: threads do not wait for
each other. Every feature is a product of two *factors* of a row, which are 1, its deviations z from the
centre, and ‖z‖²: pairs of factors are all that is known of a family here.

Numba compiles it; `dgmm.model.compiled` imports it where that is installed.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from dgmm.model.jit import IN_ORDER, REORDERED, compiled

TILE_ROWS = 256
"""Rows of a tile: sums over longer ones have less to add up in the end, shorter ones leave more in the
nearest cache."""

PANEL_FEATURES = 96
"""Features that are made at once, about: with a tile's rows they are well within a second-level cache."""

UNROLLED = 4
"""Components, and features, that the products take at once: padding makes both a multiple of it."""


INLINE = {**REORDERED, "inline": "always"}
"""Options of parts of the loop. As calls they would count the references to all its arrays, tile by
tile; and those that add rows up would be there twice, in a module of their own and in the loop's, with
sums in orders that can differ: which of them runs depends on whether the loop was just compiled, or
loaded."""


@intrinsic
def _bits(typingctx, value):  # pyright: ignore[reportUnusedParameter]
    """Read the bits of a float64 as an int64, of a float32 as an int32."""
    integer = types.int64 if value == types.float64 else types.int32

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(integer.bitwidth))

    return integer(value), generate


@intrinsic
def _from_bits(typingctx, bits):  # pyright: ignore[reportUnusedParameter]
    """Read the bits of an int64 as a float64, of an int32 as a float32."""
    is_double = bits == types.int64

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType() if is_double else ir.FloatType())

    return (types.float64 if is_double else types.float32)(bits), generate


def exponential(x):
    """Compute e to the power of x ≤ 0, where that is a normal number, to 2 units in the last place.

    In a form that compilers make vectors of: x = n log 2 + r, a polynomial in r, and n in the exponent.
    """
    raise NotImplementedError("for compiled functions only")


# The large number that is added and taken away must not be reordered away.
@overload(exponential, jit_options=IN_ORDER)
def _exponential(x):
    if x == types.float64:
        return _exponential_float64
    return _exponential_float32 if x == types.float32 else None


def _exponential_float64(x):
    shifted = x * 1.4426950408889634 + 6755399441055744.0  # the last bits are n, rounded
    n = shifted - 6755399441055744.0
    r = (x - n * 0.6931471803691238) - n * 1.9082149292705877e-10
    p = 1.6059043836821613e-10 * r + 2.08767569878681e-09  # Taylor's series to r¹³, |r| ≤ ½ log 2
    p = p * r + 2.505210838544172e-08
    p = p * r + 2.755731922398589e-07
    p = p * r + 2.7557319223985893e-06
    p = p * r + 2.48015873015873e-05
    p = p * r + 0.0001984126984126984
    p = p * r + 0.001388888888888889
    p = p * r + 0.008333333333333333
    p = p * r + 0.041666666666666664
    p = p * r + 0.16666666666666666
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * _from_bits((_bits(shifted) + 1023) << 52)


_F = np.float32
_SHIFT, _INVERSE, _HIGH, _LOW = _F(12582912.0), _F(1.4426950408889634), _F(0.693359375), _F(-2.12194440e-4)
_C7, _C6, _C5, _C4, _C3, _C2, _C1 = (_F(1.0 / math.factorial(power)) for power in range(7, 0, -1))
_BIAS, _WIDTH = np.int32(127), np.int32(23)


def _exponential_float32(x):
    shifted = x * _INVERSE + _SHIFT
    n = shifted - _SHIFT
    r = (x - n * _HIGH) - n * _LOW
    p = _C7 * r + _C6
    p = p * r + _C5
    p = p * r + _C4
    p = p * r + _C3
    p = p * r + _C2
    p = p * r + _C1
    p = p * r + _C1
    return p * _from_bits(np.int32(np.int32(_bits(shifted) + _BIAS) << _WIDTH))


_HALF_ROOT = 4604544271217802189  # the bits of √½


@compiled(IN_ORDER)
def logarithm(x):
    """Compute the natural logarithm of a normal float64 x > 0, in a form that compilers make vectors of.

    x = 2ⁿ m with m about 1, and log m = 2 artanh((m − 1) / (m + 1)).
    """
    n = (_bits(x) - _HALF_ROOT) >> 52
    m = _from_bits(_bits(x) - (n << 52))
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = z / 21.0 + 1.0 / 19.0
    p = p * z + 1.0 / 17.0
    p = p * z + 1.0 / 15.0
    p = p * z + 1.0 / 13.0
    p = p * z + 1.0 / 11.0
    p = p * z + 1.0 / 9.0
    p = p * z + 1.0 / 7.0
    p = p * z + 1.0 / 5.0
    p = p * z + 1.0 / 3.0
    return n * 0.6931471805599453 + (2.0 * s + 2.0 * s * z * p)


@compiled(REORDERED)
def _write_factors(rows, centre, factors, has_length):
    """Write the factors of rows (n, D): 1, deviations from the centre, and their squared lengths if asked."""
    n_rows, n_features = rows.shape
    one, length = factors[0], factors[n_features + 1]
    for row in range(n_rows):
        one[row] = 1.0
        length[row] = 0.0
    for feature in range(n_features):
        own, middle = factors[feature + 1], centre[feature]
        for row in range(n_rows):
            own[row] = rows[row, feature] - middle
        if has_length:
            for row in range(n_rows):
                length[row] += own[row] * own[row]


@compiled(REORDERED)
def _write_panel(factors, pairs, panel, n_rows):
    """Write features, the products of pairs of factors."""
    for feature in range(len(pairs)):
        out, left, right = panel[feature], factors[pairs[feature, 0]], factors[pairs[feature, 1]]
        for row in range(n_rows):
            out[row] = left[row] * right[row]


@compiled(IN_ORDER)
def _add_densities(theta, panel, densities, n_rows):
    """Add ``Θ Φ`` of a panel of features to the log joint densities (K, rows): 4 components × 4 features."""
    for k in range(0, len(theta), 4):
        a0, a1, a2, a3 = densities[k], densities[k + 1], densities[k + 2], densities[k + 3]
        for p in range(0, theta.shape[1], 4):
            f0, f1, f2, f3 = panel[p], panel[p + 1], panel[p + 2], panel[p + 3]
            t00, t01, t02, t03 = theta[k, p], theta[k, p + 1], theta[k, p + 2], theta[k, p + 3]
            t10, t11, t12, t13 = (
                theta[k + 1, p],
                theta[k + 1, p + 1],
                theta[k + 1, p + 2],
                theta[k + 1, p + 3],
            )
            t20, t21, t22, t23 = (
                theta[k + 2, p],
                theta[k + 2, p + 1],
                theta[k + 2, p + 2],
                theta[k + 2, p + 3],
            )
            t30, t31, t32, t33 = (
                theta[k + 3, p],
                theta[k + 3, p + 1],
                theta[k + 3, p + 2],
                theta[k + 3, p + 3],
            )
            for row in range(n_rows):
                x0, x1, x2, x3 = f0[row], f1[row], f2[row], f3[row]
                a0[row] = a0[row] + t00 * x0 + t01 * x1 + t02 * x2 + t03 * x3
                a1[row] = a1[row] + t10 * x0 + t11 * x1 + t12 * x2 + t13 * x3
                a2[row] = a2[row] + t20 * x0 + t21 * x1 + t22 * x2 + t23 * x3
                a3[row] = a3[row] + t30 * x0 + t31 * x1 + t32 * x2 + t33 * x3


@compiled(INLINE)
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
def _normalize(densities, weights, negligible, largest, totals, n_rows):
    """Turn log joint densities of a model into (weighted) responsibilities, by log-sum-exp.

    Those whose logarithm, less the largest of the row, is below ``negligible`` are made zero. The log
    densities of the rows are left in ``largest``; returns their (weighted) sum, float64.
    """
    zero = densities.dtype.type(0)
    for row in range(n_rows):
        largest[row] = densities[0, row]
        totals[row] = zero
    for k in range(1, len(densities)):
        own = densities[k]
        for row in range(n_rows):
            largest[row] = own[row] if own[row] > largest[row] else largest[row]
    for k in range(len(densities)):
        own = densities[k]
        for row in range(n_rows):
            less = own[row] - largest[row]
            share = exponential(less if less > negligible else negligible)
            share = share if less > negligible else zero
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
def _gather(tile, k, model, work, sums):
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
                _add_gathered(buffer, work.weighted, sums.gathered[slot], filled)
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
def _write_log_joint(tile, model, work):
    """Write the log joint densities (K, rows) of a tile; leaves features in the panel, all if they fit."""
    n_rows, n_features, at_once = len(tile), model.theta.shape[1], len(work.panel)
    _write_factors(tile, model.centre, work.factors, model.has_length)
    work.densities[:] = 0
    for first in range(0, n_features, at_once):
        last = min(first + at_once, n_features)
        _write_panel(work.factors, model.pairs[first:last], work.panel, n_rows)
        _add_densities(model.theta[:, first:last], work.panel, work.densities, n_rows)
    for index in range(len(model.centred)):
        _write_centred(
            tile,
            model.means[index],
            model.precision_factors[index],
            model.log_constants[index],
            work.deviations,
            work.densities[model.centred[index]],
        )


@compiled(INLINE)
def _add_tile(tile, model, work, sums):
    """Add a tile to the sums: responsibilities are in the place of densities, factors as they were."""
    n_rows, n_components, n_features = len(tile), model.bounds[-1], model.theta.shape[1]
    n_shares = _number_of_shares(work.densities[:n_components], n_rows) if model.gathers else 0
    if model.gathers and 2 * n_shares <= n_components * n_rows:
        for k in range(n_components):
            _gather(tile, k, model, work, sums)
        return
    for k in model.centred:
        _gather(tile, k, model, work, sums)
        work.densities[k] = 0
    work.densities[n_components:] = 0
    at_once = len(work.panel)
    for first in range(0, n_features, at_once):
        last = min(first + at_once, n_features)
        if n_features > at_once:
            _write_panel(work.factors, model.pairs[first:last], work.panel, n_rows)
        _add_sums(work.densities, work.panel, sums.features[:, first:last], n_rows)


@compiled(REORDERED, is_kept=True)
def expect(rows, weights, model, work, sums):
    """E-step of a group of models: adds to their sums.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, D)
    weights : ndarray of shape (0, 0), (1, n_rows) or (n_models, n_rows)
        Of the rows: none, the same for all models, or those of each.
    model : Model
    work : Workspace
    sums : Sums
        See `dgmm.model.compiled`.
    """
    bounds = model.bounds
    unweighted = np.empty(0, np.float64)
    for start in range(0, len(rows), TILE_ROWS):
        tile = rows[start : start + TILE_ROWS]
        _write_log_joint(tile, model, work)
        for number in range(len(bounds) - 1):
            own = unweighted
            if len(weights):
                own = weights[number if len(weights) > 1 else 0, start : start + TILE_ROWS]
            densities = work.densities[bounds[number] : bounds[number + 1]]
            sums.log_likelihoods[number] += _normalize(
                densities, own, model.negligible, work.largest, work.totals, len(tile)
            )
        _add_tile(tile, model, work, sums)
    for slot in range(len(work.filled)):
        if work.filled[slot] > 0:
            _add_gathered(work.buffers[slot], work.weighted, sums.gathered[slot], work.filled[slot])
            work.filled[slot] = 0


@compiled(REORDERED, is_kept=True)
def evaluate(rows, model, work, shares, log_densities):
    """Write what one model says of rows: responsibilities (n_rows, K) and log densities (n_rows,), nats.

    Log densities of a tied model lack its quadratic term, but for centred components.
    """
    unweighted = np.empty(0, np.float64)
    for start in range(0, len(rows), TILE_ROWS):
        tile = rows[start : start + TILE_ROWS]
        _write_log_joint(tile, model, work)
        densities = work.densities[: model.bounds[-1]]
        _normalize(densities, unweighted, model.negligible, work.largest, work.totals, len(tile))
        for row in range(len(tile)):
            log_densities[start + row] = work.largest[row]
            for k in range(len(densities)):
                shares[start + row, k] = densities[k, row]


@compiled(REORDERED, is_kept=True)
def label(rows, model, work, labels):
    """Write the most probable component of each row, the first of equal ones: (n_rows,)."""
    for start in range(0, len(rows), TILE_ROWS):
        tile = rows[start : start + TILE_ROWS]
        _write_log_joint(tile, model, work)
        for row in range(len(tile)):
            best = 0
            for k in range(1, model.bounds[-1]):
                if work.densities[k, row] > work.densities[best, row]:
                    best = k
            labels[start + row] = best
