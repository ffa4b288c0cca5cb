"""Packed matrices and factors, against the naive ones and NumPy's."""

import numpy as np
import pytest

from dgmm.model.matrices import DegenerateCovarianceError, pack, precision_factors, unpack
from tests.model import naive


def test_packed_and_unpacked():
    generator = np.random.default_rng(7)
    matrices = generator.normal(size=(3, 4, 4))
    np.testing.assert_array_equal(pack(matrices), [naive.packed(matrix) for matrix in matrices])
    symmetric = matrices + matrices.swapaxes(1, 2)
    np.testing.assert_array_equal(unpack(pack(symmetric), 4), symmetric)


@pytest.mark.parametrize("way", ["compiled", "numpy"])
@pytest.mark.parametrize("n_features", [1, 2, 7, 30, 40])
def test_factors_are_those_of_numpy(n_features, way, monkeypatch):
    monkeypatch.setenv("DGMM_COMPILED", str(int(way == "compiled")))
    generator = np.random.default_rng(4)
    halves = generator.normal(size=(5, n_features, 2 * n_features))
    covariances = halves @ halves.swapaxes(1, 2)
    found = precision_factors(covariances)
    precisions = found @ found.swapaxes(1, 2)
    np.testing.assert_allclose(precisions, np.linalg.inv(covariances), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(found, np.triu(found))
    if n_features > 1:  # positive definite by rounding alone
        singular = np.eye(n_features)
        singular[0, 1] = singular[1, 0] = 1.0 - 1.1e-16
        with pytest.raises(DegenerateCovarianceError):
            precision_factors(np.stack([np.eye(n_features), singular]))
    covariances[3, 0, 0] = np.nan
    covariances[2] = -covariances[2]
    with pytest.raises(DegenerateCovarianceError) as caught:
        precision_factors(covariances)
    assert caught.value.component == 2
