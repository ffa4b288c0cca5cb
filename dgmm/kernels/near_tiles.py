# Numba gives its intrinsics their first argument, which type checkers do not know:
# pyright: reportCallIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
"""The compiled loop over the pairs of row and component that the bounds leave.

The rows of a component are put together, one after the other as they are in memory, and go through products
of 4 × 8 numbers that stay in registers. Numba compiles it; `dgmm.kernels.near` calls it where that is
installed.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from dgmm.model.jit import REORDERED, compiled

ACROSS, ALONG = 4, 8
"""Numbers of a product that are in registers at once: rows of it, and its columns, which are vectors."""

SCANNED = 64
"""Bounds that are looked at together: most of these have nothing near."""

ROUNDED = np.float32(3e-7)
"""What a bound and a limit of float32 may lose together, of themselves."""


@intrinsic
def _multiply(typingctx, left, across, along, right, step, number, out):  # pyright: ignore[reportUnusedParameter]
    """Write ``Σ_t left[s across + t along] right[t step + j]`` to out[s, j], for 4 × 8 numbers s, j."""
    # Loops over columns of matrices as small would be asked each time whether their arrays overlap.

    def generate(context, builder, signature, arguments):
        def data(which):
            return context.make_array(signature.args[which])(context, builder, arguments[which]).data

        kind, number = ir.VectorType(ir.DoubleType(), ALONG), arguments[1].type
        first = ir.Constant(ir.VectorType(ir.IntType(32), ALONG), [0] * ALONG)
        nothing, fused = ir.Constant(kind, ir.Undefined), ("contract",)
        sums = [cgutils.alloca_once(builder, kind) for _ in range(ACROSS)]
        for each in sums:
            builder.store(ir.Constant(kind, [0.0] * ALONG), each)
        with cgutils.for_range(builder, arguments[5]) as loop:
            place = builder.gep(data(3), [builder.mul(loop.index, arguments[4])])
            vector = builder.load(builder.bitcast(place, kind.as_pointer()), align=8)
            own = builder.mul(loop.index, arguments[2])
            for s, each in enumerate(sums):
                place = builder.gep(data(0), [builder.add(own, builder.mul(arguments[1], number(s)))])
                alone = builder.insert_element(nothing, builder.load(place), ir.IntType(32)(0))
                product = builder.fmul(builder.shuffle_vector(alone, nothing, first), vector, flags=fused)
                builder.store(builder.fadd(builder.load(each), product, flags=fused), each)
        for s, each in enumerate(sums):
            place = builder.gep(data(6), [number(s * ALONG)])
            builder.store(builder.load(each), builder.bitcast(place, kind.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(left, types.intp, types.intp, right, types.intp, types.intp, out), generate


@compiled(REORDERED)
def _put_together(rows, which, point, first, buffer):
    """Write the deviations of some rows from a point to a buffer, and rows of zeros up to a multiple of 4."""
    for i in range(len(which)):
        own, out = rows[which[i]], buffer[i]
        for feature in range(len(point)):
            out[first + feature] = own[feature] - point[feature]
    for i in range(len(which), -(-len(which) // ACROSS) * ACROSS):
        buffer[i, :] = 0.0


@compiled(REORDERED)
def _write_exact_diagonal(rows, which, mean, factor, log_constant, out):
    """Write the same of a component without products of features."""
    for i in range(len(which)):
        own, total = rows[which[i]], 0.0
        for feature in range(len(mean)):
            y = (own[feature] - mean[feature]) * factor[feature]
            total += y * y
        out[i] = log_constant - 0.5 * total


@compiled(REORDERED)
def _add_squares(rows, which, shares, origin, total):
    """Add the weighted 1, deviations from the origin, and their squares."""
    n_features = len(origin)
    sums, squares = total[1 : n_features + 1], total[n_features + 1 :]
    for i in range(len(which)):
        own, share = rows[which[i]], shares[i]
        total[0] += share
        for feature in range(n_features):
            deviation = own[feature] - origin[feature]
            sums[feature] += share * deviation
            squares[feature] += share * deviation * deviation


@compiled(REORDERED)
def _write_exact(rows, which, k, model, work, out):
    """Write the log joint densities of some rows with a component."""
    if not model.has_products:
        _write_exact_diagonal(rows, which, model.means[k], model.factors[k, 0], model.log_constants[k], out)
        return
    n_features, width, buffer, factor = rows.shape[1], work.buffer.shape[1], work.buffer, model.factors[k]
    product, squares, mean = work.product, work.squares, model.means[k]
    for first in range(0, len(which), len(buffer)):
        own = which[first : first + len(buffer)]
        _put_together(rows, own, mean, 0, buffer)
        for row in range(0, len(own), ACROSS):
            squares[:, :] = 0.0
            for i in range(0, n_features, ALONG):
                n_above = min(i + ALONG, n_features)
                _multiply(buffer[row:], width, 1, factor[:, i:], factor.shape[1], n_above, product)
                for s in range(ACROSS):
                    for j in range(ALONG):
                        squares[s, j] += product[s, j] * product[s, j]
            for s in range(min(ACROSS, len(own) - row)):
                total = 0.0
                for j in range(ALONG):
                    total += squares[s, j]
                out[first + row + s] = model.log_constants[k] - 0.5 * total


@compiled(REORDERED)
def _add_products(rows, which, shares, k, model, work, total):
    """Add the weighted products of 1 and deviations from the origin, in blocks on and above the diagonal."""
    side, width, buffer, weighted, product = (
        len(total),
        work.buffer.shape[1],
        work.buffer,
        work.weighted,
        work.product,
    )
    for first in range(0, len(which), len(buffer)):
        own = which[first : first + len(buffer)]
        _put_together(rows, own, model.origins[k], 1, buffer)
        for row in range(len(own)):
            buffer[row, 0] = 1.0
            share = shares[first + row]
            for feature in range(side):
                weighted[row, feature] = share * buffer[row, feature]
        for i in range(0, side, ACROSS):
            for j in range(i, side, ALONG):
                _multiply(weighted[:, i:], 1, width, buffer[:, j:], width, len(own), product)
                for s in range(ACROSS):
                    for column in range(min(ALONG, side - j)):
                        total[i + s, j + column] += product[s, column]


@compiled(REORDERED)
def _find_winners(bounds, best, winners):
    """Write the largest bound of each row, and whose it is."""
    for row in range(len(best)):
        best[row] = bounds[0, row]
        winners[row] = 0
    for k in range(1, len(bounds)):
        own, number = bounds[k], np.int32(k)
        for row in range(len(best)):
            bound, most, winner = own[row], best[row], winners[row]  # read first: vectors, and no branches
            winners[row] = number if bound > most else winner
            best[row] = bound if bound > most else most


@compiled(REORDERED)
def _number_above(values, limits):
    number = 0
    for row in range(len(values)):
        number += values[row] > limits[row]
    return number


@compiled(REORDERED)
def _sort_by_winner(winners, starts, order):
    """Write the numbers of rows, winner after winner, and where each begins."""
    starts[:] = 0
    for row in range(len(winners)):
        starts[winners[row] + 1] += 1
    for k in range(1, len(starts)):
        starts[k] += starts[k - 1]
    for row in range(len(winners)):
        k = winners[row]
        order[starts[k]] = row
        starts[k] += 1
    for k in range(len(starts) - 1, 0, -1):
        starts[k] = starts[k - 1]
    starts[0] = 0


@compiled(REORDERED)
def _find_pairs(rows, bounds, margin, model, work):
    """Find all pairs that may matter, and their log joint densities; gives how many, −1 if too many.

    Of each row first the component with the largest bound: what it has of the row is what others are held to.
    """
    n_rows = len(rows)
    largest, limits, order = work.largest[:n_rows], work.limits[:n_rows], work.order[:n_rows]
    _find_winners(bounds, limits, work.winners[:n_rows])
    _sort_by_winner(work.winners[:n_rows], work.starts, order)
    number = 0
    for k in range(len(bounds)):
        first, last = work.starts[k], work.starts[k + 1]
        found = work.values[first:last]
        _write_exact(rows, order[first:last], k, model, work, found)
        for i in range(last - first):
            row = order[first + i]
            largest[row] = found[i]
            limit = np.float32(found[i] - margin)
            limits[row] = limit - ROUNDED * abs(limit)
            bounds[k, row] = -np.inf
    for k in range(len(bounds)):
        own, begin = bounds[k], number
        work.ends[k] = number
        for start in range(0, n_rows, SCANNED):
            end = min(start + SCANNED, n_rows)
            n_above = _number_above(own[start:end], limits[start:end])
            if n_above == 0:
                continue
            if n_rows + number + n_above > len(work.rows):
                return -1
            for row in range(start, end):
                if own[row] > limits[row]:
                    work.rows[n_rows + number] = row
                    number += 1
        which, values = (
            work.rows[n_rows + begin : n_rows + number],
            work.values[n_rows + begin : n_rows + number],
        )
        _write_exact(rows, which, k, model, work, values)
        for i in range(len(which)):
            largest[which[i]] = max(largest[which[i]], values[i])
    work.ends[len(bounds)] = number
    for i in range(n_rows):
        work.rows[i] = order[i]
    return n_rows + number


@compiled(REORDERED, is_kept=True)
def expect(rows, weights, bounds, margin, negligible, model, work, gathered):
    """E-step of one model on rows most of whose components are far: adds to its sums.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, D)
    weights : ndarray of shape (n_rows,), or (0,) where rows have none
    bounds : ndarray of shape (K, n_rows), float32
        Of the log joint densities, from above; written to.
    margin : float
        Components whose bound is as far below what another has of a row are left out, nats.
    negligible : float
        Logarithm of the responsibilities below which they are zero.
    model : Exact
    work : Pairs
        See `dgmm.kernels.near`.
    gathered : ndarray of shape (K, side, side), or (K, 1, 2 D + 1)
        Of products of 1 and deviations from the origins, in the blocks on and above the diagonal; or of 1,
        these, and their squares. There may be more components, and numbers of each, that are not used.

    Returns
    -------
    float
        The (weighted) log-likelihood; not a number, and nothing is added, where it is none, or where there
        are more pairs than there is room for.
    """
    n_rows, rows_of, values = len(rows), work.rows, work.values
    number = _find_pairs(rows, bounds, margin, model, work)
    if number < 0:
        return np.nan
    largest, totals = work.largest, work.totals
    totals[:n_rows] = 0.0
    for pair in range(number):
        less = values[pair] - largest[rows_of[pair]]
        share = math.exp(less) if less > negligible else 0.0
        values[pair] = share
        totals[rows_of[pair]] += share
    log_likelihood = 0.0
    for row in range(n_rows):
        weight = weights[row] if len(weights) else 1.0
        log_likelihood += weight * (largest[row] + math.log(totals[row]))
        totals[row] = weight / totals[row]
    if not math.isfinite(log_likelihood):
        return np.nan
    for k in range(len(bounds)):
        for part in range(2):  # rows of which it is the winner, and the others
            first = work.starts[k] if part == 0 else n_rows + work.ends[k]
            last = work.starts[k + 1] if part == 0 else n_rows + work.ends[k + 1]
            end = first
            for pair in range(first, last):
                if values[pair] != 0.0:
                    rows_of[end] = rows_of[pair]
                    values[end] = values[pair] * totals[rows_of[pair]]
                    end += 1
            which, shares = rows_of[first:end], values[first:end]
            if model.has_products:
                _add_products(rows, which, shares, k, model, work, gathered[k])
            else:
                _add_squares(rows, which, shares, model.origins[k], gathered[k, 0])
    return log_likelihood
