"""Incomplete rows of components that share a covariance matrix, in a compiled loop: see `dgmm.kernels.tied`.

Rows come in any order. Some thousands at a time are numbered by what they lack, and go in the order of their
patterns through the steps of `dgmm.kernels.tile_steps`, tile by tile: what a row lacks is filled in once its
deviations are there, and once more when its responsibilities are. What a pattern takes is made where its
first row comes, and kept while there is room.
"""

from __future__ import annotations

import numpy as np

from dgmm.kernels.factors import write_factors
from dgmm.kernels.tile_steps import (
    COMPLETE,
    INLINE,
    TILE_ROWS,
    add_log_priors,
    add_scatter,
    add_tile,
    count,
    normalize,
    write_densities_of_factors,
)
from dgmm.model.jit import IN_ORDER, REORDERED, compiled
from dgmm.model.parameters import LOG_2_PI
from dgmm.model.vectors import longest_vectors

WORD = 64
"""Features to a number that tells which of them a row lacks."""

SPREAD = 0x9E3779B97F4A7C15
"""An odd number that spreads codes over the places of a table."""

# Patterns.


@compiled(IN_ORDER)
def _code_of(row):
    """Return which of at most 64 values are missing."""
    code = np.uint64(0)
    for feature in range(len(row)):
        code |= np.uint64(np.isnan(row[feature])) << np.uint64(feature)
    return code


@compiled(IN_ORDER)
def _lack_the_same(code, other):
    """Return whether two rows lack the same."""
    is_same = True
    for word in range(len(code)):
        is_same &= code[word] == other[word]
    return is_same


@compiled(IN_ORDER)
def _place_of(code, patterns):
    """Return the place of a pattern in the table: its own, or a free one."""
    key = np.uint64(0)
    for word in range(len(code)):
        key = (key ^ code[word]) * np.uint64(SPREAD)
        key ^= key >> np.uint64(32)
    last = len(patterns.table) - 1
    place = np.int64(key & np.uint64(last))
    while patterns.table[place] >= 0 and not _lack_the_same(patterns.codes[patterns.table[place]], code):
        place = (place + 1) & last
    return place


@compiled(REORDERED)
def _invert(places, precision, lower, inverse, within):
    """Write the covariance of what is missing, (m, m); returns half its log determinant."""
    half = 0.0
    for i in range(len(places)):
        for j in range(i + 1):
            entry = precision[places[i], places[j]]
            for m in range(j):
                entry -= lower[i, m] * lower[j, m]
            lower[i, j] = entry * lower[j, j] if j < i else 1.0 / np.sqrt(entry)  # diagonals inverted
        half += np.log(lower[i, i])
        inverse[i, i] = lower[i, i]
        for j in range(i):
            entry = 0.0
            for m in range(j, i):
                entry -= lower[i, m] * inverse[m, j]
            inverse[i, j] = entry * lower[i, i]
    within[:] = 0.0
    for m in range(len(places)):
        for i in range(m + 1):
            own = inverse[m, i]
            for j in range(m + 1):
                within[i, j] += own * inverse[m, j]
    return half


@compiled(IN_ORDER)
def _of_pattern(number, patterns):
    """Return the missing features of a pattern, (m,), their covariance and what means move them by."""
    start, n_missing = patterns.starts[number], patterns.n_missing[number]
    end = start + n_missing
    return patterns.places[number, :n_missing], patterns.within[start:end], patterns.moves[start:end]


@compiled(REORDERED)
def _begin_pattern(code, number, shared, patterns, lower, inverse):
    """Write what a pattern takes; returns whether there was room for it."""
    if number == len(patterns.codes):
        return False
    n_missing, n_components = 0, shared.offsets.shape[1]
    for feature in range(len(shared.offsets)):
        if (code[feature // WORD] >> np.uint64(feature % WORD)) & np.uint64(1):
            patterns.places[number, n_missing] = feature
            n_missing += 1
    end = patterns.starts[number] + n_missing
    if end > len(patterns.within):
        return False
    patterns.n_missing[number], patterns.starts[number + 1] = n_missing, end
    for word in range(len(code)):
        patterns.codes[number, word] = code[word]
    places, within, moves = _of_pattern(number, patterns)
    patterns.halves[number] = _invert(places, shared.precision, lower, inverse, within)
    log_priors = patterns.log_priors[number]
    log_priors[:] = 0.0
    patterns.counts[number, :] = 0.0
    for i in range(n_missing):
        moves[i, :] = 0.0
        for j in range(n_missing):
            own, offsets = within[i, j], shared.offsets[places[j]]
            for k in range(n_components):
                moves[i, k] += own * offsets[k]
        for k in range(n_components):
            log_priors[k] += 0.5 * moves[i, k] * shared.offsets[places[i], k]
    return True


@compiled(INLINE)
def _end_patterns(patterns, completed):
    """Add what is the same for all rows of a pattern, and forget the patterns."""
    for number in range(patterns.n_patterns[0]):
        places, within, moves = _of_pattern(number, patterns)
        counts, total = patterns.counts[number], 0.0
        for k in range(len(counts)):
            total += counts[k]
        half_size = 0.5 * len(places)
        completed.totals[0] += total * (half_size * LOG_2_PI + patterns.halves[number])
        completed.totals[1] += total * (half_size * (1.0 + LOG_2_PI) + patterns.halves[number])
        for i in range(len(places)):
            for k in range(len(counts)):
                completed.sums[k, places[i]] += counts[k] * moves[i, k]
                completed.lacking[k, places[i]] += counts[k]
            for j in range(i + 1):
                product = total * within[i, j]
                for k in range(len(counts)):
                    product += counts[k] * moves[i, k] * moves[j, k]
                completed.within[places[i], places[j]] += product
    patterns.n_patterns[0] = 0
    for place in range(len(patterns.table)):
        patterns.table[place] = -1


@compiled(REORDERED, is_kept=True)
def end_patterns(patterns, completed):
    """Add what is the same for all rows of each pattern, in the end: see `expect`."""
    _end_patterns(patterns, completed)


# Rows in the order of their patterns.


@compiled(IN_ORDER)
def _number_rows(rows, shared, patterns, room):
    """Number the patterns of some rows, as many as there is room for: returns of how many."""
    n_rows, number = min(len(room.numbers), len(rows)), -1
    for row in range(n_rows):
        for word in range(len(room.code)):
            room.code[word] = _code_of(rows[row, word * WORD : (word + 1) * WORD])
        if number < 0 or not _lack_the_same(patterns.codes[number], room.code):  # as the row before does
            place = _place_of(room.code, patterns)
            number = np.int64(patterns.table[place])
            if number < 0:
                number = patterns.n_patterns[0]
                if not _begin_pattern(room.code, number, shared, patterns, room.lower, room.inverse):
                    return row
                patterns.table[place] = number
                patterns.n_patterns[0] += 1
        room.numbers[row] = number
    return n_rows


@compiled(IN_ORDER)
def _sort_rows(numbers, ends, order):
    """Write the order in which rows of a pattern are together, and where each of the patterns ends."""
    ends[:] = 0
    for number in numbers:
        ends[number] += 1
    total = 0
    for number in range(len(ends)):
        total += ends[number]
        ends[number] = total - ends[number]
    for row in range(len(numbers)):
        order[ends[numbers[row]]] = row
        ends[numbers[row]] += 1


@compiled(IN_ORDER)
def _load_rows(rows, order, tile):
    """Write rows of a tile."""
    for row in range(len(tile)):
        own, out = rows[order[row]], tile[row]
        for feature in range(len(out)):
            out[feature] = own[feature]


@compiled(IN_ORDER)
def _load_weights(weights, order, own, inverses):
    """Write weights of a tile, and their inverses: zero where a row has none."""
    for row in range(len(own)):
        own[row] = weights[order[row]]
        inverses[row] = 1.0 / own[row] if own[row] > 0.0 else 0.0


@compiled(IN_ORDER)
def _load_numbers(numbers, order, own):
    """Write numbers of a tile: of places, or groups."""
    for row in range(len(own)):
        own[row] = numbers[order[row]]


# Rows of a pattern, from ``begin`` to ``end`` in a tile.


@compiled(REORDERED)
def _complete(places, within, precision, begin, end, factors, products):
    """Fill in the deviations of what rows lack: ``−C g`` of the products g with the precision."""
    longest_vectors()
    n_rows, zero = end - begin, factors.dtype.type(0)
    for place in places:
        out = factors[place + 2, begin:end]
        for row in range(n_rows):
            out[row] = zero
    for i in range(len(places)):
        out, own = products[i], precision[places[i]]
        for row in range(n_rows):
            out[row] = 0.0
        for j in range(0, len(own), 4):
            p0, p1, p2, p3 = own[j], own[j + 1], own[j + 2], own[j + 3]
            z0, z1 = factors[j + 2, begin:end], factors[j + 3, begin:end]
            z2, z3 = factors[j + 4, begin:end], factors[j + 5, begin:end]
            for row in range(n_rows):
                out[row] += p0 * z0[row] + p1 * z1[row] + p2 * z2[row] + p3 * z3[row]
    for i in range(len(places)):
        out = factors[places[i] + 2, begin:end]
        for j in range(len(places)):
            own, left = products[j], within[i, j]
            for row in range(n_rows):
                out[row] -= left * own[row]


@compiled(REORDERED)
def _add_to_all(added, begin, end, densities):
    """Add numbers of components to the log joint densities of rows."""
    for k in range(len(added)):
        own = densities[k, begin:end]
        for row in range(end - begin):
            own[row] += added[k]


@compiled(REORDERED)
def _add_counts(begin, end, densities, counts):
    """Add responsibilities of rows."""
    for k in range(len(counts)):
        own, total = densities[k, begin:end], 0.0
        for row in range(end - begin):
            total += own[row]
        counts[k] += total


@compiled(REORDERED)
def _move(places, moves, begin, end, inverses, factors, densities, steps, between):
    """Move what was filled in to its mean over components, and add the products of these steps."""
    longest_vectors()
    n_rows, inverse = end - begin, inverses[begin:end]
    for i in range(len(places)):
        own, out = steps[i], factors[places[i] + 2, begin:end]
        for row in range(n_rows):
            own[row] = 0.0
        for k in range(0, moves.shape[1], 4):
            m0, m1, m2, m3 = moves[i, k], moves[i, k + 1], moves[i, k + 2], moves[i, k + 3]
            r0, r1 = densities[k, begin:end], densities[k + 1, begin:end]
            r2, r3 = densities[k + 2, begin:end], densities[k + 3, begin:end]
            for row in range(n_rows):
                own[row] += m0 * r0[row] + m1 * r1[row] + m2 * r2[row] + m3 * r3[row]
        for row in range(n_rows):
            out[row] += own[row] * inverse[row]
        for j in range(i + 1):
            other, product = steps[j], 0.0
            for row in range(n_rows):
                product += own[row] * other[row] * inverse[row]
            between[places[i], places[j]] += product


@compiled(REORDERED, is_kept=True)
def expect(rows, weights, priors, model, work, sums, shared, patterns, room, completed):
    """E-step of one model on rows that lack values: adds to its sums.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, D)
        NaN where a value is missing.
    weights : ndarray of shape (1, 0) or (1, n_rows)
    priors, model, work, sums
        As for `dgmm.kernels.tiles.expect`.
    shared : Shared
    patterns : Patterns
    room : Room
    completed : Completed
        See `dgmm.kernels.tied`.
    """
    longest_vectors()
    densities, start = work.densities[: model.bounds[1]], 0
    if weights.shape[1] == 0:
        room.inverses[:] = 1.0
    while start < len(rows):
        n_rows = _number_rows(rows[start:], shared, patterns, room)
        if n_rows == 0:
            _end_patterns(patterns, completed)
            continue
        ends = room.ends[: patterns.n_patterns[0]]
        _sort_rows(room.numbers[:n_rows], ends, room.order)
        first_pattern, last_pattern = 0, 0
        for first in range(0, n_rows, TILE_ROWS):
            last = min(first + TILE_ROWS, n_rows)
            order, tile = room.order[first:last], room.tile[: last - first]
            _load_rows(rows[start:], order, tile)
            own = room.weights[: min(len(tile), weights.shape[1])]
            _load_weights(weights[0, start:], order, own, room.inverses)
            places = room.places[: min(len(tile), len(priors.places))]
            _load_numbers(priors.places[start:], order, places)
            groups = room.groups[: min(len(tile), len(priors.groups))]
            _load_numbers(priors.groups[start:], order, groups)
            while ends[last_pattern] < last:
                last_pattern += 1
            write_factors(tile, model.centre, COMPLETE, work.factors, False)
            begin = 0
            for number in range(first_pattern, last_pattern + 1):
                end = min(ends[number] - first, len(tile))
                lacking, within, _ = _of_pattern(number, patterns)
                _complete(lacking, within, shared.precision, begin, end, work.table, room.products)
                begin = end
            write_densities_of_factors(
                tile, model.theta, model.precision_factors, model.log_constants, model, work
            )
            begin = 0
            for number in range(first_pattern, last_pattern + 1):
                end = min(ends[number] - first, len(tile))
                _add_to_all(patterns.log_priors[number], begin, end, densities)
                begin = end
            add_log_priors(priors.log_priors, places, work.densities)
            sums.log_likelihoods[0] += normalize(
                densities, own, model.negligible, work.largest, work.totals, len(tile), rows[:0]
            )
            count(work.densities, groups, sums.counts)
            add_tile(tile, model, work, sums.features, sums.gathered)
            begin = 0
            for number in range(first_pattern, last_pattern + 1):
                end = min(ends[number] - first, len(tile))
                lacking, _, moves = _of_pattern(number, patterns)
                _add_counts(begin, end, densities, patterns.counts[number])
                _move(
                    lacking,
                    moves,
                    begin,
                    end,
                    room.inverses,
                    work.table,
                    work.densities,
                    room.products,
                    completed.between,
                )
                begin = end
            add_scatter(own, len(tile), work, completed.products)
            first_pattern = last_pattern
        start += n_rows
