"""Patterns of missing values found and sorted in compiled loops."""

from __future__ import annotations

import numpy as np

from dgmm.model.jit import IN_ORDER, compiled


@compiled(IN_ORDER, is_kept=True)
def number(rows, table, spread, shift, codes, numbers, ends):
    """Number the patterns of rows as they first come.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Of at most 64 features.
    table : ndarray of int32
        −1, in a power of two of places; to be filled with the numbers.
    spread, shift : uint64
        The place of a pattern is its code, times ``spread``, without so many of its last bits.
    codes : ndarray of uint64
        Where to work: as many as there may be patterns.
    numbers : ndarray of shape (n_rows,), int32
        Filled with the number of each row's pattern.
    ends : ndarray of int
        Zeros, as many as codes: filled with where patterns end, one after the other.

    Returns
    -------
    int
        Number of patterns.
    """
    mask, n_patterns = np.int64(len(table) - 1), 0
    for row in range(len(rows)):
        code = np.uint64(0)
        for feature in range(rows.shape[1]):
            code |= np.uint64(np.isnan(rows[row, feature])) << np.uint64(feature)
        place = np.int64((code * spread) >> shift)
        found = table[place]
        while found >= 0 and codes[found] != code:
            place = (place + 1) & mask
            found = table[place]
        if found < 0:
            found = np.int32(n_patterns)
            table[place] = found
            codes[found] = code
            n_patterns += 1
        numbers[row] = found
        ends[found] += 1
    for pattern in range(1, n_patterns):
        ends[pattern] += ends[pattern - 1]
    return n_patterns


@compiled(IN_ORDER, is_kept=True)
def sort(rows, numbers, ends, order, out):
    """Write rows pattern after pattern, and where they were, if that is asked.

    Parameters
    ----------
    rows, numbers, ends : ndarray
        As `number` leaves them; ends are as they were, afterwards.
    order : ndarray of shape (n_rows,) or (0,), int
    out : ndarray of shape (n_rows, n_features)
    """
    n_rows, n_features = rows.shape
    for row in range(n_rows - 1, -1, -1):
        pattern = numbers[row]
        place = ends[pattern] - 1
        ends[pattern] = place
        if len(order):
            order[place] = row
        for feature in range(n_features):
            out[place, feature] = rows[row, feature]
    for pattern in range(len(ends) - 1):
        ends[pattern] = ends[pattern + 1]
    ends[-1] = n_rows
