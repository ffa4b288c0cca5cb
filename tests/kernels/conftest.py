"""All ways of doing the work on blocks of rows."""

from collections.abc import Iterator

import pytest

from dgmm.kernels import KERNELS


@pytest.fixture(scope="module", params=KERNELS)
def each_kernel(request) -> Iterator[str]:
    """The name of a kernel, which is the chosen one meanwhile."""
    if (missing := KERNELS[request.param].missing()) is not None:
        pytest.skip(f"lacks {missing}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DGMM_KERNEL", request.param)
        yield request.param
