"""The E-step in one compiled loop: tiles of rows go through features, densities and sums in the cache.

The formulas are those of `dgmm.kernels`, the steps of a tile those of `dgmm.kernels.tile_steps`. The loop
holds no interpreter lock: threads do not wait for each other.

Numba compiles it; `dgmm.kernels.loop` imports it where that is installed.
"""

from __future__ import annotations

from dgmm.kernels.tile_steps import (
    COMPLETE,
    TILE_ROWS,
    add_log_priors,
    add_scatter,
    add_squares,
    add_tile,
    count,
    empty_buffers,
    normalize,
    write_log_joint,
)
from dgmm.model.jit import REORDERED, compiled
from dgmm.model.vectors import longest_vectors


@compiled(REORDERED, is_kept=True)
def expect(rows, weights, priors, model, work, sums):
    """E-step of a group of models: adds to their sums.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, D)
    weights : ndarray of shape (1, 0), (1, n_rows) or (n_models, n_rows)
        Of the rows: none, the same for all models, or those of each.
    priors : Priors
    model : Model
    work : Workspace
    sums : Sums
        See `dgmm.kernels.loop`.
    """
    longest_vectors()
    bounds = model.bounds
    for start in range(0, len(rows), TILE_ROWS):
        end = start + TILE_ROWS
        tile, ahead = rows[start:end], rows[end : end + TILE_ROWS]
        write_log_joint(
            tile, COMPLETE, model.theta, model.precision_factors, model.log_constants, model, work
        )
        add_log_priors(priors.log_priors, priors.places[start:end], work.densities)
        for number in range(min(len(sums.squares), len(weights))):
            add_squares(work.factors, weights[number, start:end], len(tile), sums.squares[number])
        for number in range(len(bounds) - 1):
            own = weights[number if len(weights) > 1 else 0, start:end]
            densities = work.densities[bounds[number] : bounds[number + 1]]
            sums.log_likelihoods[number] += normalize(
                densities, own, model.negligible, work.largest, work.totals, len(tile), ahead
            )
            ahead = ahead[:0]
        count(work.densities, priors.groups[start:end], sums.counts)
        add_tile(tile, model, work, sums.features, sums.gathered)
    empty_buffers(work, sums.gathered)


@compiled(REORDERED, is_kept=True)
def expect_patterns(rows, weights, ends, known, numbers, priors, model, work, sums, products):
    """E-step of a group of models on rows that lack values: adds to the sums of each pattern.

    Parameters
    ----------
    rows, weights : ndarray
        As for `expect`, pattern after pattern; what is missing is NaN.
    ends : ndarray of int
        Where patterns end.
    known : ndarray of shape (len(ends), D), bool
        Which features their rows have.
    numbers : ndarray of shape (len(ends),), int
        Of the patterns among those of the model.
    priors : Priors
    model : Model
    work : Workspace
    sums : Sums
        See `dgmm.kernels.loop`: with an axis of patterns, as arrays of the model that depend on these.
    products : ndarray of shape (P, len(weights), side, side) or (P, len(weights), 0, 0)
        Of deviations of all rows from the centre.
    """
    longest_vectors()
    bounds, begin = model.bounds, 0
    for segment in range(len(ends)):
        pattern = numbers[segment]
        theta, features = model.theta[pattern], sums.features[pattern]
        factors, log_constants = model.precision_factors[pattern], model.log_constants[pattern]
        gathered = sums.gathered[pattern]
        for start in range(begin, ends[segment], TILE_ROWS):
            end = min(start + TILE_ROWS, ends[segment])
            tile, ahead = rows[start:end], rows[end : end + TILE_ROWS]
            write_log_joint(tile, known[segment], theta, factors, log_constants, model, work)
            add_log_priors(priors.log_priors, priors.places[start:end], work.densities)
            for number in range(len(weights)):
                own = weights[number, start:end]
                add_scatter(own, end - start, work, products[pattern, number])
            for number in range(len(bounds) - 1):
                own = weights[number if len(weights) > 1 else 0, start:end]
                densities = work.densities[bounds[number] : bounds[number + 1]]
                sums.log_likelihoods[number] += normalize(
                    densities, own, model.negligible, work.largest, work.totals, end - start, ahead
                )
                ahead = ahead[:0]
            count(work.densities, priors.groups[start:end], sums.counts)
            add_tile(tile, model, work, features, gathered)
        empty_buffers(work, gathered)
        begin = ends[segment]


@compiled(REORDERED, is_kept=True)
def evaluate(rows, model, work, shares, log_densities):
    """Write what one model says of rows: responsibilities (n_rows, K) and log densities (n_rows,), nats.

    Log densities of a tied model lack its quadratic term, but for centred components.
    """
    longest_vectors()
    unweighted = work.largest[:0]
    for start in range(0, len(rows), TILE_ROWS):
        end = start + TILE_ROWS
        tile, ahead = rows[start:end], rows[end : end + TILE_ROWS]
        write_log_joint(
            tile, COMPLETE, model.theta, model.precision_factors, model.log_constants, model, work
        )
        densities = work.densities[: model.bounds[-1]]
        normalize(densities, unweighted, model.negligible, work.largest, work.totals, len(tile), ahead)
        for row in range(len(tile)):
            log_densities[start + row] = work.largest[row]
            for k in range(len(densities)):
                shares[start + row, k] = densities[k, row]


@compiled(REORDERED, is_kept=True)
def label(rows, model, work, labels):
    """Write the most probable component of each row, the first of equal ones: (n_rows,)."""
    longest_vectors()
    for start in range(0, len(rows), TILE_ROWS):
        tile = rows[start : start + TILE_ROWS]
        write_log_joint(
            tile, COMPLETE, model.theta, model.precision_factors, model.log_constants, model, work
        )
        for row in range(len(tile)):
            best = 0
            for k in range(1, model.bounds[-1]):
                if work.densities[k, row] > work.densities[best, row]:
                    best = k
            labels[start + row] = best
