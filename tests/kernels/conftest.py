"""Both ways of doing the work on blocks of rows."""

from collections.abc import Iterator

import pytest

from dgmm.kernels import compiled


@pytest.fixture(scope="module", params=["compiled", "NumPy"])
def each_way(request) -> Iterator[str]:
    """The compiled loop, where Numba is installed, and NumPy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DGMM_COMPILED", "1" if request.param == "compiled" else "0")
        if request.param == "compiled" and not compiled.is_available():
            pytest.skip("Numba is not installed")
        yield request.param
