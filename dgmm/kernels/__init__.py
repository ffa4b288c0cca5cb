"""The work on blocks of rows: models of several families evaluated together, by the kernel that is at hand.

Here is the one door: whoever evaluates rows asks `kernel_for`, or calls the functions that do. A kernel is
a module with the functions of `dgmm.kernels.kernel.Kernel`, and a line in `KERNELS`. Rows that may lack
values go through any of them by `incomplete`; those that are measured with errors take a way of their own,
`measured`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels import blocks, compiled, incomplete, measured, reference
from dgmm.kernels.blocks import assign
from dgmm.kernels.kernel import Kernel, Parts, named_kernel
from dgmm.kernels.stack import Stack
from dgmm.model.statistics import Statistics

__all__ = ["KERNELS", "Kernel", "assign", "chosen_kernel", "expect", "kernel_for", "working_bytes"]

KERNELS: dict[str, Kernel] = {
    "compiled": compiled,
    "numpy": blocks,
    "reference": reference,
}
"""All kernels by name, the fastest first."""


@dataclass(frozen=True)
class CompilingTuning:
    """When work is worth a compiler.

    To load what was compiled takes half a second in each process, to compile it ten, once on a machine. The
    choice is by the size of the work alone, so that bits do not depend on what was compiled before.

    Attributes
    ----------
    least_work : float
        See `dgmm.kernels.stack.Stack.work`: below, an E-step by NumPy takes 10 ms or less, at most twice as
        long as the compiled loop.
    """

    least_work: float = 2.0**24


COMPILING = CompilingTuning()


def chosen_kernel(work: float = np.inf) -> Kernel:
    """Choose: the one that the environment variable ``DGMM_KERNEL`` names, else the first that can run.

    Parameters
    ----------
    work : float
        About what an E-step computes: see `dgmm.kernels.stack.Stack.work`. Little is left to NumPy, which is
        there at once.

    Raises
    ------
    ValueError
        Where there is none of this name.
    ImportError
        Where it cannot run.
    """
    name = named_kernel()
    if not name and work < COMPILING.least_work:
        return blocks
    if not name:
        return next(kernel for kernel in KERNELS.values() if kernel.missing() is None)
    if name not in KERNELS:
        raise ValueError(f"DGMM_KERNEL is {name!r}, which is not one of {', '.join(KERNELS)}")
    if (missing := KERNELS[name].missing()) is not None:
        raise ImportError(f"DGMM_KERNEL asks for the kernel {name!r}, which lacks {missing}")
    return KERNELS[name]


def kernel_for(stack: Stack) -> Kernel:
    """Choose for a stack: `chosen_kernel`, but NumPy where BLAS is better than the compiled loop.

    The number of features, of components and of rows in all, and the paths that components take decide, so
    that one kernel makes a pass; and where the environment names a kernel, that is the one.
    """
    if stack.is_for_blas and not named_kernel():
        return blocks
    return chosen_kernel(stack.work)


def expect(
    stack: Stack,
    chunks: Parts,
    features: NDArray[np.floating] | None = None,
) -> tuple[Statistics, ...]:
    """E-step by the chosen kernel: see `Kernel.expect`.

    Rows may lack values, or be measured with errors, if the stack says so.
    """
    if stack.n_errors:
        return measured.expect(stack, chunks)
    if stack.extent is not None:
        return incomplete.expect(chosen_kernel(stack.work), stack, chunks)
    return kernel_for(stack).expect(stack, chunks, features)


def working_bytes(stack: Stack) -> int:
    """Forecast what the chosen kernel allocates: see `Kernel.working_bytes`."""
    if stack.n_errors:
        return measured.working_bytes(stack)
    if stack.extent is not None:
        return incomplete.working_bytes(chosen_kernel(stack.work), stack)
    return kernel_for(stack).working_bytes(stack)
