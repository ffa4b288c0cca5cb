# Numba gives its intrinsics their first argument, which type checkers do not know:
# pyright: reportCallIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
"""Exponentials and logarithms that compilers vectorize.

Numba compiles it: modules whose functions are compiled import it.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from dgmm.model.jit import IN_ORDER, compiled


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
    """Compute e to the power of x ≤ 0, where that is a normal number, to its rounding and that of x.

    In a form that compilers make vectors of: x = n log 2 + r, a polynomial in r, and n in the exponent. It is
    the polynomial of the least relative error for |r| ≤ ½ log 2 (Remez's algorithm): 3e-18 for float64, 2e-9
    for float32. What comes for lower x means nothing.
    """
    raise NotImplementedError("for compiled functions only")


# The large number that is added and taken away must not be reordered away: it leaves n, rounded, in the last
# bits, and with it the bias of the exponent.
@overload(exponential, jit_options=IN_ORDER)
def _exponential(x):
    if x == types.float64:
        return _exponential_float64
    return _exponential_float32 if x == types.float32 else None


def _exponential_float64(x):
    shifted = x * 1.4426950408889634 + 6755399441056767.0  # 3/2 2⁵² + 1023
    r = x - (shifted - 6755399441056767.0) * 0.6931471805599453
    square = r * r
    p = 2.4994304873278693e-08 * r + 2.763229329440413e-07
    p = p * square + (2.755762253099339e-06 * r + 2.4801486521387327e-05)
    p = p * square + (0.00019841269432678993 * r + 0.0013888888951224026)
    p = p * square + (0.008333333333559272 * r + 0.04166666666649277)
    p = p * square + (0.1666666666666617 * r + 0.5000000000000018)
    p = p * square + (r + 1.0)
    return p * _from_bits(_bits(shifted) << 52)


_F = np.float32
_INVERSE, _SHIFT, _LOG_2, _WIDTH = (
    _F(1.4426950408889634),
    _F(12583039.0),
    _F(0.6931471805599453),
    np.int32(23),
)
_C6, _C5, _C4, _C3 = (
    _F(0.0013836846124185467),
    _F(0.008374815806553677),
    _F(0.04166822556754512),
    _F(0.16666420169848561),
)
_C2, _ONE = _F(0.4999999207982328), _F(1.0)


def _exponential_float32(x):
    shifted = x * _INVERSE + _SHIFT  # 3/2 2²³ + 127
    r = x - (shifted - _SHIFT) * _LOG_2
    square = r * r
    p = _C6 * square + (_C5 * r + _C4)
    p = p * square + (_C3 * r + _C2)
    p = p * square + (r + _ONE)
    return p * _from_bits(np.int32(_bits(shifted) << _WIDTH))


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
    p = z * (1.0 / 21.0) + 1.0 / 19.0
    p = p * z + 1.0 / 17.0
    p = p * z + 1.0 / 15.0
    p = p * z + 1.0 / 13.0
    p = p * z + 1.0 / 11.0
    p = p * z + 1.0 / 9.0
    p = p * z + 1.0 / 7.0
    p = p * z + 1.0 / 5.0
    p = p * z + 1.0 / 3.0
    return n * 0.6931471805599453 + (2.0 * s + 2.0 * s * z * p)
