"""Packed matrices and factors, against the naive ones and NumPy's."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm.model import matrices
from dgmm.model.matrices import (
    DegenerateCovarianceError,
    add_products_of,
    largest_eigenvalue,
    pack,
    precision_factors,
    products_of_factors,
    times_factor,
    trace_by_factor,
    unpack,
)
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


def test_many_features_take_the_same_ways(monkeypatch):
    """Triangles by BLAS and LAPACK, and rows one by one, are the same matrices."""
    generator = np.random.default_rng(5)
    halves = generator.normal(size=(3, 9, 20))
    covariances = halves @ halves.swapaxes(1, 2)
    expected, packed = precision_factors(covariances), pack(covariances)
    wide = replace(matrices.MATRICES, compiled_features=0, wide_features=2, indexed_features=2)
    monkeypatch.setattr(matrices, "MATRICES", wide)
    np.testing.assert_array_equal(pack(covariances), packed)
    np.testing.assert_array_equal(unpack(packed, 9), covariances)
    found = precision_factors(covariances)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(found, np.triu(found))
    precisions = products_of_factors(found)
    np.testing.assert_allclose(precisions, found @ found.swapaxes(1, 2), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(precisions, precisions.swapaxes(1, 2))
    np.testing.assert_array_equal(products_of_factors(found[1]), precisions[1])
    np.testing.assert_array_equal(found, np.triu(found))  # what was given is as it was
    columns = generator.normal(size=(9, 30))
    for given in (columns, np.asfortranarray(columns)):
        np.testing.assert_allclose(
            times_factor(found[0], given), found[0].T @ columns, rtol=1e-12, atol=1e-12
        )
    total = np.asfortranarray(np.eye(9))
    total = add_products_of(total, np.asfortranarray(columns))
    np.testing.assert_allclose(
        np.tril(total), np.tril(np.eye(9) + columns @ columns.T), rtol=1e-12, atol=1e-12
    )
    trace = np.trace(np.linalg.solve(covariances[0], covariances[1]))
    assert trace_by_factor(found[0], covariances[1]) == pytest.approx(trace, rel=1e-9)
    shortest = np.linalg.eigvalsh(covariances[2])[0]
    assert 1.0 / largest_eigenvalue(found[2]) == pytest.approx(shortest, rel=0.01)
    covariances[1] = -covariances[1]
    with pytest.raises(DegenerateCovarianceError) as caught:
        precision_factors(covariances)
    assert caught.value.component == 1
