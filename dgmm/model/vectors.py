"""Vectors in compiled functions: numbers of several rows as one value.

Compilers make vectors of long loops by themselves. Of a loop over a few lanes they make as many single
numbers, before they look for vectors; and an array that is written to might be one of those that are read.
So these are written as vectors, and look as numbers do: ``own - load(array, (i,)) * load(array, (j,))`` is
an expression of `LANES` numbers.

Numba compiles it: modules whose functions are compiled import it.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from dgmm.model.jit import REORDERED, compiled

LANES = 16
"""Numbers of a vector: two of the longest that processors have, so that one begins before another ends."""

_NUMBER, _INDEX = ir.DoubleType(), ir.IntType(32)
_VECTOR = ir.VectorType(_NUMBER, LANES)
_FUSED = ("contract",)


_instruction: Any = intrinsic
"""Numba gives functions their first argument itself, which type checkers do not know."""


class Lanes(types.Type):
    """The type of a vector of `LANES` numbers, float64."""

    def __init__(self) -> None:
        super().__init__(name=f"dgmm.Lanes({LANES})")


lanes = Lanes()


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    """How a vector is kept: in registers."""

    def __init__(self, data_models: Any, kind: Lanes) -> None:
        super().__init__(data_models, kind, _VECTOR)


@_instruction
def longest_vectors(typingctx):
    """Have loops of the function that calls this made of the longest vectors that the processor has."""
    # For Intel's servers compilers take half of them, for the clock of programs that seldom need others.

    def generate(context, builder, signature, arguments):
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # its own `add` knows names alone
        return context.get_dummy_value()

    return types.void(), generate


def _pointer(context, builder, kinds, values):
    """Find the first lane at an index: of all axes of the array but the last, which are lanes."""
    array = context.make_array(kinds[0])(context, builder, values[0])
    own = [builder.extract_value(values[1], axis) for axis in range(len(kinds[1]))]
    index = [*own, context.get_constant(types.intp, 0)]
    return builder.bitcast(
        cgutils.get_item_pointer(context, builder, kinds[0], array, index), _VECTOR.as_pointer()
    )


@_instruction
def load(typingctx, array, index):
    """Read the lanes at an index, a tuple, of an array (..., LANES) whose last axis has no gaps."""

    def generate(context, builder, signature, arguments):
        return builder.load(_pointer(context, builder, signature.args, arguments), align=8)

    return lanes(array, index), generate


@_instruction
def store(typingctx, array, index, value):
    """Write lanes where `load` reads them."""

    def generate(context, builder, signature, arguments):
        builder.store(arguments[2], _pointer(context, builder, signature.args, arguments), align=8)
        return context.get_dummy_value()

    return types.void(array, index, value), generate


@_instruction
def spread(typingctx, value):
    """Return lanes that have one value."""

    def generate(context, builder, signature, arguments):
        alone = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), arguments[0], _INDEX(0))
        first = ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES)
        return builder.shuffle_vector(alone, alone, first)

    return lanes(types.float64), generate


def _elementwise(function, name):
    """Have an operator of numbers be one of lanes, too."""

    @_instruction
    def compute(typingctx, left, right):
        def generate(context, builder, signature, arguments):
            return getattr(builder, name)(*arguments, flags=_FUSED)

        return lanes(left, right), generate

    @overload(function)
    def _overload(left, right):
        if isinstance(left, Lanes) and isinstance(right, Lanes):
            return lambda left, right: compute(left, right)  # noqa: PLW0108 (Numba compiles it)
        return None


for _function, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _elementwise(_function, _name)


@_instruction
def root(typingctx, value):
    """Take square roots."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(_VECTOR, [_VECTOR])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{LANES}f64")
        return builder.call(function, arguments)

    return lanes(value), generate


@_instruction
def where_positive(typingctx, condition, value, other):
    """Choose values where a condition is above zero, and others elsewhere."""

    def generate(context, builder, signature, arguments):
        is_positive = builder.fcmp_ordered(">", arguments[0], ir.Constant(_VECTOR, [0.0] * LANES))
        return builder.select(is_positive, arguments[1], arguments[2])

    return lanes(condition, value, other), generate


@_instruction
def larger(typingctx, value, other):
    """Return the larger of two values, none of which is NaN."""

    def generate(context, builder, signature, arguments):
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return lanes(value, other), generate


@_instruction
def are_all(typingctx, values, value):
    """Return whether all lanes have a value, as the lanes of another have it."""

    def generate(context, builder, signature, arguments):
        differ = builder.fcmp_unordered("!=", *arguments)
        bits = builder.bitcast(differ, ir.IntType(LANES))
        return builder.icmp_unsigned("==", bits, bits.type(0))

    return types.boolean(values, value), generate


@_instruction
def total(typingctx, value):
    """Add lanes up, in halves: in the same order on every machine."""

    def generate(context, builder, signature, arguments):
        sums, width = arguments[0], LANES
        while width > 1:
            width //= 2
            halves = [
                builder.shuffle_vector(
                    sums, sums, ir.Constant(ir.VectorType(_INDEX, width), [*range(first, first + width)])
                )
                for first in (0, width)
            ]
            sums = builder.fadd(*halves)
        return builder.extract_element(sums, _INDEX(0))

    return types.float64(value), generate


@compiled(REORDERED)
def less_products(value, left, right, n_products):
    """Take ``Σ_m left[m] right[m]`` of the first products off lanes: of arrays (M, LANES)."""
    for m in range(n_products):
        value = value - load(left, (m,)) * load(right, (m,))
    return value


LEAST, MOST = 1e-150, 1e150
"""Between these products of variances are kept: their logarithm is taken once, and not of each."""


@compiled(REORDERED)
def fold_logs(products, halves, of_all):
    """Add half the logarithms of products (LANES,) about to leave the range of float64; or of all."""
    for lane in range(LANES):
        if of_all or not LEAST < products[lane] < MOST:
            halves[lane] += 0.5 * np.log(products[lane])
            products[lane] = 1.0
