"""What families say of vectors and matrices, against the matrices themselves."""

import numpy as np
import pytest

from dgmm.model.families import FAMILIES
from tests.model import naive

each_family = pytest.mark.parametrize("name", FAMILIES)


@each_family
def test_growth_of_the_log_determinant(name):
    """Of what ``s g gᵀ`` adds, as far as the family has it: from the determinants of matrices."""
    generator = np.random.default_rng(0)
    parameters, family = naive.random_parameters(generator, name, 1, 4), FAMILIES[name]
    matrix, gaps, shares = parameters.covariance_matrices[0], generator.normal(size=(6, 4)), np.arange(6.0)
    standardized = family.standardize(gaps.T, parameters.precisions_cholesky, 0)
    added = family.projected(shares[:, None, None] * gaps[:, :, None] * gaps[:, None, :])
    grown = [matrix + family.to_matrices(one if family.is_shared else one[None], 1, 4)[0] for one in added]
    expected = 0.5 * (np.linalg.slogdet(grown)[1] - np.linalg.slogdet(matrix)[1])
    np.testing.assert_allclose(family.half_log_growth(standardized, shares), expected, rtol=1e-11, atol=1e-12)


@each_family
def test_identity_and_repeated(name):
    family = FAMILIES[name]
    identity = np.asarray(family.identity(3))
    assert identity.shape == family.shape_of_one(3)
    np.testing.assert_array_equal(identity, family.of_scatter(np.eye(3)))
    covariances = family.repeated(2.0 * np.eye(3), 4)
    assert covariances.shape == family.covariance_shape(4, 3)
    np.testing.assert_array_equal(family.to_matrices(covariances, 4, 3), [2.0 * np.eye(3)] * 4)


@each_family
def test_faults_of_precisions(name):
    family = FAMILIES[name]
    good = family.repeated(np.eye(2), 3)
    assert family.fault(good) is None
    assert family.fault(-good) is not None
    if family.has_products:
        skew = family.repeated(np.array([[1.0, 0.5], [0.0, 1.0]]), 3)
        assert family.fault(skew) == "symmetric, positive-definite"
