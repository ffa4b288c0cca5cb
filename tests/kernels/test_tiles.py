"""The compiled loop itself; what it computes is compared in test_kernel.py."""

import pytest

pytest.importorskip("numba")

from numba.core.dispatcher import Dispatcher

from dgmm.kernels import elementary, factors, tied_tiles, tile_steps, tiles


def test_compiled_functions_have_names_of_their_own():
    """What several processes compiled is linked by name: predictions were wrong where two had the same."""
    own = [
        each
        for module in (elementary, factors, tied_tiles, tile_steps, tiles)
        for each in vars(module).values()
    ]
    functions = {each for each in own if isinstance(each, Dispatcher)}
    names = [(each.py_func.__module__, each.py_func.__qualname__) for each in functions]
    assert len(names) > 10
    assert len(set(names)) == len(names)
