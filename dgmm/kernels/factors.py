# Numba gives its intrinsics their first argument, which type checkers do not know:
# pyright: reportCallIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
"""A tile of rows as factors, of whose products all features are made, in compiled functions.

*Factors* of a row are ‖z‖², 1 and its deviations z from the centre; features of a family are factors, and
products of two. Numba compiles it: modules whose functions are compiled import it.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from dgmm.kernels.tile_tuning import CACHE_LINE
from dgmm.model.jit import REORDERED, compiled
from dgmm.model.vectors import longest_vectors

SIDE = 8
"""Rows, and features, of the blocks in which rows are transposed."""


@intrinsic
def prefetch(typingctx, rows, line):  # pyright: ignore[reportUnusedParameter]
    """Ask for a cache line of rows, counted from the first."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(rows)(context, builder, arguments[0]).data
        start = builder.bitcast(data, ir.IntType(8).as_pointer())
        pointer = builder.gep(start, [builder.mul(arguments[1], arguments[1].type(CACHE_LINE))])
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
        builder.call(ask, [pointer, number(0), number(2), number(1)])  # to read data, in the second level
        return context.get_dummy_value()

    return types.void(rows, types.intp), generate


@intrinsic
def _transpose(typingctx, rows, row, feature, centre, factors):  # pyright: ignore[reportUnusedParameter]
    """Write the deviations of 8 rows in 8 features, from the first of each, to factors: 8 vectors at once."""
    # Compilers gather each vector of a column number by number, which takes three times as long.

    def generate(context, builder, signature, arguments):
        def vector_at(array_type, array, index, kind):
            pointer = cgutils.get_item_pointer(context, builder, array_type, array, index)
            return builder.bitcast(pointer, kind.as_pointer())

        def read(array_type, argument, index):
            kind = ir.VectorType(context.get_data_type(array_type.dtype), SIDE)
            array = context.make_array(array_type)(context, builder, argument)
            values = builder.load(
                vector_at(array_type, array, index, kind), align=array_type.dtype.bitwidth // 8
            )
            return values if array_type.dtype == types.float64 else builder.fpext(values, doubles)

        first_row, first_feature = arguments[1:3]
        doubles, mask = ir.VectorType(ir.DoubleType(), SIDE), ir.VectorType(ir.IntType(32), SIDE)
        number = first_row.type
        middle = read(centre, arguments[3], [first_feature])
        vectors = []
        for i in range(SIDE):
            values = read(rows, arguments[0], [builder.add(first_row, number(i)), first_feature])
            vectors.append(builder.fsub(values, middle))
        for step in (1, 2, 4):  # of vectors that are as many apart: numbers that are, change places
            low = ir.Constant(mask, [k + (SIDE - step if k & step else 0) for k in range(SIDE)])
            high = ir.Constant(mask, [k + (SIDE if k & step else step) for k in range(SIDE)])
            for i in range(SIDE):
                if not i & step:
                    pair = vectors[i], vectors[i + step]
                    vectors[i] = builder.shuffle_vector(*pair, low)
                    vectors[i + step] = builder.shuffle_vector(*pair, high)
        out = context.make_array(factors)(context, builder, arguments[4])
        own = ir.VectorType(context.get_data_type(factors.dtype), SIDE)
        for j, values in enumerate(vectors):
            index = [builder.add(first_feature, number(j + 2)), first_row]
            written = values if factors.dtype == types.float64 else builder.fptrunc(values, own)
            builder.store(written, vector_at(factors, out, index, own), align=factors.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(rows, types.intp, types.intp, centre, factors), generate


@compiled(REORDERED)
def write_factors(rows, centre, known, factors, has_length):
    """Write the factors of rows (n, D): their squared lengths if asked, 1, and deviations from the centre.

    ``known`` tells which features rows have, whose deviations are zero elsewhere; empty where they have all.
    """
    n_rows, n_features = rows.shape
    length, one = factors[0], factors[1]
    for row in range(n_rows):
        one[row] = 1.0
    n_whole, n_alone = n_rows // SIDE * SIDE, n_features % SIDE
    for feature in range(0, n_features - n_alone, SIDE):
        for row in range(0, n_whole, SIDE):
            _transpose(rows, row, feature, centre, factors)
    for row in range(n_whole, n_rows):
        for feature in range(n_features - n_alone):
            factors[feature + 2, row] = rows[row, feature] - centre[feature]
    for feature in range(n_features - n_alone, n_features):
        own, middle = factors[feature + 2], centre[feature]
        for row in range(n_rows):
            own[row] = rows[row, feature] - middle
    if len(factors) > n_features + 2:
        _write_flags(factors[2 : n_features + 2], factors[n_features + 2 :], n_rows)
    for feature in range(len(known)):
        if not known[feature]:
            own = factors[feature + 2]
            for row in range(n_rows):
                own[row] = 0.0
    if has_length:
        _write_lengths(factors[2 : n_features + 2], length, n_rows)


@compiled(REORDERED)
def _write_flags(deviations, flags, n_rows):
    """Write 1 where deviations are missing, and 0 elsewhere; and 0 for these."""
    one, zero = deviations.dtype.type(1), deviations.dtype.type(0)
    for feature in range(len(deviations)):
        own, flag = deviations[feature], flags[feature]
        for row in range(n_rows):
            lacks = np.isnan(own[row])
            flag[row] = one if lacks else zero
            own[row] = zero if lacks else own[row]


@compiled(REORDERED)
def _write_lengths(deviations, length, n_rows):
    """Write the squared lengths of rows."""
    for row in range(n_rows):
        length[row] = 0.0
    for own in deviations:
        for row in range(n_rows):
            length[row] += own[row] * own[row]


@compiled(REORDERED)
def write_products(factors, pairs, products, n_rows):
    """Write the products of pairs of factors."""
    longest_vectors()
    for feature in range(len(pairs)):
        out, left, right = products[feature], factors[pairs[feature, 0]], factors[pairs[feature, 1]]
        for row in range(n_rows):
            out[row] = left[row] * right[row]
