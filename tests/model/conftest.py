"""Both ways of doing the work on blocks of rows."""

from tests.kernels.conftest import each_way

__all__ = ["each_way"]
