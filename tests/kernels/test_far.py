"""Rows beyond the range of squares: against the same densities in exact arithmetic."""

import sys
from fractions import Fraction

import numpy as np
import pytest

from dgmm.kernels.densities import labels, log_densities, responsibilities
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from tests.model import naive

pytestmark = [pytest.mark.usefixtures("each_kernel"), pytest.mark.filterwarnings("error")]

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


def exact_responsibilities(parameters, row):
    """Of one row, by fractions, which have no range to leave."""
    factors = np.array(
        [
            parameters.family.standardize(np.eye(parameters.n_features), parameters.precisions_cholesky, k)
            for k in range(parameters.n_components)
        ]
    )  # standardize(I) is Uᵀ
    exponents = []
    for mean, factor in zip(parameters.means, factors, strict=True):
        deviation = [Fraction(float(x)) - Fraction(float(m)) for x, m in zip(row, mean, strict=True)]
        standardized = [
            sum(Fraction(float(u)) * d for u, d in zip(line, deviation, strict=True)) for line in factor
        ]
        exponents.append(sum(y * y for y in standardized) / 2)
    least = min(exponents)
    log_joint = parameters.log_constants - [float(min(each - least, Fraction(10**300))) for each in exponents]
    shares = np.exp(log_joint - log_joint.max())
    return shares / shares.sum()


def rows_at(scale, n_features):
    draw = np.random.default_rng(1)
    return np.concatenate(
        [
            scale * np.eye(n_features),
            -scale * np.eye(n_features),
            scale * draw.uniform(-1.0, 1.0, size=(4, n_features)),
        ]
    )


@each_family
@pytest.mark.parametrize("scale", [1e120, 1e150, 1e155, 1e200, sys.float_info.max])
def test_far_rows_have_the_limits_of_their_densities(covariance_type, scale):
    parameters = naive.random_parameters(np.random.default_rng(0), covariance_type, 4, 3)
    rows = rows_at(scale, 3)
    near = np.random.default_rng(2).normal(size=(5, 3))
    found = responsibilities(parameters, np.concatenate([near, rows]))
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    np.testing.assert_allclose(found[:5], responsibilities(parameters, near), rtol=1e-7, atol=1e-12)
    if scale >= 1e150:
        expected = np.array([exact_responsibilities(parameters, row) for row in rows])
        np.testing.assert_allclose(found[5:], expected, atol=1e-9)
        np.testing.assert_array_equal(labels(parameters, rows), found[5:].argmax(axis=1))
    values = log_densities(parameters, np.concatenate([near, rows]))
    np.testing.assert_allclose(values[:5], log_densities(parameters, near), rtol=1e-7)
    assert (values[5:] <= -1e200).all()


@each_family
def test_components_alike_but_for_where_they_are(covariance_type):
    """Equal widths: the one that lies farther towards the row has it; alike in all, they share it."""
    family = FAMILIES[covariance_type]
    covariances = family.repeated(np.eye(2), 3)
    weights, means = np.array([0.2, 0.3, 0.5]), np.array([[0.0, 0.0], [5.0, 1.0], [5.0, 1.0]])
    parameters = Parameters.from_covariances(family, weights, means, covariances)
    found = responsibilities(parameters, np.array([[1e200, 0.0], [-1e200, 0.0], [0.0, 1e160]]))
    np.testing.assert_allclose(found, [[0.0, 0.375, 0.625], [1.0, 0.0, 0.0], [0.0, 0.375, 0.625]], atol=1e-12)


def test_a_component_without_weight_has_no_row():
    wide = Parameters.from_covariances(
        FAMILIES["spherical"], np.array([0.0, 1.0]), np.zeros((2, 2)), np.array([100.0, 1.0])
    )
    np.testing.assert_array_equal(responsibilities(wide, np.array([[1e200, 1.0]])), [[0.0, 1.0]])


def test_a_component_without_width_beside_others_does_not_make_rows_far():
    """Rows are usual for one component, and beyond all bounds for the other."""
    parameters = Parameters.from_covariances(
        FAMILIES["diag"], np.array([0.5, 0.5]), np.zeros((2, 1)), np.array([[1e-300], [1.0]])
    )
    rows = np.array([[0.5], [1.0], [3.0]])
    np.testing.assert_allclose(responsibilities(parameters, rows), [[0.0, 1.0]] * 3, atol=1e-12)
    expected = np.log(0.5) - 0.5 * np.log(2 * np.pi) - 0.5 * rows[:, 0] ** 2
    np.testing.assert_allclose(log_densities(parameters, rows), expected)


@each_family
def test_components_beyond_the_range_have_their_shares(covariance_type):
    """However little can be said of them: a row belongs to its components, and to nothing else."""
    generator = np.random.default_rng(5)
    near = naive.random_parameters(generator, covariance_type)
    far = near.shifted(1e200 * generator.normal(size=near.means.shape))
    found = responsibilities(far, generator.normal(size=(20, near.n_features)))
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
    assert (found >= 0.0).all()
