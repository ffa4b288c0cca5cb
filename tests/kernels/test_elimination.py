"""All that is observed of rows, eliminated feature by feature; see also test_rare_compiled.py."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dgmm.kernels import compiled, rare
from dgmm.model.families import FAMILIES
from dgmm.model.jit import compiled_module
from dgmm.model.parameters import Parameters

pytestmark = pytest.mark.skipif(
    compiled_module("dgmm.kernels.elimination") is None, reason="nothing is compiled here"
)


def test_features_that_are_nearly_known_are_eliminated():
    """A difference of squares would leave rounding errors of a row whose missing feature others tell."""
    near = Parameters.from_covariances(
        FAMILIES["full"], np.ones(1), np.zeros((1, 2)), np.array([[[1.0, 1.0], [1.0, 1.0 + 1e-9]]])
    )
    assert not rare.can_be_completed(near)
    (found,) = compiled.eliminate(near, np.array([[1.0, np.nan]]))
    assert_allclose(found.squares, 1.0, rtol=1e-14)
    sums, _ = found.sums(np.ones((1, 1)), near.means, False)
    assert_allclose(sums[0], 1.0, rtol=1e-14)
