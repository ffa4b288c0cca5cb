"""Both ways of doing the work on blocks of rows."""

from tests.kernels.conftest import each_kernel

__all__ = ["each_kernel"]
